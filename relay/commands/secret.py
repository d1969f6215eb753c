"""`relay secret`: a new signing secret, or a new key for the journal."""

import secrets

import click

_BYTES = 32
"""As many as SHA-256 has; Standard Webhooks asks for 24 to 64."""


@click.command(name="secret")
@click.option("--journal-key", is_flag=True, help="Print a key for journal_key_file instead.")
def command(*, journal_key: bool) -> None:
    """Print a new signing secret for a webhook and its receiver."""
    from relay.journal.encryption.keys import KEY_BYTES, new_key
    from relay.webhook.signature import new_secret

    if journal_key:
        click.echo(new_key(secrets.token_bytes(KEY_BYTES)))
    else:
        click.echo(new_secret(secrets.token_bytes(_BYTES)))
