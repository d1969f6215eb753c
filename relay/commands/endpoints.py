"""`relay endpoints`: how the webhooks fare, and holding one of them back."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.commands.failure import Family
from relay.commands.output import print_json, print_note, print_table
from relay.commands.params import config_option, json_option
from relay.commands.store import find_endpoint, read_settings, with_admin
from relay.model.admin import EndpointRecord
from relay.model.times import moment

if TYPE_CHECKING:
    from relay.admin.operations import AdminApi

_COLUMNS = ("endpoint", "state", "pending", "oldest", "dead letters", "next probe", "last error")


@click.group(name="endpoints", cls=Family)
def command() -> None:
    """Look at the webhooks, and hold one of them back for a while."""


@command.command("list")
@config_option
@json_option
def list_endpoints(config: Path | None, *, as_json: bool) -> None:
    """List the endpoints that the journal knows: state, pending, oldest, last error, next probe."""
    from relay.admin.explain import troubles
    from relay.journal.open import is_relayed

    settings = read_settings(config)
    found = with_admin(settings, lambda admin: admin.endpoints())
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(_COLUMNS, [_row(record, now) for record in found.endpoints])
    for line in troubles(found.endpoints, now, relayed=is_relayed(settings.journal)):
        print_note(line)


@command.command()
@click.argument("name")
@config_option
@json_option
def pause(name: str, config: Path | None, *, as_json: bool) -> None:
    """Pause the endpoint NAME (or BOT/NAME) until it is resumed; everything for it is kept."""
    _change(name, config, lambda admin: admin.pause, "paused", as_json=as_json)


@command.command()
@click.argument("name")
@config_option
@json_option
def resume(name: str, config: Path | None, *, as_json: bool) -> None:
    """Let the endpoint NAME (or BOT/NAME) go on, paused or gone, and try one in trouble at once."""
    _change(name, config, lambda admin: admin.resume, "resumed", as_json=as_json)


def _change(
    name: str, config: Path | None, change: Callable[[Any], Any], done: str, *, as_json: bool
) -> None:
    async def work(admin: "AdminApi") -> Any:
        return await change(admin)(*await find_endpoint(admin.store, name))

    changed = with_admin(read_settings(config), work)
    if as_json:
        print_json(changed)
    else:
        where = f"{changed.bot}/{changed.endpoint}"
        click.echo(f"{where} {done}; a running relay takes notice within 5 seconds")


def _row(record: EndpointRecord, now: float) -> tuple[str, ...]:
    state = record.note.state if record.configured else f"{record.note.state}, not configured"
    return (
        str(record.endpoint),
        state,
        str(record.pending),
        moment(record.oldest_at, now),
        str(record.dead_letters),
        moment(record.note.next_probe_at, now),
        record.note.last_error or "-",
    )
