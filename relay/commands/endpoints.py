"""`relay endpoints`: how the webhooks fare, and holding one of them back."""

import time
from typing import Any

import click

from relay.commands.output import print_note, print_table
from relay.commands.usage import Family
from relay.commands.with_journal import Session, on_journal
from relay.model.admin import EndpointRecord
from relay.model.times import moment

_COLUMNS = ("endpoint", "state", "pending", "oldest", "dead letters", "next probe", "last error")


@click.group(name="endpoints", cls=Family)
def command() -> None:
    """Look at the webhooks, and hold one of them back for a while."""


def _row(record: EndpointRecord, now: float) -> tuple[str, ...]:
    state = record.note.state if record.configured else f"{record.note.state}, not configured"
    return (
        *(str(record.endpoint), state, str(record.pending), moment(record.oldest_at, now)),
        *(str(record.dead_letters), moment(record.note.next_probe_at, now)),
        record.note.last_error or "-",
    )


@command.command("list")
@on_journal()
async def list_endpoints(session: Session) -> Any:
    """List the endpoints that the journal knows: state, pending, oldest, last error, next probe."""
    from relay.admin.explain_sentences import troubles

    found = await session.admin.endpoints()
    if session.as_json:
        return found
    now, relayed = time.time(), session.admin.relayed()
    print_table(_COLUMNS, [_row(record, now) for record in found.endpoints])
    for line in troubles(found.endpoints, now, relayed=relayed):
        print_note(line)
    return None


def _show_change(acted: Any) -> None:
    where = f"{acted.bot}/{acted.endpoint}"
    click.echo(f"{where} {acted.action}d; a running relay takes notice within 5 seconds")


@command.command()
@click.argument("name")
@on_journal(_show_change)
async def pause(session: Session, name: str) -> Any:
    """Pause the endpoint NAME (or BOT/NAME) until it is resumed; everything for it is kept."""
    return await session.admin.pause(*await session.endpoint(name))


@command.command()
@click.argument("name")
@on_journal(_show_change)
async def resume(session: Session, name: str) -> Any:
    """Let the endpoint NAME (or BOT/NAME) go on, paused or gone, and try one in trouble at once."""
    return await session.admin.resume(*await session.endpoint(name))
