"""Values and ports: what the rest of the relay talks in, of the standard library only."""
