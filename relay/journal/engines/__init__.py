"""The databases that a journal may lie in."""
