"""Encryption of what people wrote, a column at a time."""
