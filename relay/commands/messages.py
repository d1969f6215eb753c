"""`relay messages`: what the journal knows of them."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from relay.commands.contents import require_whole, with_bodies
from relay.commands.desk import at_desk
from relay.commands.failure import Failure, WrongUsage
from relay.commands.family import Family
from relay.commands.kinds import COUNT, MESSAGE_ID, one_of_enum
from relay.commands.options import config_option, json_option
from relay.commands.printing import moment, print_table
from relay.commands.settings import read_settings
from relay.commands.timeline import print_history
from relay.desk import MessageQuery, MessageSummary, UnreadableRecord
from relay.model import MessageOutcome
from relay.ops.admin_models import MessageList

_LISTED = 50
"""What fits on a screen or two."""

_FRAME_COLUMNS = ("last seen", "digest", "bot", "why", "times", "front")
_COLUMNS = ("received", "message", "bot", "category", "conversation", "outcome", "receipt")


@click.group(name="messages", cls=Family)
def command() -> None:
    """Look at messages: which came, and what happened to one of them."""


@command.command("list")
@config_option
@json_option
@click.option("--bot", metavar="NAME", help="Only this bot's.")
@click.option("--conversation", metavar="ID", help="Only those of this conversation.")
@click.option("--category", metavar="CATEGORY", help="Only those of this category.")
@click.option("--outcome", type=one_of_enum(MessageOutcome), help="Only those that ended so.")
@click.option("--pending", is_flag=True, help="Only unfinished ones.")
@click.option("--finished", is_flag=True, help="Only finished ones.")
@click.option("--limit", type=COUNT, metavar="N", help=f"At most so many; default {_LISTED}.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
def list_messages(
    *,
    config: Path | None,
    bot: str | None,
    conversation: str | None,
    category: str | None,
    outcome: MessageOutcome | None,
    limit: int | None,
    pending: bool,
    finished: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """List messages, the newest first."""
    if pending and (finished or outcome):
        raise WrongUsage("--pending: expected alone, without --finished and --outcome")
    query = MessageQuery(
        bot=bot,
        conversation_id=conversation and conversation.lower(),
        category=category,
        pending=True if pending else (False if finished else None),
        outcome=outcome,
        limit=limit or (sys.maxsize if everything else _LISTED),
    )
    found = at_desk(read_settings(config), lambda desk: desk.messages(query))
    if as_json:
        answer = MessageList.model_validate({"messages": found}, from_attributes=True)
        click.echo(answer.model_dump_json(indent=2))
    else:
        now = time.time()
        print_table(_COLUMNS, [_row(message, now) for message in found])


@command.command()
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
@click.option("--content", is_flag=True, help="Print the body that the webhooks get, too.")
def show(message_id: str, config: Path | None, *, content: bool, as_json: bool) -> None:
    """Tell all that happened to the message ID: received, attempts, what comes next, receipt."""
    settings = read_settings(config)
    histories = at_desk(settings, lambda desk: desk.history(message_id))
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
    found = at_desk(read_settings(config), lambda desk: desk.unreadable(bot, limit))
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
