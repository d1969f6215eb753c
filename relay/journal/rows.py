"""From the relay's values to rows and back."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Label, LargeBinary, Row, Select, cast, select

from relay.journal.encryption.columns import Bodies
from relay.journal.encryption.keys import Damaged, Kind
from relay.journal.schema import attempts, deliveries, endpoints, messages, unreadable
from relay.model.journal import EndpointNote, Owed
from relay.model.messages import (
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    EndpointKey,
    Message,
    MessageOutcome,
    ReceiptState,
    Rejected,
    Source,
)

Values = dict[str, Any]


def as_bytes(words: Column[Any]) -> Label[bytes]:
    """Select people's words as the bytes that they are: a damaged text is none any more."""
    return cast(words, LargeBinary).label(words.name)


MESSAGE = (
    messages.c.bot,
    messages.c.message_id,
    messages.c.conversation_id,
    messages.c.user_id,
    messages.c.category,
    messages.c.source,
    as_bytes(messages.c.frame),
    messages.c.sealed_by,
    messages.c.received_at,
)

DELIVERY = (
    deliveries.c.id,
    deliveries.c.lane,
    deliveries.c.attempts,
    deliveries.c.failures,
    deliveries.c.rejections,
    deliveries.c.first_attempt_at,
    deliveries.c.doubtful,
    deliveries.c.replay,
)

ATTEMPT = (
    attempts.c.number,
    attempts.c.started_at,
    attempts.c.duration,
    attempts.c.outcome,
    attempts.c.status,
    attempts.c.reason,
    as_bytes(attempts.c.detail),
    attempts.c.sealed_by,
)

ENDPOINT_KEY: tuple[Column[Any], ...] = (endpoints.c.id, endpoints.c.bot, endpoints.c.name)

ENDPOINT = (
    *ENDPOINT_KEY,
    endpoints.c.configured,
    endpoints.c.paused,
    endpoints.c.state,
    as_bytes(endpoints.c.last_error),
    endpoints.c.sealed_by,
    endpoints.c.next_probe_at,
    endpoints.c.gone_since,
)

UNREADABLE = (
    unreadable.c.bot,
    unreadable.c.digest,
    unreadable.c.why,
    unreadable.c.times,
    unreadable.c.first_at,
    unreadable.c.last_at,
    as_bytes(unreadable.c.sample),
    unreadable.c.sealed_by,
)


def message_values(
    seq: int,
    message: Message,
    receipt: ReceiptState,
    outcome: MessageOutcome | None,
    bodies: Bodies,
) -> Values:
    """Make a row of a message that has just come, finished with `outcome` if that is so."""
    names = (message.bot, message.message_id)
    frame, sealed_by = bodies.keep(Kind.FRAME, names, message.frame)
    return {
        "seq": seq,
        "bot": message.bot,
        "message_id": message.message_id,
        "conversation_id": message.conversation_id,
        "user_id": message.user_id,
        "category": message.category,
        "source": message.source.value,
        "received_at": message.received_at,
        "receipt": receipt.value,
        "outcome": outcome and outcome.value,
        "finished_at": outcome and message.received_at,
        "size": len(message.frame),
        "frame": frame,
        "sealed_by": sealed_by,
    }


def delivery_values(number: int, seq: int, endpoint_id: int, owed: Owed) -> Values:
    """Make a row of a new delivery."""
    return {
        "id": number,
        "seq": seq,
        "endpoint_id": endpoint_id,
        "lane": owed.lane,
        "required": owed.required,
        "state": DeliveryState.PENDING.value,
    }


def lane_values(endpoint_id: int, lane: str, due_at: float) -> Values:
    """Make a row of a lane that was empty."""
    return {"endpoint_id": endpoint_id, "lane": lane, "due_at": due_at}


def attempt_values(delivery: Delivery, attempt: Attempt, bodies: Bodies) -> Values:
    """Make a row of an attempt; its detail is the receiver's own words, which may be the body's."""
    verdict = attempt.verdict
    names = detail_names(delivery.endpoint, delivery.message.message_id, attempt.number)
    detail, sealed_by = bodies.keep_text(Kind.DETAIL, names, verdict.detail)
    return {
        "delivery_id": delivery.id,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "duration": attempt.duration,
        "outcome": verdict.outcome.value,
        "status": verdict.status,
        "reason": verdict.reason and verdict.reason.value,
        "detail": detail,
        "sealed_by": sealed_by,
    }


def charge_values(delivery: Delivery, attempt: Attempt) -> Values:
    """Say what an attempt adds to its delivery, for the statements of `settling`."""
    verdict = attempt.verdict
    return {
        "of": delivery.id,
        "failed": verdict.reason is not None,
        "rejected": isinstance(verdict, Rejected),
        "started": attempt.started_at,
        "doubt": bool(getattr(verdict, "doubtful", False)),
    }


def select_deliveries() -> Select[Any]:
    """Select what `read_delivery` reads."""
    return select(*DELIVERY, *MESSAGE).join_from(
        deliveries, messages, messages.c.seq == deliveries.c.seq
    )


def read_delivery(endpoint: EndpointKey, row: Row[Any], bodies: Bodies) -> Delivery:
    """Make a delivery of a row."""
    return Delivery(
        row.id,
        endpoint,
        row.lane,
        read_message(row, bodies),
        attempts=row.attempts,
        failures=row.failures,
        rejections=row.rejections,
        first_attempt_at=row.first_attempt_at,
        doubtful=row.doubtful,
        replay=row.replay,
    )


def read_message(row: Row[Any], bodies: Bodies) -> Message:
    """Make a message of a row."""
    frame, damage = read_frame(row, bodies)
    return Message(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        frame,
        row.received_at,
        damage,
    )


def read_frame(row: Row[Any], bodies: Bodies) -> tuple[bytes, str]:
    """Give a message's frame; or none, and why there is none."""
    try:
        names = (row.bot, row.message_id)
        return bodies.read(Kind.FRAME, names, row.frame, row.sealed_by), ""
    except Damaged as damaged:
        return b"", f"its copy in the journal can't be opened: {damaged}"


def read_note(row: Row[Any], bodies: Bodies) -> EndpointNote:
    """Make an endpoint's note of a row; an operator's pause goes before the gate's own state."""
    names, error = (row.bot, row.name), None
    if row.last_error is not None:
        error = bodies.show_text(Kind.ERROR, names, row.last_error, row.sealed_by)
    if row.paused:
        return EndpointNote(BreakerState.PAUSED, error, None, row.gone_since)
    return EndpointNote(BreakerState(row.state), error, row.next_probe_at, row.gone_since)


def is_endpoint(endpoint: EndpointKey) -> ColumnElement[bool]:
    """Say in SQL that a row is this endpoint's."""
    return (endpoints.c.bot == endpoint.bot) & (endpoints.c.name == endpoint.name)


def endpoint_of(row: Row[Any]) -> EndpointKey:
    """Read an endpoint's key."""
    return EndpointKey(row.bot, row.name)


def detail_names(endpoint: EndpointKey, message_id: str, number: int) -> tuple[str, ...]:
    """Name the place of what a receiver said to one attempt."""
    return (endpoint.bot, message_id, endpoint.name, str(number))
