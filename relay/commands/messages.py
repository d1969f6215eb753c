"""`relay messages`: what the journal knows of them."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.admin.requests import MESSAGE_FILTERS, message_query
from relay.commands.failure import Failure, Family, require_none
from relay.commands.history import print_histories
from relay.commands.output import print_json, print_note, print_table
from relay.commands.params import COUNT, MESSAGE_ID, config_option, filter_options, json_option
from relay.commands.store import read_settings, require_bot, with_admin, with_known_names
from relay.model.admin import MessageSummary, UnreadableRecord
from relay.model.times import moment

if TYPE_CHECKING:
    from relay.admin.operations import AdminApi

_LISTED = 50
"""What fits on a screen or two."""

_COLUMNS = ("received", "message", "bot", "category", "conversation", "outcome", "receipt")
_FRAME_COLUMNS = ("last seen", "digest", "bot", "why", "times", "front")


@click.group(name="messages", cls=Family)
def command() -> None:
    """Look at messages: which came, and what happened to one of them."""


@command.command("list")
@config_option
@json_option
@filter_options(MESSAGE_FILTERS)
@click.option("--pending", is_flag=True, help="Only unfinished ones.")
@click.option("--finished", is_flag=True, help="Only finished ones.")
@click.option("--limit", type=COUNT, metavar="N", help=f"At most so many; default {_LISTED}.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
def list_messages(
    config: Path | None,
    *,
    limit: int | None,
    everything: bool,
    pending: bool,
    finished: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """List messages, the newest first; times are those of their arrival."""
    alone = "expected alone, without"
    ended = finished or filters["outcome"]
    require_none(
        [
            f"--pending: {alone} --finished and --outcome" if pending and ended else None,
            f"--state: {alone} --pending, --finished and --outcome"
            if filters["state"] and (pending or ended)
            else None,
        ]
    )
    settings = read_settings(config)
    asked = {
        "limit": limit or (sys.maxsize if everything else _LISTED),
        "pending": True if pending else (False if finished else None),
    }

    async def work(admin: "AdminApi") -> Any:
        known = await with_known_names(admin.store, settings, filters)
        return await admin.messages(message_query(known | asked, time.time()))

    found = with_admin(settings, work)
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(_COLUMNS, [_row(message, now) for message in found.messages])
    if found.next_cursor is not None:
        print_note(f"there may be more: --cursor {found.next_cursor}")


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhooks get, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell all that happened to the message ID: received, attempts, what comes next, receipt."""
    settings = read_settings(config)
    histories = with_admin(settings, lambda admin: admin.store.history(message_id))
    if not histories:
        raise Failure(f"ID: {message_id!r}: the journal knows no such message")
    print_histories(histories, settings if content else None, as_json=as_json)


@command.command()
@config_option
@json_option
@click.option("--bot", metavar="NAME", help="Only this bot's.")
@click.option("--limit", type=COUNT, metavar="N", default=str(_LISTED), help="At most so many.")
@click.option("--content", is_flag=True, help="Print the front of each frame, too.")
def unreadable(
    config: Path | None, bot: str | None, limit: int, *, content: bool, as_json: bool
) -> None:
    """List frames from Mixin that were no message and no answer, the last seen first."""
    settings = read_settings(config)

    async def work(admin: "AdminApi") -> Sequence[UnreadableRecord]:
        await require_bot(admin.store, settings, bot)
        return await admin.store.unreadable(bot, limit)

    found = with_admin(settings, work)
    if as_json:
        frames = [asdict(each) | {"sample": _front(each) if content else None} for each in found]
        print_json({"frames": frames})
        return
    now = time.time()
    rows = [
        (
            *(moment(each.last_at, now), each.digest[:16], each.bot, each.why, str(each.times)),
            *((_front(each),) if content else ()),
        )
        for each in found
    ]
    print_table(_FRAME_COLUMNS if content else _FRAME_COLUMNS[:-1], rows)


def _front(frame: UnreadableRecord) -> str:
    return frame.sample.decode(errors="backslashreplace")


def _row(message: MessageSummary, now: float) -> tuple[str, ...]:
    return (
        moment(message.received_at, now),
        message.message_id,
        message.bot,
        message.category,
        message.conversation_id,
        message.outcome or "pending",
        message.receipt,
    )
