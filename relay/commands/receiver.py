"""`relay receiver`: a sample webhook that verifies what it gets, and prints it."""

import asyncio
import secrets
import shlex
from pathlib import Path
from typing import Any

import click

from relay.commands.params import COUNT, FILE
from relay.commands.serving import listen_option, secret_file, serve_until_terminated


@click.command(name="receiver")
@listen_option("127.0.0.1:7001", "Where to serve the webhook.")
@click.option("--secret-file", type=FILE, metavar="FILE", help="The secret; default: a new one.")
@click.option(
    "--write-secret", type=FILE, metavar="FILE", help="Make a new secret, unless FILE is there."
)
@click.option("--busy", type=COUNT, metavar="N", help="Answer one message in N with 503 first.")
def command(
    *, listen: Any, secret_file: Path | None, write_secret: Path | None, busy: int | None
) -> None:
    """Serve a webhook that verifies signatures and prints each message, until Ctrl-C."""
    serve_until_terminated(_serve(listen, secret_file, write_secret, busy), listen)


async def _serve(
    listen: Any, to_read: Path | None, to_write: Path | None, busy: int | None
) -> None:
    from relay.demo.receiver import Receiver, Visit, one_in, preview

    def show(visit: Visit) -> None:
        told = "took" if visit.taken else "busy"
        click.echo(f"{told} {visit.message_id} {preview(visit.data.get('content'))}")

    options = ("--secret-file", to_read), ("--write-secret", to_write)
    secret = secret_file(*options, _new, _parse, "one secret, whsec_…")
    refuses = one_in(busy) if busy else lambda _: False
    receiver = Receiver(secret, refuses=refuses, on_visit=show, host=listen.host, port=listen.port)
    async with receiver:
        click.echo(f"RELAY_WEBHOOK_URLS={receiver.url}")
        if path := to_read or to_write:
            click.echo(f"RELAY_WEBHOOK_SECRET_FILE={shlex.quote(str(path))}")
        else:  # a made-up secret, that nobody else signs with
            click.echo(f"RELAY_WEBHOOK_SECRET={secret}")
        await asyncio.Event().wait()


def _new() -> str:
    from relay.webhook.signature import SECRET_BYTES, new_secret

    return f"{new_secret(secrets.token_bytes(SECRET_BYTES))}\n"


def _parse(text: str) -> str:
    from relay.webhook.signature import SYMMETRIC, Signer

    secret = text.strip()
    Signer.parse(secret)
    if not secret.startswith(SYMMETRIC) or " " in secret:
        raise ValueError(SYMMETRIC)
    return secret
