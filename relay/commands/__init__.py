"""The commands, a module for each: what a person types, and what is printed."""
