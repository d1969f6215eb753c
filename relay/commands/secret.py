"""`relay secret`: a new signing secret."""

import secrets

import click

from relay.webhook.signature import new_secret

_BYTES = 32
"""As many as SHA-256 has; Standard Webhooks asks for 24 to 64."""


@click.command(name="secret")
def command() -> None:
    """Print a new signing secret for a webhook and its receiver."""
    click.echo(new_secret(secrets.token_bytes(_BYTES)))
