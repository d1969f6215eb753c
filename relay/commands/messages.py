"""`relay messages` and `relay explain`: what the journal knows of messages, printed."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from relay.admin.requests import MESSAGE_FILTERS, message_query
from relay.commands.output import (
    cleaned,
    indented,
    paragraph,
    print_json,
    print_note,
    print_table,
    took,
)
from relay.commands.usage import COUNT, MESSAGE_ID, Failure, Family, filter_options
from relay.commands.with_journal import Session, on_journal
from relay.model.admin import (
    AttemptRecord,
    DeliveryRecord,
    MessageHistory,
    MessageSummary,
    UnreadableRecord,
)
from relay.model.messages import BreakerState, DeliveryState, Message, ReceiptState
from relay.model.times import moment

if TYPE_CHECKING:
    from relay.config import Settings


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


_PARTS = (
    ("What happened", "happened"),
    ("What it waits for", "waits_for"),
    ("What comes next", "next"),
    ("What may help", "commands"),
)


def _show(found: Any) -> None:
    texts = []
    for each in found.explanations:
        lines = [f"Message {each.message_id} of {each.bot}"]
        for title, part in _PARTS:
            lay = indented if part == "commands" else paragraph
            sentences = [lay(cleaned(sentence)) for sentence in getattr(each, part)]
            lines += ["", title, *sentences] if sentences else []
        texts.append("\n".join(lines))
    click.echo("\n\n".join(texts))


@click.command(name="explain")
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@on_journal(_show)
async def explain(session: Session, message_id: str) -> Any:
    """Say in plain words what happened to the message ID, what it waits for and what comes next."""
    from relay.admin.operations import NotKnown

    try:
        return await session.admin.explanation(message_id)
    except NotKnown as unknown:
        raise Failure(f"ID: {message_id!r}: {unknown}") from None


class Event(NamedTuple):
    """One line of a timeline; without a time it is about what is still to come."""

    at: float | None
    where: str
    what: str


def print_histories(
    session: Session, histories: Sequence[MessageHistory], *, content: bool
) -> None:
    """Print what happened to a message, for each bot that has it.

    With `content` also its body as the webhooks of a bot get it, or its frame if there is no such
    bot. Raises `Failure` if the journal can't open what was asked for.
    """
    whole = [history for history in histories if content and not history.damage]
    bodies = {each.message.bot: _body(each, session.settings) for each in whole}
    if session.as_json:
        _print_document(histories, bodies)
    else:
        for history in histories:
            _print_history(history)
            if history.message.bot in bodies:
                click.echo(bodies[history.message.bot])
    damaged = [each for each in histories if content and each.damage]
    if damaged:
        raise Failure(*(f"ID: {each.message.message_id!r}: {each.damage}" for each in damaged))


def _print_document(histories: Sequence[MessageHistory], bodies: dict[str, str]) -> None:
    from relay.admin.answers import HistoryList, to_data

    document = to_data(HistoryList(histories))
    for history in document["histories"]:
        body = bodies.get(history["message"]["bot"])
        if body is not None:
            history["body"] = json.loads(body)
    print_json(document)


def _print_history(history: MessageHistory) -> None:
    message, now = history.message, time.time()
    facts = (
        ("message", message.message_id),
        ("bot", message.bot),
        ("category", message.category),
        ("conversation", message.conversation_id),
        ("user", message.user_id),
    )
    print_table(("", ""), facts)
    events = [(moment(at, now), where, what) for at, where, what in timeline(history)]
    print_table(("time", "endpoint", "what"), events)


def timeline(history: MessageHistory) -> list[Event]:
    """List what happened to a message in order; what is still to come is last."""
    message = history.message
    events = [Event(message.received_at, "-", f"received ({message.source})")]
    for delivery in history.deliveries:
        events += _delivery_events(delivery)
    match message.receipt:
        case ReceiptState.NONE:
            pass
        case ReceiptState.OWED:
            events.append(Event(None, "-", "READ is to be said to Mixin"))
        case ReceiptState.CONFIRMED:
            events.append(Event(history.receipt_at, "-", "marked READ"))
        case ReceiptState.REFUSED:
            events.append(Event(history.receipt_at, "-", "READ was refused by Mixin for good"))
    if message.outcome is not None:
        events.append(Event(message.finished_at, "-", f"finished: {message.outcome}"))
    return sorted(events, key=lambda event: (event.at is None, event.at or 0.0))


def _delivery_events(delivery: DeliveryRecord) -> Iterator[Event]:
    where = str(delivery.endpoint)
    if delivery.replay is not None:
        where = f"{where}, replay {delivery.replay}"
    for attempt in delivery.attempts:
        yield Event(attempt.started_at, where, _attempt(attempt))
    if delivery.state is not DeliveryState.PENDING:
        yield Event(delivery.ended_at, where, _end(delivery))
        return
    doubt = "; an earlier one may have been taken" if delivery.doubtful else ""
    number = len(delivery.attempts) + 1
    if delivery.circuit in (BreakerState.PAUSED, BreakerState.GONE):
        why = f"its endpoint is {delivery.circuit} until it is resumed"
        yield Event(None, where, f"attempt {number} waits: {why}{doubt}")
    elif delivery.waits:
        yield Event(None, where, f"waits for an earlier message of its conversation{doubt}")
    else:
        probe = ", when a probe of its endpoint is" if delivery.circuit is BreakerState.OPEN else ""
        yield Event(delivery.due_at, where, f"attempt {number} is due{probe}{doubt}")


def _end(delivery: DeliveryRecord) -> str:
    why = f": {delivery.ended_reason}" if delivery.ended_reason else ""
    match delivery.state:
        case DeliveryState.DISCARDED:
            return f"dead{why}; discarded by an operator since, unread"
        case DeliveryState.WAIVED:
            return f"dead{why}; discarded by an operator since, to be marked READ"
        case state:
            return f"{state}{why}"


def _attempt(attempt: AttemptRecord) -> str:
    status = f" {attempt.status}" if attempt.status is not None else ""
    reason = f" ({attempt.reason})" if attempt.reason is not None else ""
    detail = f": {attempt.detail}" if attempt.detail else ""
    outcome = f"{attempt.outcome}{status}{reason}"
    return f"attempt {attempt.number}: {outcome} after {took(attempt.duration)}{detail}"


def _body(history: MessageHistory, settings: "Settings") -> str:
    """Write a message as its webhooks get it."""
    from relay.blaze.encryption import Decryptor, Undecryptable
    from relay.blaze.wire import NotJson
    from relay.webhook.envelope import build_envelope

    def no_key(_: bytes) -> bytes:
        raise Undecryptable("the bot is not configured any more")

    of = history.message
    ids = (of.bot, of.message_id, of.conversation_id, of.user_id)
    message = Message(*ids, of.category, of.source, history.frame, of.received_at)
    bot = next((bot for bot in settings.bots if bot.name == of.bot), None)
    app_id = bot.keystore.app_id if bot else ""
    decrypt = Decryptor(bot.keystore) if bot else no_key
    try:
        body = build_envelope(message, bot_name=of.bot, app_id=app_id, decrypt=decrypt)
    except (NotJson, LookupError, TypeError):  # a frame of another version, or by another hand
        body = history.frame
    return body.decode(errors="replace")
