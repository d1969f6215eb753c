"""Promises of the pure files: no loop, no sockets."""
