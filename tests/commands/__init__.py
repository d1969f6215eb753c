"""The commands: what is printed where, and with which exit code."""
