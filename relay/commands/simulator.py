"""`relay simulator`: a local Blaze, for developing a webhook without an account."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from relay.commands.params import COUNT, FILE, RATE
from relay.commands.serving import listen_option, secret_file, serve_until_terminated


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
def command(
    *,
    listen: Any,
    keystore: Path | None,
    write_keystore: Path | None,
    rate: float,
    messages: int | None,
) -> None:
    """Serve a local Blaze and the HTTP API that goes with it until Ctrl-C."""
    from relay.simulator.simulator import Simulator
    from relay.simulator.traffic import serve

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
        keystore=secret_file(*options, _new, _parse, "a keystore in JSON"),
        rate=rate,
        messages=messages,
        on_start=announce,
        on_push=lambda message_id, category: click.echo(f"pushed {message_id} {category}"),
        on_entry=_print_entry,
    )
    serve_until_terminated(serving, listen)


def _new() -> str:
    from relay.simulator.bots import make_keystore

    return json.dumps(make_keystore(), indent=2)


def _parse(text: str) -> Mapping[str, Any]:
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
