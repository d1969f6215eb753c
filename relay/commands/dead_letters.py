"""`relay dead-letters`: what was given up, and what an operator decides about it."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from relay.admin.batches import Act, in_batches
from relay.admin.requests import DEAD_LETTER_FILTERS, dead_letter_query
from relay.commands.failure import Failure, Family, require_none
from relay.commands.history import print_histories
from relay.commands.output import print_note, print_table, progress
from relay.commands.params import COUNT, MESSAGE_ID, config_option, filter_options, json_option
from relay.commands.store import read_settings, with_admin, with_known_names
from relay.model.admin import AdminStore, DeadLetter, DeadLetterQuery, MessageHistory
from relay.model.ports import JournalDamaged, JournalUnavailable
from relay.model.times import moment

if TYPE_CHECKING:
    from relay.admin.operations import AdminApi
    from relay.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

_LISTED = 100
"""What `list` shows unless told otherwise: a dead receiver leaves thousands."""

_SHOWN = 20
"""What a person is shown of what was acted on, half a screen; programs get all of it."""

_AT_ONCE = 1000
"""Rows that are read at a time."""

_SHARE = 0.5
"""Between two batches the journal is left to the relay for this part of the time that one took."""

_COLUMNS = ("died", "message", "endpoint", "category", "attempts", "reason", "status", "detail")


@click.group(name="dead-letters", cls=Family)
def command() -> None:
    """Look at dead letters, send them again or give them up."""


def _selecting(*without: str) -> Callable[[F], F]:
    """Add the arguments and options by which dead letters are chosen."""
    filters = {name: each for name, each in DEAD_LETTER_FILTERS.items() if name not in without}

    def add(function: F) -> F:
        for option in (
            click.option("--limit", type=COUNT, metavar="N", help="At most so many, the oldest."),
            filter_options(filters),
            click.option("--all", "everything", is_flag=True, help="All that the filters let by."),
            click.argument("message_ids", type=MESSAGE_ID, metavar="[ID]...", nargs=-1),
        ):
            function = option(function)
        return function

    return add


@command.command("list")
@_selecting()
@config_option
@json_option
def list_letters(config: Path | None, *, as_json: bool, **chosen: Any) -> None:
    """List dead letters, the oldest first: the first 100, unless --all or --limit is given."""
    settings, sheet = read_settings(config), Sheet(as_json=as_json)
    most = chosen["limit"] or (None if chosen["everything"] else _LISTED)

    async def work(admin: "AdminApi") -> None:
        query = await _query(admin.store, settings, chosen, most)
        last: DeadLetter | None = None
        async for letters in in_batches(admin.store.dead_letters, query, size=_AT_ONCE):
            sheet.add(letters)
            last = letters[-1]
        full = last is not None and sheet.count == query.limit
        sheet.end(str(last.place) if last and full else None)

    with_admin(settings, work)


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhook got, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell what happened to the message ID on its way to where it is a dead letter."""
    settings = read_settings(config)

    async def work(admin: "AdminApi") -> list[MessageHistory]:
        letters = await admin.store.dead_letters(DeadLetterQuery(message_ids=(message_id,)))
        dead = {letter.endpoint for letter in letters}
        histories = [
            replace(history, deliveries=tuple(d for d in history.deliveries if d.endpoint in dead))
            for history in await admin.store.history(message_id)
        ]
        return [history for history in histories if history.deliveries]

    histories = with_admin(settings, work)
    if not histories:
        raise _unknown(message_id)
    print_histories(histories, settings if content else None, as_json=as_json)


@command.command()
@_selecting("cursor")
@config_option
@json_option
def retry(config: Path | None, *, as_json: bool, **chosen: Any) -> None:
    """Make dead letters due again at once, as if they were new."""
    require_none([_mistake(chosen)])
    settings = read_settings(config)

    async def work(admin: "AdminApi") -> tuple[set[str], list[DeadLetter]]:
        now, store = time.time(), admin.store
        query = await _query(store, settings, chosen, chosen["limit"])
        acting = _act_on(
            store, query, lambda part: store.retry(part, now), "due again", as_json=as_json
        )
        return await acting, await _not_revived(store, query) if query.limit is None else []

    acted, left = with_admin(settings, work)
    if left:
        raise Failure(*(_not_configured(letter) for letter in left))
    _require_all(chosen, acted)


@command.command()
@_selecting("cursor")
@click.option("--yes", is_flag=True, help="Yes, for good.")
@click.option("--mark-read", is_flag=True, help="Let Mixin know that the messages are READ.")
@config_option
@json_option
def discard(
    config: Path | None, *, yes: bool, mark_read: bool, as_json: bool, **chosen: Any
) -> None:
    """Give dead letters up for good. Their messages stay unread, unless --mark-read is given."""
    need = None if yes else "--yes: missing; expected, since what is discarded never comes back"
    require_none([_mistake(chosen), need])
    settings = read_settings(config)

    async def work(admin: "AdminApi") -> set[str]:
        now, store = time.time(), admin.store
        query = await _query(store, settings, chosen, chosen["limit"])
        act: Act = lambda part: store.discard(part, now, mark_read=mark_read)  # noqa: E731 - a name for the type
        return await _act_on(store, query, act, "discarded", as_json=as_json)

    _require_all(chosen, with_admin(settings, work))


def _mistake(chosen: Mapping[str, Any]) -> str | None:
    """Refuse what names nothing, and what contradicts itself."""
    if chosen["message_ids"] and chosen["everything"]:
        return "--all: expected alone or with filters, since IDs are given"
    narrowed = any(chosen.get(name) is not None for name in DEAD_LETTER_FILTERS)
    if not (chosen["message_ids"] or chosen["everything"] or narrowed):
        return "ID: missing; expected IDs, a filter such as --endpoint NAME, or --all"
    return None


async def _query(
    store: AdminStore, settings: "Settings", chosen: Mapping[str, Any], limit: int | None
) -> DeadLetterQuery:
    known = {"cursor": None} | await with_known_names(store, settings, chosen)
    known |= {"message_ids": chosen["message_ids"] or None, "limit": limit}
    return dead_letter_query(known, time.time())


async def _act_on(
    store: AdminStore, query: DeadLetterQuery, act: Act, done: str, *, as_json: bool
) -> set[str]:
    """Act on what a query asks for as it is now, some at a time, and print it.

    `done` is the word for what is done. Answers with the ids if the query names some. Raises
    `Failure` if the journal fails half-way, and says how far it came.
    """
    from asyncio import sleep

    sheet, acted = Sheet(as_json=as_json, holds=True), set[str]()
    try:
        if query.message_ids is None:
            total = await store.count_dead_letters(query)
        else:  # there may be more than one statement takes
            total = len(set(query.message_ids))
        meant = min(total, query.limit or total)
        # What dies again while this goes on is not what was meant.
        most = meant if query.message_ids is None else query.limit
        with progress(done) as (begin, advance):
            begin(meant)
            began = time.monotonic()
            async for letters in in_batches(act, replace(query, limit=most)):
                sheet.add(letters)
                advance(len(letters))
                if query.message_ids is not None:
                    acted.update(letter.message_id for letter in letters)
                await sleep(_SHARE * (time.monotonic() - began))
                began = time.monotonic()
    except (JournalUnavailable, JournalDamaged) as error:
        came = f"{sheet.count} {done} before that; the same again goes on from there"
        raise Failure(f"journal {error}; {came}") from None
    finally:  # what is done is told, also after Ctrl-C
        sheet.end()
        if not as_json:
            soon = "a running relay takes notice within 5 seconds"
            print_note(f"{sheet.count} {done}; {soon}")
    return acted


async def _not_revived(store: AdminStore, query: DeadLetterQuery) -> list[DeadLetter]:
    """Find some of those that stay dead, since nobody would attempt them."""
    left: list[DeadLetter] = []
    for record in await store.endpoints():
        key = record.endpoint
        asked = query.bot in (None, key.bot) and query.endpoint in (None, key.name)
        if asked and not record.configured:
            theirs = replace(query, bot=key.bot, endpoint=key.name, limit=_LISTED - len(left))
            left += await store.dead_letters(theirs)
    return left


def _require_all(chosen: Mapping[str, Any], acted: set[str]) -> None:
    """Raise `Failure` for ids that are no dead letter's."""
    missing = {*chosen["message_ids"]} - acted
    if missing and chosen["limit"] is None:
        raise _unknown(*sorted(missing))


def _not_configured(letter: DeadLetter) -> str:
    where = f"{letter.endpoint} is not configured"
    return f"ID: {letter.message_id!r}: stays dead, since {where}; it revives when that is back"


def _unknown(*message_ids: str) -> Failure:
    return Failure(*(f"ID: {each!r}: expected the id of a dead letter" for each in message_ids))


class Sheet:
    """Prints batches of dead letters, of which there may be millions, and how many they were.

    With `holds` a table on a terminal waits for the end, so that a progress bar has the screen.
    """

    def __init__(self, *, as_json: bool, holds: bool = False) -> None:
        self.count = 0
        self._as_json = as_json
        self._holds = holds and sys.stdout.isatty()
        self._held: list[DeadLetter] = []

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Print some more, or keep them until the end."""
        if self._as_json:
            self._print_documents(letters)
        elif self._holds:
            self._held += letters[: _SHOWN - len(self._held)]
        else:
            _print(letters)
        self.count += len(letters)

    def end(self, cursor: str | None = None) -> None:
        """Print what is left to print."""
        if self._as_json:
            head = "" if self.count else '{"dead_letters": ['
            rest = f'"{cursor}"' if cursor else "null"
            click.echo(f'{head}\n], "count": {self.count}, "next_cursor": {rest}}}')
            return
        if self._held or not self.count:
            _print(self._held)
        if self._holds and self.count > len(self._held):
            print_note(f"and {self.count - len(self._held)} more")
        if cursor:
            print_note(f"there may be more: --cursor {cursor}, --limit N or --all")

    def _print_documents(self, letters: Sequence[DeadLetter]) -> None:
        from relay.admin.answers import to_json

        for number, letter in enumerate(letters, self.count):
            click.echo("," if number else '{"dead_letters": [', nl=False)
            click.echo(f"\n  {to_json(letter)}", nl=False)


def _print(letters: Sequence[DeadLetter]) -> None:
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
