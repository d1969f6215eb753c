"""One message's timeline: received, each attempt, what comes next and when, receipt."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from relay.admin.answers import HistoryList, to_data
from relay.commands.printing import print_table, took
from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory
from relay.model.messages import BreakerState, DeliveryState, ReceiptState
from relay.model.times import moment


class Event(NamedTuple):
    """One line of a timeline; without a time it is about what is still to come."""

    at: float | None
    where: str
    what: str


def print_history(
    histories: Sequence[MessageHistory], bodies: Mapping[str, str], *, as_json: bool
) -> None:
    """Print what happened to a message, and its body for those bots that one is given for."""
    if as_json:
        click.echo(json.dumps(_document(histories, bodies), indent=2))
        return
    now = time.time()
    for history in histories:
        summary = history.message
        facts = (
            ("message", summary.message_id),
            ("bot", summary.bot),
            ("category", summary.category),
            ("conversation", summary.conversation_id),
            ("user", summary.user_id),
        )
        print_table(("", ""), facts)
        events = [(moment(at, now), where, what) for at, where, what in timeline(history)]
        print_table(("time", "endpoint", "what"), events)
        if summary.bot in bodies:
            click.echo(bodies[summary.bot])


def timeline(history: MessageHistory) -> list[Event]:
    """Tell a message's story in order; what is still to come is last."""
    events = [Event(history.message.received_at, "-", f"received ({history.message.source})")]
    for delivery in history.deliveries:
        events += delivery_events(delivery)
    events += _receipt_events(history)
    return sorted(events, key=lambda event: (event.at is None, event.at or 0.0))


def delivery_events(delivery: DeliveryRecord) -> Iterator[Event]:
    """Tell one delivery's story."""
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
    if delivery.gate in (BreakerState.PAUSED, BreakerState.GONE):
        why = f"its endpoint is {delivery.gate} until it is resumed"
        yield Event(None, where, f"attempt {number} waits: {why}{doubt}")
    elif delivery.waits:
        yield Event(None, where, f"waits for an earlier message of its conversation{doubt}")
    else:
        probe = ", when a probe of its endpoint is" if delivery.gate is BreakerState.OPEN else ""
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


def _receipt_events(history: MessageHistory) -> Iterator[Event]:
    match history.message.receipt:
        case ReceiptState.NONE:
            pass
        case ReceiptState.OWED:
            yield Event(None, "-", "READ is to be said to Mixin")
        case ReceiptState.CONFIRMED:
            yield Event(history.receipt_at, "-", "marked READ")
        case ReceiptState.REFUSED:
            yield Event(history.receipt_at, "-", "READ was refused by Mixin for good")
    if history.message.outcome is not None:
        yield Event(history.message.finished_at, "-", f"finished: {history.message.outcome}")


def _document(histories: Sequence[MessageHistory], bodies: Mapping[str, str]) -> Any:
    document = to_data(HistoryList(histories))
    for history in document["histories"]:
        body = bodies.get(history["message"]["bot"])
        if body is not None:
            history["body"] = json.loads(body)
    return document
