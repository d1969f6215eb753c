"""Tests of the relay itself: no sockets, no disk, a virtual clock."""
