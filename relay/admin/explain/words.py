"""Small words that sentences are made of. Pure."""

from collections.abc import Sequence

from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory
from relay.model.messages import DeliveryState

REMOVED = "removed"
"""The reason of a dead letter whose endpoint is configured no more."""

CANCELLED = "cancelled"
"""The reason of a delivery whose replay an operator cancelled."""


def error_of(attempt: AttemptRecord) -> str:
    """Say what went wrong, without a word of the receiver's own: it may quote the message."""
    said = f"status {attempt.status}" if attempt.status is not None else attempt.detail
    reason = attempt.reason or attempt.outcome
    return f"{reason} ({said})" if said else str(reason)


def name_of(delivery: DeliveryRecord) -> str:
    """Name a delivery in a sentence: by its endpoint, and by the replay that it is part of."""
    again = f" (replay {delivery.replay})" if delivery.replay is not None else ""
    return f"{delivery.endpoint}{again}"


def pending_of(history: MessageHistory) -> list[DeliveryRecord]:
    """Give the deliveries that are still to be made."""
    return [each for each in history.deliveries if each.state is DeliveryState.PENDING]


def dead_of(history: MessageHistory) -> list[DeliveryRecord]:
    """Give the dead letters."""
    return [each for each in history.deliveries if each.state is DeliveryState.DEAD]


def both(names: Sequence[str]) -> str:
    """Write names as a list in a sentence; there is one at least."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
