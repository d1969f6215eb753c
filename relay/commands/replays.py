"""`relay replays`: how they go on, and ending one."""

import time
from typing import Any

import click

from relay.commands.failure import Failure, Family
from relay.commands.output import print_table
from relay.commands.params import COUNT
from relay.commands.session import Session, on_journal
from relay.model.replays import ReplayRecord
from relay.model.times import moment

_COLUMNS = (
    *("replay", "endpoint", "since", "until", "asked", "state"),
    *("pending", "delivered", "dead letters"),
)


@click.group(name="replays", cls=Family)
def command() -> None:
    """Look at replays, and end one of them."""


def _show_list(found: Any) -> None:
    now = time.time()
    print_table(_COLUMNS, [_row(record, now) for record in found.replays])


def _row(record: ReplayRecord, now: float) -> tuple[str, ...]:
    if record.ended_at is None:
        state = f"{record.looked_through:.0%} looked through"
    else:
        state = f"{'cancelled' if record.cancelled else 'ended'} {moment(record.ended_at, now)}"
    since = moment(record.since, now) if record.since else "the first"
    return (
        *(str(record.number), str(record.endpoint), since, moment(record.until, now)),
        *(moment(record.asked_at, now), state),
        *(str(record.pending), str(record.delivered), str(record.dead)),
    )


@command.command("list")
@on_journal(_show_list)
async def list_replays(session: Session) -> Any:
    """List replays, the newest first: how much has been looked through, and what came of it."""
    return await session.admin.replays()


def _show_end(record: ReplayRecord) -> None:
    if record.cancelled:
        soon = "a running relay takes notice within 5 seconds"
        click.echo(f"replay {record.number} cancelled; {soon}")
    else:
        click.echo(f"replay {record.number} had ended already")


@command.command()
@click.argument("number", type=COUNT)
@on_journal(_show_end)
async def cancel(session: Session, number: int) -> Any:
    """Send no more of the replay NUMBER; what has been sent has been sent."""
    record = await session.store.cancel_replay(number, time.time())
    if record is None:
        raise Failure(f"NUMBER: {number}: the journal knows no such replay")
    return record
