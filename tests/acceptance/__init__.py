"""Promises of the whole: the real process, real sockets, real kills."""
