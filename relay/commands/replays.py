"""`relay replays`: how they go on, and ending one."""

import json
import time
from pathlib import Path

import click

from relay.admin.answers import ReplayList, to_data
from relay.commands.desk import with_admin_store
from relay.commands.failure import Failure
from relay.commands.family import Family
from relay.commands.kinds import COUNT
from relay.commands.options import config_option, json_option
from relay.commands.printing import print_table
from relay.commands.settings import read_settings
from relay.model.replays import ReplayRecord
from relay.model.times import moment

_COLUMNS = (
    "replay",
    "endpoint",
    "since",
    "until",
    "asked",
    "state",
    "pending",
    "delivered",
    "dead letters",
)


@click.group(name="replays", cls=Family)
def command() -> None:
    """Look at replays, and end one of them."""


@command.command("list")
@config_option
@json_option
def list_replays(config: Path | None, *, as_json: bool) -> None:
    """List replays, the newest first: how much has been looked through, and what came of it."""
    records = with_admin_store(read_settings(config), lambda desk: desk.replays())
    if as_json:
        click.echo(json.dumps(to_data(ReplayList(records)), indent=2))
    else:
        now = time.time()
        print_table(_COLUMNS, [_row(record, now) for record in records])


@command.command()
@click.argument("number", type=COUNT)
@config_option
@json_option
def cancel(number: int, config: Path | None, *, as_json: bool) -> None:
    """Send no more of the replay NUMBER; what has been sent has been sent."""
    record = with_admin_store(
        read_settings(config), lambda desk: desk.cancel_replay(number, time.time())
    )
    if record is None:
        raise Failure(f"NUMBER: {number}: the journal knows no such replay")
    if as_json:
        click.echo(json.dumps(to_data(record), indent=2))
    elif record.cancelled:
        click.echo(f"replay {number} cancelled; a running relay takes notice within 5 seconds")
    else:
        click.echo(f"replay {number} had ended already")


def _row(record: ReplayRecord, now: float) -> tuple[str, ...]:
    return (
        str(record.number),
        str(record.endpoint),
        moment(record.since, now) if record.since else "the first",
        "-" if record.until is None else moment(record.until, now),
        moment(record.asked_at, now),
        _state(record, now),
        str(record.pending),
        str(record.delivered),
        str(record.dead),
    )


def _state(record: ReplayRecord, now: float) -> str:
    if record.ended_at is None:
        return f"{record.looked_through:.0%} looked through"
    return f"{'cancelled' if record.cancelled else 'ended'} {moment(record.ended_at, now)}"
