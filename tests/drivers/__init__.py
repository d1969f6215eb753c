"""Promises of the drivers: real sockets, on loopback only."""
