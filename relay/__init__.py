"""Blaze Relay: Mixin Messenger's Blaze in, signed webhooks out, READ only after success."""

__version__ = "0.2.0"
