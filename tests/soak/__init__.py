"""A soak: hours at a steady rate under faults, run by `make soak`."""
