"""The HTTP surface: who may ask what, and what is answered."""
