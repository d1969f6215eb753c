"""What happened to one message, printed: its facts, its timeline and, if asked for, its body."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from relay.commands.failure import Failure
from relay.commands.output import print_json, print_table, took
from relay.commands.session import Session
from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory
from relay.model.messages import BreakerState, DeliveryState, Message, ReceiptState
from relay.model.times import moment

if TYPE_CHECKING:
    from relay.config import Settings


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
