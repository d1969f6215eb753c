"""`relay dead-letters`: what was given up, and what an operator decides about it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from relay.commands.contents import require_whole, with_bodies
from relay.commands.desk import at_desk
from relay.commands.failure import Failure, require_none
from relay.commands.family import Family
from relay.commands.kinds import MESSAGE_ID
from relay.commands.options import config_option, json_option
from relay.commands.printing import moment, print_note, print_table
from relay.commands.selection import Selection, selecting
from relay.commands.settings import read_settings
from relay.commands.timeline import print_history
from relay.desk import DeadLetter, DeadLetterQuery, Desk, MessageHistory
from relay.ops.admin_models import DeadLetterList

_LISTED = 100
"""What `list` shows unless told otherwise: a dead receiver leaves thousands."""

_COLUMNS = ("died", "message", "endpoint", "category", "attempts", "reason", "status", "detail")


@click.group(name="dead-letters", cls=Family)
def command() -> None:
    """Look at dead letters, send them again or give them up."""


@command.command("list")
@selecting
@config_option
@json_option
def list_letters(config: Path | None, *, as_json: bool, **chosen: Any) -> None:
    """List dead letters, the oldest first: the first 100, unless --all or --limit is given."""
    selection = Selection(**chosen)
    if selection.limit is None and not selection.everything:
        selection = replace(selection, limit=_LISTED)

    async def work(desk: Desk) -> Sequence[DeadLetter]:
        return await desk.dead_letters(await selection.query(desk, time.time()))

    _print(at_desk(read_settings(config), work), as_json=as_json)


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhook got, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell what happened to the message ID on its way to where it is a dead letter."""
    settings = read_settings(config)

    async def work(desk: Desk) -> list[MessageHistory]:
        letters = await desk.dead_letters(DeadLetterQuery(message_ids=(message_id,)))
        dead = {letter.endpoint for letter in letters}
        histories = [
            replace(history, deliveries=tuple(d for d in history.deliveries if d.endpoint in dead))
            for history in await desk.history(message_id)
        ]
        return [history for history in histories if history.deliveries]

    histories = at_desk(settings, work)
    if not histories:
        raise _unknown(message_id)
    print_history(histories, with_bodies(histories, settings) if content else {}, as_json=as_json)
    if content:
        require_whole(histories)


@command.command()
@selecting
@config_option
@json_option
def retry(config: Path | None, *, as_json: bool, **chosen: Any) -> None:
    """Make dead letters due again at once, as if they were new."""
    selection = Selection(**chosen)
    require_none(selection.mistakes())

    async def work(desk: Desk) -> tuple[Sequence[DeadLetter], Sequence[DeadLetter]]:
        now = time.time()
        query = await selection.query(desk, now)
        letters = await desk.retry(query, now)
        return letters, await desk.dead_letters(query) if query.limit is None else ()

    letters, left = at_desk(read_settings(config), work)
    _conclude(letters, selection, "due again", as_json=as_json, left=left)


@command.command()
@selecting
@click.option("--yes", is_flag=True, help="Yes, for good.")
@click.option("--mark-read", is_flag=True, help="Let Mixin know that the messages are READ.")
@config_option
@json_option
def discard(
    config: Path | None, *, yes: bool, mark_read: bool, as_json: bool, **chosen: Any
) -> None:
    """Give dead letters up for good. Their messages stay unread, unless --mark-read is given."""
    selection = Selection(**chosen)
    need = None if yes else "--yes: missing; expected, since what is discarded never comes back"
    require_none([*selection.mistakes(), need])

    async def work(desk: Desk) -> Sequence[DeadLetter]:
        now = time.time()
        return await desk.discard(await selection.query(desk, now), now, mark_read=mark_read)

    _conclude(at_desk(read_settings(config), work), selection, "discarded", as_json=as_json)


def _conclude(
    letters: Sequence[DeadLetter],
    selection: Selection,
    done: str,
    *,
    as_json: bool,
    left: Sequence[DeadLetter] = (),
) -> None:
    """Print what was acted on; what could not be is a failure after that."""
    _print(letters, as_json=as_json)
    if not as_json:
        print_note(f"{len(letters)} {done}; a running relay takes notice within 5 seconds")
    if left:
        raise Failure(*(_not_configured(letter) for letter in left[:_LISTED]))
    missing = {*selection.message_ids} - {letter.message_id for letter in letters}
    if missing and selection.limit is None:
        raise _unknown(*sorted(missing))


def _not_configured(letter: DeadLetter) -> str:
    where = f"{letter.endpoint} is not configured"
    return f"ID: {letter.message_id!r}: stays dead, since {where}; it revives when that is back"


def _unknown(*message_ids: str) -> Failure:
    return Failure(*(f"ID: {each!r}: expected the id of a dead letter" for each in message_ids))


def _print(letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        answer = DeadLetterList.model_validate({"dead_letters": letters}, from_attributes=True)
        click.echo(answer.model_dump_json(indent=2))
    else:
        now = time.time()
        print_table(_COLUMNS, [_row(letter, now) for letter in letters])


def _row(letter: DeadLetter, now: float) -> tuple[str, ...]:
    return (
        moment(letter.ended_at, now),
        letter.message_id,
        str(letter.endpoint),
        letter.category,
        str(letter.attempts),
        letter.reason if letter.replay is None else f"{letter.reason}, replay {letter.replay}",
        "-" if letter.status is None else str(letter.status),
        letter.detail or "-",
    )
