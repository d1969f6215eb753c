"""Upstream: Mixin's Blaze protocol, from the bot's side."""
