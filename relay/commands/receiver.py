"""`relay receiver`: a sample webhook that verifies what it gets, and prints it."""

import asyncio
import secrets
import shlex
from pathlib import Path

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.kinds import COUNT, FILE, Kind
from relay.commands.serving import until_terminated, write_new
from relay.config.addresses import LISTEN, Listen, parse_listen
from relay.demo.receiver import Receiver, Visit, one_in, preview
from relay.process import run_loop
from relay.webhook.signature import SECRET_BYTES, SYMMETRIC, Signer, new_secret

_ADDRESS = Kind(LISTEN, parse_listen)


@click.command(name="receiver")
@click.option(
    "--listen",
    type=_ADDRESS,
    metavar="HOST:PORT",
    default="127.0.0.1:7001",
    show_default=True,
    help="Where to serve the webhook.",
)
@click.option("--secret-file", type=FILE, metavar="FILE", help="The secret; default: a new one.")
@click.option(
    "--write-secret", type=FILE, metavar="FILE", help="Make a new secret, unless FILE is there."
)
@click.option("--busy", type=COUNT, metavar="N", help="Answer one message in N with 503 first.")
def command(
    listen: Listen, secret_file: Path | None, write_secret: Path | None, busy: int | None
) -> None:
    """Serve a webhook that verifies signatures and prints each message, until Ctrl-C."""
    if secret_file and write_secret:
        raise WrongUsage("--write-secret: expected alone, since --secret-file names one")
    path = secret_file or write_secret
    secret = _read_or_write(write_secret) if write_secret else _read(secret_file)
    receiver = Receiver(
        secret,
        refuses=one_in(busy) if busy else _never,
        on_visit=_print,
        host=listen.host,
        port=listen.port,
    )
    try:
        run_loop(until_terminated(_serve(receiver, path, secret)))
    except OSError as error:
        raise Failure(f"--listen: '{listen}': {error.strerror or error}") from None


async def _serve(receiver: Receiver, path: Path | None, secret: str) -> None:
    async with receiver:
        click.echo(f"RELAY_WEBHOOK_URLS={receiver.url}")
        if path is None:  # a made-up secret, that nobody else signs with
            click.echo(f"RELAY_WEBHOOK_SECRET={secret}")
        else:
            click.echo(f"RELAY_WEBHOOK_SECRET_FILE={shlex.quote(str(path))}")
        await asyncio.Event().wait()


def _read_or_write(path: Path) -> str:
    secret = _new()
    try:
        write_new(path, f"{secret}\n")
    except FileExistsError:
        return _read(path, "--write-secret")
    except (OSError, ValueError) as error:
        raise Failure(f"--write-secret: '{path}': can't be written ({error})") from None
    return secret


def _read(path: Path | None, option: str = "--secret-file") -> str:
    if path is None:
        return _new()
    try:
        secret = path.read_text(encoding="utf-8").strip()
        Signer.parse(secret)
    except OSError as error:
        why = error.strerror or "unusable"
        raise WrongUsage(f"{option}: '{path}': expected a readable file ({why})") from None
    except ValueError:
        secret = ""
    if not secret.startswith(SYMMETRIC) or " " in secret:
        raise WrongUsage(f"{option}: '{path}': expected one secret, whsec_…")
    return secret


def _new() -> str:
    return new_secret(secrets.token_bytes(SECRET_BYTES))


def _never(_: Visit) -> bool:
    return False


def _print(visit: Visit) -> None:
    told = "took" if visit.taken else "busy"
    click.echo(f"{told} {visit.message_id} {preview(visit.data.get('content'))}")
