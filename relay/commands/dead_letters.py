"""`relay dead-letters`: what was given up, and what an operator decides about it."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from relay.admin.batches import in_batches
from relay.commands.acting import Acting
from relay.commands.contents import require_whole, with_bodies
from relay.commands.desk import with_admin_store
from relay.commands.failure import Failure, require_none
from relay.commands.family import Family
from relay.commands.filters import PAGE
from relay.commands.kinds import MESSAGE_ID
from relay.commands.options import config_option, json_option
from relay.commands.selection import Selection, selecting
from relay.commands.settings import read_settings
from relay.commands.sheet import Sheet
from relay.commands.timeline import print_history
from relay.model.admin import AdminStore, DeadLetter, DeadLetterQuery, MessageHistory, Place

_LISTED = 100
"""What `list` shows unless told otherwise: a dead receiver leaves thousands."""

_AT_ONCE = 1000
"""Rows that are read at a time."""


@click.group(name="dead-letters", cls=Family)
def command() -> None:
    """Look at dead letters, send them again or give them up."""


@command.command("list")
@selecting
@click.option("--cursor", type=PAGE, metavar="CURSOR", help="Go on behind another page.")
@config_option
@json_option
def list_letters(
    config: Path | None, *, cursor: Place | None, as_json: bool, **chosen: Any
) -> None:
    """List dead letters, the oldest first: the first 100, unless --all or --limit is given."""
    selection = Selection(**chosen)
    if selection.limit is None and not selection.everything:
        selection = replace(selection, limit=_LISTED)
    settings, sheet = read_settings(config), Sheet(as_json=as_json)

    async def work(desk: AdminStore) -> None:
        query = await selection.query(desk, settings, time.time())
        last: DeadLetter | None = None
        async for letters in in_batches(
            desk.dead_letters, replace(query, after=cursor), size=_AT_ONCE
        ):
            sheet.add(letters)
            last = letters[-1]
        full = last is not None and sheet.count == query.limit
        sheet.end(str(last.place) if last and full else None)

    with_admin_store(settings, work)


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhook got, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell what happened to the message ID on its way to where it is a dead letter."""
    settings = read_settings(config)

    async def work(desk: AdminStore) -> list[MessageHistory]:
        letters = await desk.dead_letters(DeadLetterQuery(message_ids=(message_id,)))
        dead = {letter.endpoint for letter in letters}
        histories = [
            replace(history, deliveries=tuple(d for d in history.deliveries if d.endpoint in dead))
            for history in await desk.history(message_id)
        ]
        return [history for history in histories if history.deliveries]

    histories = with_admin_store(settings, work)
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
    settings = read_settings(config)

    async def work(desk: AdminStore) -> tuple[set[str], list[DeadLetter]]:
        now = time.time()
        query = await selection.query(desk, settings, now)
        acting = Acting(desk, "due again", as_json=as_json)
        acted = await acting.on(query, lambda part: desk.retry(part, now))
        return acted, await _not_revived(desk, query) if query.limit is None else []

    acted, left = with_admin_store(settings, work)
    if left:
        raise Failure(*(_not_configured(letter) for letter in left))
    _require_all(selection, acted)


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
    settings = read_settings(config)

    async def work(desk: AdminStore) -> set[str]:
        now = time.time()
        query = await selection.query(desk, settings, now)
        acting = Acting(desk, "discarded", as_json=as_json)
        return await acting.on(query, lambda part: desk.discard(part, now, mark_read=mark_read))

    _require_all(selection, with_admin_store(settings, work))


async def _not_revived(desk: AdminStore, query: DeadLetterQuery) -> list[DeadLetter]:
    """Find some of those that stay dead, since nobody would attempt them."""
    left: list[DeadLetter] = []
    for record in await desk.endpoints():
        key = record.endpoint
        asked = query.bot in (None, key.bot) and query.endpoint in (None, key.name)
        if asked and not record.configured:
            theirs = replace(query, bot=key.bot, endpoint=key.name, limit=_LISTED - len(left))
            left += await desk.dead_letters(theirs)
    return left


def _require_all(selection: Selection, acted: set[str]) -> None:
    """Raise `Failure` for ids that are no dead letter's."""
    missing = {*selection.message_ids} - acted
    if missing and selection.limit is None:
        raise _unknown(*sorted(missing))


def _not_configured(letter: DeadLetter) -> str:
    where = f"{letter.endpoint} is not configured"
    return f"ID: {letter.message_id!r}: stays dead, since {where}; it revives when that is back"


def _unknown(*message_ids: str) -> Failure:
    return Failure(*(f"ID: {each!r}: expected the id of a dead letter" for each in message_ids))
