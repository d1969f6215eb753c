"""`relay replays`: how they go on, and ending one."""

import time
from pathlib import Path

import click

from relay.commands.failure import Failure, Family
from relay.commands.output import print_json, print_table
from relay.commands.params import COUNT, config_option, json_option
from relay.commands.store import read_settings, with_admin
from relay.model.replays import ReplayRecord
from relay.model.times import moment

_COLUMNS = (
    *("replay", "endpoint", "since", "until", "asked", "state"),
    *("pending", "delivered", "dead letters"),
)


@click.group(name="replays", cls=Family)
def command() -> None:
    """Look at replays, and end one of them."""


@command.command("list")
@config_option
@json_option
def list_replays(config: Path | None, *, as_json: bool) -> None:
    """List replays, the newest first: how much has been looked through, and what came of it."""
    found = with_admin(read_settings(config), lambda admin: admin.replays())
    if as_json:
        print_json(found)
    else:
        now = time.time()
        print_table(_COLUMNS, [_row(record, now) for record in found.replays])


@command.command()
@click.argument("number", type=COUNT)
@config_option
@json_option
def cancel(number: int, config: Path | None, *, as_json: bool) -> None:
    """Send no more of the replay NUMBER; what has been sent has been sent."""
    from relay.admin.operations import NotKnown

    try:
        record = with_admin(read_settings(config), lambda admin: admin.cancel_replay(number))
    except NotKnown:
        raise Failure(f"NUMBER: {number}: the journal knows no such replay") from None
    if as_json:
        print_json(record)
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
