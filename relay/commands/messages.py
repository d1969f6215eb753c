"""`relay messages`: what the journal knows of them."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from relay.admin.answers import MessageList, to_data
from relay.commands.contents import require_whole, with_bodies
from relay.commands.desk import find_endpoint, require_bot, with_admin_store
from relay.commands.failure import Failure, require_none
from relay.commands.family import Family
from relay.commands.filters import AGE, TIME, earliest
from relay.commands.kinds import COUNT, MESSAGE_ID, TEXT, one_of_enum
from relay.commands.options import config_option, json_option
from relay.commands.printing import print_note, print_table
from relay.commands.settings import read_settings
from relay.commands.timeline import print_history
from relay.config import Settings
from relay.model.admin import (
    AdminStore,
    MessageQuery,
    MessageState,
    MessageSummary,
    UnreadableRecord,
)
from relay.model.messages import MessageOutcome
from relay.model.times import moment

_LISTED = 50
"""What fits on a screen or two."""

_FRAME_COLUMNS = ("last seen", "digest", "bot", "why", "times", "front")
_COLUMNS = ("received", "message", "bot", "category", "conversation", "outcome", "receipt")


@click.group(name="messages", cls=Family)
def command() -> None:
    """Look at messages: which came, and what happened to one of them."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """The choice as it was typed."""

    bot: str | None
    endpoint: str | None
    conversation: str | None
    category: str | None
    state: MessageState | None
    outcome: MessageOutcome | None
    since: float | None
    until: float | None
    older_than: float | None
    cursor: int | None
    pending: bool
    finished: bool

    def mistakes(self) -> Iterator[str]:
        """Refuse what contradicts itself."""
        if self.pending and (self.finished or self.outcome):
            yield "--pending: expected alone, without --finished and --outcome"
        if self.state and (self.pending or self.finished or self.outcome):
            yield "--state: expected alone, without --pending, --finished and --outcome"

    async def query(self, desk: AdminStore, settings: Settings, limit: int) -> MessageQuery:
        """Put it as the journal understands it; names must be those of a bot and an endpoint."""
        await require_bot(desk, settings, self.bot)
        bot, endpoint = self.bot, self.endpoint
        if endpoint is not None:
            bot, endpoint = await find_endpoint(desk, endpoint, bot=bot, parameter="--endpoint")
        return MessageQuery(
            bot=bot,
            conversation_id=self.conversation and self.conversation.lower(),
            category=self.category,
            pending=True if self.pending else (False if self.finished else None),
            outcome=self.outcome,
            limit=limit,
            endpoint=endpoint,
            since=self.since,
            until=earliest(self.until, self.older_than, time.time()),
            after=self.cursor,
        ).narrowed(self.state)


@command.command("list")
@config_option
@json_option
@click.option("--bot", metavar="NAME", help="Only this bot's.")
@click.option("--endpoint", metavar="NAME", help="Only those owed to it: NAME or BOT/NAME.")
@click.option("--conversation", type=TEXT, metavar="ID", help="Only those of this conversation.")
@click.option("--category", type=TEXT, metavar="CATEGORY", help="Only those of this category.")
@click.option(
    "--state",
    type=one_of_enum(MessageState),
    help="pending: unfinished; failing: of these, an attempt failed and another is to come; or how "
    "it ended: read, unwanted, dead, discarded.",
)
@click.option("--outcome", type=one_of_enum(MessageOutcome), help="Only those that ended so.")
@click.option("--pending", is_flag=True, help="Only unfinished ones.")
@click.option("--finished", is_flag=True, help="Only finished ones.")
@click.option("--since", type=TIME, metavar="TIME", help="Came then or later; or an age, as in 2h.")
@click.option("--until", type=TIME, metavar="TIME", help="Came before then.")
@click.option("--older-than", type=AGE, metavar="AGE", help="Came longer ago, as in 2d.")
@click.option("--limit", type=COUNT, metavar="N", help=f"At most so many; default {_LISTED}.")
@click.option("--cursor", type=COUNT, metavar="CURSOR", help="Go on behind the page before.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
def list_messages(
    config: Path | None, *, limit: int | None, everything: bool, as_json: bool, **chosen: Any
) -> None:
    """List messages, the newest first."""
    chosen_filter = _Filter(**chosen)
    require_none(chosen_filter.mistakes())
    settings = read_settings(config)
    most = limit or (sys.maxsize if everything else _LISTED)

    async def work(desk: AdminStore) -> Sequence[MessageSummary]:
        return await desk.messages(await chosen_filter.query(desk, settings, most))

    found = with_admin_store(settings, work)
    cursor = str(found[-1].number) if len(found) == most else None
    if as_json:
        click.echo(json.dumps(to_data(MessageList(found, cursor)), indent=2))
        return
    now = time.time()
    print_table(_COLUMNS, [_row(message, now) for message in found])
    if cursor is not None:
        print_note(f"there may be more: --cursor {cursor}")


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhooks get, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell all that happened to the message ID: received, attempts, what comes next, receipt."""
    settings = read_settings(config)
    histories = with_admin_store(settings, lambda desk: desk.history(message_id))
    if not histories:
        raise Failure(f"ID: {message_id!r}: the journal knows no such message")
    bodies = with_bodies(histories, settings) if content else {}
    print_history(histories, bodies, as_json=as_json)
    if content:
        require_whole(histories)


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

    async def work(desk: AdminStore) -> Sequence[UnreadableRecord]:
        await require_bot(desk, settings, bot)
        return await desk.unreadable(bot, limit)

    found = with_admin_store(settings, work)
    now = time.time()
    if as_json:
        frames = [asdict(each) | {"sample": _text(each) if content else None} for each in found]
        click.echo(json.dumps({"frames": frames}, indent=2))
        return
    rows = [
        (
            moment(each.last_at, now),
            each.digest[:16],
            each.bot,
            each.why,
            str(each.times),
            *((_text(each),) if content else ()),
        )
        for each in found
    ]
    print_table(_FRAME_COLUMNS if content else _FRAME_COLUMNS[:-1], rows)


def _text(frame: UnreadableRecord) -> str:
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
