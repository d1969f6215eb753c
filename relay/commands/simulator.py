"""`relay simulator`: a local Blaze, for developing a webhook without an account."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.kinds import COUNT, FILE, RATE, Kind
from relay.commands.serving import until_terminated, write_new
from relay.config.addresses import LISTEN, Listen, parse_listen
from relay.process import run_loop
from relay.simulator.bots import Bot, make_keystore
from relay.simulator.journal import Ack, Connect, Entry, Request, Violation
from relay.simulator.simulator import Simulator
from relay.simulator.traffic import serve

_ADDRESS = Kind(LISTEN, parse_listen)


@click.command(name="simulator")
@click.option(
    "--listen",
    type=_ADDRESS,
    metavar="HOST:PORT",
    default="127.0.0.1:7000",
    show_default=True,
    help="Where to serve the socket and the HTTP API.",
)
@click.option("--keystore", type=FILE, metavar="FILE", help="The bot; default: a new one, printed.")
@click.option(
    "--write-keystore",
    type=FILE,
    metavar="FILE",
    help="Make a new bot's keystore, unless FILE is there.",
)
@click.option("--rate", type=RATE, metavar="R", default="1", help="Messages a second; default 1.")
@click.option("--messages", type=COUNT, metavar="N", help="How many; default: without end.")
def command(
    listen: Listen,
    keystore: Path | None,
    write_keystore: Path | None,
    rate: float,
    messages: int | None,
) -> None:
    """Serve a local Blaze and the HTTP API that goes with it until Ctrl-C."""
    if keystore and write_keystore:
        raise WrongUsage("--write-keystore: expected alone, since --keystore names one")
    path = keystore or write_keystore
    bot = _read_or_write(write_keystore) if write_keystore else _read(keystore)
    serving = serve(
        listen.host,
        listen.port,
        keystore=bot,
        rate=rate,
        messages=messages,
        on_start=lambda simulator: _announce(simulator, path),
        on_push=lambda message_id, category: click.echo(f"pushed {message_id} {category}"),
        on_entry=_print_entry,
    )
    try:
        run_loop(until_terminated(serving))
    except OSError as error:
        raise Failure(f"--listen: '{listen}': {error.strerror or error}") from None


def _read_or_write(path: Path) -> Mapping[str, Any]:
    """Make a keystore; one that is there already is used, so that a second start is as the first.

    It is written for its owner's eyes only.
    """
    bot = make_keystore()
    try:
        write_new(path, json.dumps(bot, indent=2))
    except FileExistsError:
        return _read(path, "--write-keystore")
    except (OSError, ValueError) as error:
        raise Failure(f"--write-keystore: '{path}': can't be written ({error})") from None
    return bot


def _read(path: Path | None, option: str = "--keystore") -> Mapping[str, Any]:
    """Read a keystore of any family; without one, make one."""
    if path is None:
        return make_keystore()
    try:
        keystore = json.loads(path.read_text(encoding="utf-8"))
        Bot.of(keystore)
    except OSError as error:
        why = error.strerror or "unusable"
        raise WrongUsage(f"{option}: '{path}': expected a readable file ({why})") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WrongUsage(f"{option}: '{path}': expected a keystore in JSON") from None
    return dict(keystore)


def _announce(simulator: Simulator, keystore: Path | None) -> None:
    """Print the settings with which a relay finds the simulator, as a shell takes them."""
    click.echo(f"RELAY_BLAZE_URL={simulator.blaze_url}")
    click.echo(f"RELAY_API_URL={simulator.api_url}")
    if keystore is not None:
        click.echo(f"RELAY_KEYSTORE_FILE={shlex.quote(str(keystore))}")
    else:  # a made-up bot's, that opens nothing but this simulator
        click.echo(f"RELAY_KEYSTORE={shlex.quote(simulator.keystore_json())}")


def _print_entry(entry: Entry) -> None:
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
