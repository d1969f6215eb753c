"""Blaze Relay: Mixin Messenger's Blaze in, signed webhooks out, READ only after success."""

from importlib.metadata import version

__version__ = version("blaze-relay")
