"""The relay's voice: what it says, to whom, and what it never says."""
