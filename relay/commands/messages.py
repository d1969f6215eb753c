"""`relay messages`: what the journal knows of them."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from relay.admin.requests import MESSAGE_FILTERS, message_query
from relay.commands.failure import Failure, Family
from relay.commands.history import print_histories
from relay.commands.output import print_json, print_note, print_table
from relay.commands.params import COUNT, MESSAGE_ID, filter_options
from relay.commands.session import Session, on_journal
from relay.model.admin import MessageSummary, UnreadableRecord
from relay.model.times import moment

_LISTED = 50
"""What fits on a screen or two."""

_COLUMNS = ("received", "message", "bot", "category", "conversation", "outcome", "receipt")
_FRAME_COLUMNS = ("last seen", "digest", "bot", "why", "times", "front")


@click.group(name="messages", cls=Family)
def command() -> None:
    """Look at messages: which came, and what happened to one of them."""


def _contradictions(asked: Mapping[str, Any]) -> Iterator[str]:
    ended = asked["finished"] or asked["outcome"]
    if asked["pending"] and ended:
        yield "--pending: expected alone, without --finished and --outcome"
    if asked["state"] and (asked["pending"] or ended):
        yield "--state: expected alone, without --pending, --finished and --outcome"


def _show_list(found: Any) -> None:
    now = time.time()
    print_table(_COLUMNS, [_row(message, now) for message in found.messages])
    if found.next_cursor is not None:
        print_note(f"there may be more: --cursor {found.next_cursor}")


def _row(message: MessageSummary, now: float) -> tuple[str, ...]:
    return (
        *(moment(message.received_at, now), message.message_id, message.bot, message.category),
        *(message.conversation_id, message.outcome or "pending", message.receipt),
    )


@command.command("list")
@filter_options(MESSAGE_FILTERS)
@click.option("--pending", is_flag=True, help="Only unfinished ones.")
@click.option("--finished", is_flag=True, help="Only finished ones.")
@click.option("--limit", type=COUNT, metavar="N", help=f"At most so many; default {_LISTED}.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
@on_journal(_show_list, mistakes=_contradictions)
async def list_messages(
    session: Session, *, limit: int | None, everything: bool, **asked: Any
) -> Any:
    """List messages, the newest first; times are those of their arrival."""
    pending = True if asked["pending"] else (False if asked["finished"] else None)
    most = limit or (sys.maxsize if everything else _LISTED)
    known = await session.known(asked) | {"pending": pending, "limit": most}
    return await session.admin.messages(message_query(known, time.time()))


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@click.option("--content", is_flag=True, help="Print the body that the webhooks get, too.")
@on_journal()
async def show(session: Session, message_id: str, *, content: bool) -> None:
    """Tell all that happened to the message ID: received, attempts, what comes next, receipt."""
    histories = await session.store.history(message_id)
    if not histories:
        raise Failure(f"ID: {message_id!r}: the journal knows no such message")
    print_histories(session, histories, content=content)


@command.command()
@click.option("--bot", metavar="NAME", help="Only this bot's.")
@click.option("--limit", type=COUNT, metavar="N", default=str(_LISTED), help="At most so many.")
@click.option("--content", is_flag=True, help="Print the front of each frame, too.")
@on_journal()
async def unreadable(session: Session, *, bot: str | None, limit: int, content: bool) -> None:
    """List frames from Mixin that were no message and no answer, the last seen first."""
    await session.require_bot(bot)
    found = await session.store.unreadable(bot, limit)
    if session.as_json:
        frames = [asdict(each) | {"sample": _front(each) if content else None} for each in found]
        print_json({"frames": frames})
    else:
        _print_frames(found, content=content)


def _print_frames(frames: Sequence[UnreadableRecord], *, content: bool) -> None:
    now = time.time()
    rows = [
        (
            *(moment(each.last_at, now), each.digest[:16], each.bot, each.why, str(each.times)),
            *((_front(each),) if content else ()),
        )
        for each in frames
    ]
    print_table(_FRAME_COLUMNS if content else _FRAME_COLUMNS[:-1], rows)


def _front(frame: UnreadableRecord) -> str:
    return frame.sample.decode(errors="backslashreplace")
