"""`relay simulator`, `relay receiver` and `relay demo`: what serves on this machine for a try."""

import asyncio
import json
import os
import secrets
import shlex
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.commands.usage import COUNT, ENDED_AT_ONCE, FILE, LISTEN, RATE, Failure, WrongUsage

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def listen_option(default: str, help_text: str) -> Callable[[F], F]:
    """Add `--listen`."""
    options: dict[str, Any] = {"type": LISTEN, "metavar": "HOST:PORT", "show_default": True}
    return click.option("--listen", default=default, help=help_text, **options)


def serve_until_terminated(serving: Coroutine[None, None, None], listen: Any) -> None:
    """Serve until SIGTERM, which is a good end: the first process of a container must heed it."""
    from relay.process import run_loop

    try:
        run_loop(_until_terminated(serving))
    except OSError as error:
        raise Failure(f"--listen: '{listen}': {error.strerror or error}") from None


async def _until_terminated(serving: Coroutine[None, None, None]) -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    waiters = {asyncio.ensure_future(serving), asyncio.ensure_future(terminated.wait())}
    try:
        done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    for waiter in done:
        waiter.result()


def secret_file(
    to_read: tuple[str, Path | None],
    to_write: tuple[str, Path | None],
    make: Callable[[], str],
    parse: Callable[[str], T],
    expected: str,
) -> T:
    """Read a secret from a file that one option names, or make it up and write it to another's.

    If the latter's is there already, that is read. `parse` reads a text and raises what it may;
    `expected` says what should be in the file. Raises `Failure`.
    """
    (option, path), (write_option, new) = to_read, to_write
    if path and new:
        raise WrongUsage(f"{write_option}: expected alone, since {option} names one")
    text = make()
    try:
        if new:
            _write_new(new, text)
    except FileExistsError:
        option, path = write_option, new
    except (OSError, ValueError) as error:
        raise Failure(f"{write_option}: '{new}': can't be written ({error})") from None
    if path is None:
        return parse(text)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or "unusable"
        raise WrongUsage(f"{option}: '{path}': expected a readable file ({why})") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WrongUsage(f"{option}: '{path}': expected {expected}") from None


def _write_new(path: Path, text: str) -> None:
    """Write a new file, for its owner's eyes only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


@click.command(name="simulator")
@listen_option("127.0.0.1:7000", "Where to serve the socket and the HTTP API.")
@click.option("--keystore", type=FILE, metavar="FILE", help="The bot; default: a new one, printed.")
@click.option(
    "--write-keystore",
    type=FILE,
    metavar="FILE",
    help="Make a new bot's keystore, unless FILE is there.",
)
@click.option("--rate", type=RATE, metavar="R", default="1", help="Messages a second; default 1.")
@click.option("--messages", type=COUNT, metavar="N", help="How many; default: without end.")
def simulator(
    *,
    listen: Any,
    keystore: Path | None,
    write_keystore: Path | None,
    rate: float,
    messages: int | None,
) -> None:
    """Serve a local Blaze and the HTTP API that goes with it until Ctrl-C."""
    from relay.simulator.simulator import Simulator, serve

    def announce(simulator: Simulator) -> None:
        """Print the settings with which a relay finds the simulator, as a shell takes them."""
        click.echo(f"RELAY_BLAZE_URL={simulator.blaze_url}")
        click.echo(f"RELAY_API_URL={simulator.api_url}")
        if path := keystore or write_keystore:
            click.echo(f"RELAY_KEYSTORE_FILE={shlex.quote(str(path))}")
        else:  # a made-up bot's, that opens nothing but this simulator
            click.echo(f"RELAY_KEYSTORE={shlex.quote(simulator.keystore_json())}")

    options = ("--keystore", keystore), ("--write-keystore", write_keystore)
    serving = serve(
        listen.host,
        listen.port,
        keystore=secret_file(*options, _new_keystore, _read_keystore, "a keystore in JSON"),
        rate=rate,
        messages=messages,
        on_start=announce,
        on_push=lambda message_id, category: click.echo(f"pushed {message_id} {category}"),
        on_entry=_print_entry,
    )
    serve_until_terminated(serving, listen)


def _new_keystore() -> str:
    from relay.simulator.bots import make_keystore

    return json.dumps(make_keystore(), indent=2)


def _read_keystore(text: str) -> Mapping[str, Any]:
    from relay.simulator.bots import Bot

    keystore = json.loads(text)
    Bot.of(keystore)
    return dict(keystore)


def _print_entry(entry: object) -> None:
    from relay.simulator.journal import Ack, Connect, Request, Violation

    match entry:
        case Connect(refused=str() as why):
            click.echo(f"connect {entry.number} refused: {why}")
        case Connect(closed_at=None):
            click.echo(f"connect {entry.number} accepted")
        case Connect():
            click.echo(f"connect {entry.number} over (code {entry.close_code})")
        case Ack():
            click.echo(f"ack {entry.message_id} {entry.status} by {entry.transport}")
        case Request():
            click.echo(f"request {entry.method} {entry.path} {entry.status}")
        case Violation():
            click.echo(f"VIOLATION {entry.kind}: {entry.detail}")
        case _:
            pass


@click.command(name="receiver")
@listen_option("127.0.0.1:7001", "Where to serve the webhook.")
@click.option("--secret-file", type=FILE, metavar="FILE", help="The secret; default: a new one.")
@click.option(
    "--write-secret", type=FILE, metavar="FILE", help="Make a new secret, unless FILE is there."
)
@click.option("--busy", type=COUNT, metavar="N", help="Answer one message in N with 503 first.")
def receiver(
    *, listen: Any, secret_file: Path | None, write_secret: Path | None, busy: int | None
) -> None:
    """Serve a webhook that verifies signatures and prints each message, until Ctrl-C."""
    serve_until_terminated(_receive(listen, secret_file, write_secret, busy), listen)


async def _receive(
    listen: Any, to_read: Path | None, to_write: Path | None, busy: int | None
) -> None:
    from relay.demo.receiver import Receiver, Visit, one_in, preview

    def show(visit: Visit) -> None:
        told = "took" if visit.taken else "busy"
        click.echo(f"{told} {visit.message_id} {preview(visit.data.get('content'))}")

    options = ("--secret-file", to_read), ("--write-secret", to_write)
    secret = secret_file(*options, _new_secret, _read_secret, "one secret, whsec_…")
    refuses = one_in(busy) if busy else lambda _: False
    receiver = Receiver(secret, refuses=refuses, on_visit=show, host=listen.host, port=listen.port)
    async with receiver:
        click.echo(f"RELAY_WEBHOOK_URLS={receiver.url}")
        if path := to_read or to_write:
            click.echo(f"RELAY_WEBHOOK_SECRET_FILE={shlex.quote(str(path))}")
        else:  # a made-up secret, that nobody else signs with
            click.echo(f"RELAY_WEBHOOK_SECRET={secret}")
        await asyncio.Event().wait()


def _new_secret() -> str:
    from relay.webhook.signature import SECRET_BYTES, new_secret

    return f"{new_secret(secrets.token_bytes(SECRET_BYTES))}\n"


def _read_secret(text: str) -> str:
    from relay.webhook.signature import SYMMETRIC, Signer

    secret = text.strip()
    Signer.parse(secret)
    if not secret.startswith(SYMMETRIC) or " " in secret:
        raise ValueError(SYMMETRIC)
    return secret


@click.command(name="demo")
@click.option("--messages", type=COUNT, metavar="N", default="60", help="How many; default 60.")
@click.option(
    "--rate",
    type=RATE,
    metavar="R",
    default="10",
    help="Messages a second; default 10, 0 for as fast as it goes.",
)
def demo(messages: int, rate: float) -> int:
    """Run simulator, relay and a receiver that verifies signatures, and show what goes through.

    Exit 0 only if every message was delivered and marked READ.
    """
    from relay.demo.run import run_demo
    from relay.journal.sqlite.lock import JournalRefused
    from relay.model.ports import JournalUnavailable
    from relay.process import run_loop

    try:
        return run_loop(run_demo(messages=messages, rate=rate))
    except BrokenPipeError:
        raise
    except (JournalRefused, JournalUnavailable, OSError) as error:
        raise Failure(f"demo: can't start: {error}") from None
    except asyncio.CancelledError:
        return ENDED_AT_ONCE
