"""`relay dead-letters`: what was given up, and what an operator decides about it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from relay.admin.parameters import Parameter
from relay.admin.requests import DEAD_LETTER_FILTERS, Act, dead_letter_query, in_batches
from relay.commands.messages import print_histories
from relay.commands.output import print_note, print_table, progress
from relay.commands.usage import COUNT, MESSAGE_ID, Failure, Family, filter_options
from relay.commands.with_journal import Session, on_journal
from relay.model.admin import DeadLetter, DeadLetterQuery
from relay.model.ports import JournalDamaged, JournalUnavailable
from relay.model.times import moment

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


def _selecting(filters: Mapping[str, Parameter]) -> Callable[[F], F]:
    """Add the arguments and options by which dead letters are chosen."""

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


_ACT_ON = {name: each for name, each in DEAD_LETTER_FILTERS.items() if name != "cursor"}


@command.command("list")
@_selecting(DEAD_LETTER_FILTERS)
@on_journal()
async def list_letters(session: Session, **chosen: Any) -> None:
    """List dead letters, the oldest first: the first 100, unless --all or --limit is given."""
    limit = chosen["limit"] or (None if chosen["everything"] else _LISTED)
    query = await _query(session, {**chosen, "limit": limit})
    sheet = Sheet(as_json=session.as_json)
    last: DeadLetter | None = None
    async for letters in in_batches(session.store.dead_letters, query, size=_AT_ONCE):
        sheet.add(letters)
        last = letters[-1]
    sheet.end(str(last.place) if last and sheet.count == limit else None)


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@click.option("--content", is_flag=True, help="Print the body that the webhook got, too.")
@on_journal()
async def show(session: Session, message_id: str, *, content: bool) -> None:
    """Tell what happened to the message ID on its way to where it is a dead letter."""
    letters = await session.store.dead_letters(DeadLetterQuery(message_ids=(message_id,)))
    dead = {letter.endpoint for letter in letters}
    histories = [
        replace(history, deliveries=tuple(d for d in history.deliveries if d.endpoint in dead))
        for history in await session.store.history(message_id)
    ]
    of_dead = [history for history in histories if history.deliveries]
    if not of_dead:
        raise _unknown(message_id)
    print_histories(session, of_dead, content=content)


def _mistakes(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Refuse what names nothing, and what contradicts itself."""
    narrowed = any(chosen[name] is not None for name in _ACT_ON)
    if chosen["message_ids"] and chosen["everything"]:
        yield "--all: expected alone or with filters, since IDs are given"
    if not (chosen["message_ids"] or chosen["everything"] or narrowed):
        yield "ID: missing; expected IDs, a filter such as --endpoint NAME, or --all"
    if not chosen.get("yes", True):
        yield "--yes: missing; expected, since what is discarded never comes back"


@command.command()
@_selecting(_ACT_ON)
@on_journal(mistakes=_mistakes)
async def retry(session: Session, **chosen: Any) -> None:
    """Make dead letters due again at once, as if they were new."""
    query, now = await _query(session, chosen), time.time()
    acted = await _act_on(session, query, lambda part: session.store.retry(part, now), "due again")
    left = await _not_revived(session, query) if query.limit is None else []
    if left:
        raise Failure(*(_not_configured(letter) for letter in left))
    _require_all(query, acted)


@command.command()
@_selecting(_ACT_ON)
@click.option("--yes", is_flag=True, help="Yes, for good.")
@click.option("--mark-read", is_flag=True, help="Let Mixin know that the messages are READ.")
@on_journal(mistakes=_mistakes)
async def discard(session: Session, *, mark_read: bool, **chosen: Any) -> None:
    """Give dead letters up for good. Their messages stay unread, unless --mark-read is given."""
    query, now = await _query(session, chosen), time.time()
    act: Act = lambda part: session.store.discard(part, now, mark_read=mark_read)  # noqa: E731 - a name for the type
    _require_all(query, await _act_on(session, query, act, "discarded"))


async def _query(session: Session, chosen: Mapping[str, Any]) -> DeadLetterQuery:
    known = {"cursor": None, **await session.known(chosen)}
    known["message_ids"] = chosen["message_ids"] or None
    return dead_letter_query(known, time.time())


async def _act_on(session: Session, query: DeadLetterQuery, act: Act, done: str) -> set[str]:
    """Act on what a query asks for as it is now, some at a time, and print it.

    `done` is the word for what is done. Answers with the ids if the query names some. Raises
    `Failure` if the journal fails half-way, and says how far it came.
    """
    from asyncio import sleep

    sheet, acted = Sheet(as_json=session.as_json, holds=True), set[str]()
    try:
        if query.message_ids is None:
            total = await session.store.count_dead_letters(query)
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
        if not session.as_json:
            soon = "a running relay takes notice within 5 seconds"
            print_note(f"{sheet.count} {done}; {soon}")
    return acted


async def _not_revived(session: Session, query: DeadLetterQuery) -> list[DeadLetter]:
    """Find some of those that stay dead, since nobody would attempt them."""
    left: list[DeadLetter] = []
    for record in await session.store.endpoints():
        key = record.endpoint
        asked = query.bot in (None, key.bot) and query.endpoint in (None, key.name)
        if asked and not record.configured:
            theirs = replace(query, bot=key.bot, endpoint=key.name, limit=_LISTED - len(left))
            left += await session.store.dead_letters(theirs)
    return left


def _require_all(query: DeadLetterQuery, acted: set[str]) -> None:
    """Raise `Failure` for ids that are no dead letter's."""
    missing = {*(query.message_ids or ())} - acted
    if missing and query.limit is None:
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
