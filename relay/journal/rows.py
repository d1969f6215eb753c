"""From the relay's values to rows and back."""

from typing import Any

from sqlalchemy import Row, Select, select

from relay.journal.schema import deliveries, endpoints, messages
from relay.ledger import EndpointNote, Owed
from relay.model import (
    Attempt,
    Delivery,
    DeliveryState,
    EndpointKey,
    GateState,
    Message,
    MessageOutcome,
    ReceiptState,
    Rejected,
    Source,
)

Values = dict[str, Any]

MESSAGE = (
    messages.c.bot,
    messages.c.message_id,
    messages.c.conversation_id,
    messages.c.user_id,
    messages.c.category,
    messages.c.source,
    messages.c.frame,
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
)


def message_values(
    seq: int, message: Message, receipt: ReceiptState, outcome: MessageOutcome | None
) -> Values:
    """Make a row of a message that has just come, finished with `outcome` if that is so."""
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
        "frame": message.frame,
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


def attempt_values(delivery: Delivery, attempt: Attempt) -> Values:
    """Make a row of an attempt."""
    verdict = attempt.verdict
    return {
        "delivery_id": delivery.id,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "duration": attempt.duration,
        "outcome": verdict.outcome.value,
        "status": verdict.status,
        "reason": verdict.reason and verdict.reason.value,
        "detail": verdict.detail,
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


def read_delivery(endpoint: EndpointKey, row: Row[Any]) -> Delivery:
    """Make a delivery of a row."""
    return Delivery(
        row.id,
        endpoint,
        row.lane,
        read_message(row),
        attempts=row.attempts,
        failures=row.failures,
        rejections=row.rejections,
        first_attempt_at=row.first_attempt_at,
        doubtful=row.doubtful,
    )


def read_message(row: Row[Any]) -> Message:
    """Make a message of a row."""
    return Message(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        row.frame,
        row.received_at,
    )


def read_note(row: Row[Any]) -> EndpointNote:
    """Make an endpoint's note of a row; an operator's pause goes before the gate's own state."""
    if row.paused:
        return EndpointNote(GateState.PAUSED, row.last_error, None, row.gone_since)
    return EndpointNote(GateState(row.state), row.last_error, row.next_probe_at, row.gone_since)


def endpoint_of(row: Row[Any]) -> EndpointKey:
    """Read an endpoint's key."""
    return EndpointKey(row.bot, row.name)


ENDPOINT = (
    endpoints.c.id,
    endpoints.c.bot,
    endpoints.c.name,
    endpoints.c.configured,
    endpoints.c.paused,
    endpoints.c.state,
    endpoints.c.last_error,
    endpoints.c.next_probe_at,
    endpoints.c.gone_since,
)
