"""`relay endpoints`: how the webhooks fare, and holding one of them back."""

import json
import time
from pathlib import Path

import click

from relay.admin.answers import EndpointActed, EndpointList, to_data
from relay.admin.explain import troubles
from relay.commands.desk import find_endpoint, with_admin_store
from relay.commands.family import Family
from relay.commands.options import config_option, json_option
from relay.commands.printing import print_note, print_table
from relay.commands.settings import read_settings
from relay.journal.open import is_relayed
from relay.model.admin import AdminStore, EndpointRecord
from relay.model.messages import EndpointKey
from relay.model.times import moment

_COLUMNS = (
    "endpoint",
    "state",
    "pending",
    "oldest",
    "dead letters",
    "next probe",
    "last error",
)


@click.group(name="endpoints", cls=Family)
def command() -> None:
    """Look at the webhooks, and hold one of them back for a while."""


@command.command("list")
@config_option
@json_option
def list_endpoints(config: Path | None, *, as_json: bool) -> None:
    """List the endpoints that the journal knows: state, pending, oldest, last error, next probe."""
    settings = read_settings(config)
    records = with_admin_store(settings, lambda desk: desk.endpoints())
    if as_json:
        click.echo(json.dumps(to_data(EndpointList(records)), indent=2))
    else:
        now = time.time()
        print_table(_COLUMNS, [_row(record, now) for record in records])
        for line in troubles(records, now, relayed=is_relayed(settings.journal)):
            print_note(line)


@command.command()
@click.argument("name")
@config_option
@json_option
def pause(name: str, config: Path | None, *, as_json: bool) -> None:
    """Pause the endpoint NAME (or BOT/NAME) until it is resumed; everything for it is kept."""

    async def work(desk: AdminStore) -> EndpointKey:
        endpoint = await find_endpoint(desk, name)
        await desk.pause(endpoint)
        return endpoint

    _tell(with_admin_store(read_settings(config), work), "paused", as_json=as_json)


@command.command()
@click.argument("name")
@config_option
@json_option
def resume(name: str, config: Path | None, *, as_json: bool) -> None:
    """Let the endpoint NAME (or BOT/NAME) go on, paused or gone, and try one in trouble at once."""

    async def work(desk: AdminStore) -> EndpointKey:
        endpoint = await find_endpoint(desk, name)
        await desk.resume(endpoint)
        return endpoint

    _tell(with_admin_store(read_settings(config), work), "resumed", as_json=as_json)


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


def _tell(endpoint: EndpointKey, done: str, *, as_json: bool) -> None:
    if as_json:
        action = done.removesuffix("d")
        acted = EndpointActed(bot=endpoint.bot, endpoint=endpoint.name, action=action)
        click.echo(json.dumps(to_data(acted), indent=2))
    else:
        click.echo(f"{endpoint} {done}; a running relay takes notice within 5 seconds")
