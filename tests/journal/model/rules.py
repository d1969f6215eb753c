"""When READ is owed and when a message is finished: the promise, as functions.

The SQL journal says the same in SQL; the contract suite holds the two against each other.
"""

from collections.abc import Collection
from dataclasses import dataclass

from relay.model.messages import DeliveryState, MessageOutcome, ReceiptState

TAKEN = frozenset({DeliveryState.DELIVERED, DeliveryState.WAIVED})
"""The states in which a required delivery no longer holds READ back."""

RECEIPTED = frozenset({ReceiptState.CONFIRMED, ReceiptState.REFUSED})
"""The states in which a receipt has been answered for good, unless the message comes again."""

REMOVED = "removed"
"""Why a delivery is dead whose endpoint is no longer configured."""

LONGEST_WAIT = 3600.0
"""Seconds; a lane that waits longer at a start does so no more (Retry-After ends after an hour)."""

SLEW = 1.0
"""Seconds by which a clock may go back that is only being kept in step."""

MAX_UNREADABLE = 1000
"""So many samples of a bot's frames are kept, the last seen."""

KEPT_NOTICES = 1000
"""So many operators' actions are kept, the last: a running relay notices each within seconds."""

NOTICES_AT_ONCE = 1000


LOOKED_THROUGH_AT_ONCE = 500
"""So many messages a replay looks through in one transaction, for which others wait."""

FORGOTTEN_AT_ONCE = 100
"""So many messages are pruned in one transaction, a few milliseconds for which others wait."""

REPLAYED_BYTES = 4 * 1024 * 1024
"""What a replay has in lanes fits into a quarter of their window, so that the rest fits beside."""

CANCELLED = "cancelled"
"""Why a delivery of a replay is discarded that an operator cancelled."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much still fits into lanes; if nothing waits in them, a single message always does."""

    messages: int
    bytes: int
    empty: bool

    def fits(self, chosen: int, size: int) -> bool:
        """Say whether one more fits behind those chosen, `size` bytes with it."""
        if self.empty and not chosen:
            return True
        return chosen < self.messages and size <= self.bytes


def replay_lane(lane: str) -> str:
    """Name the lane of what is sent again: new messages of a conversation never wait for it."""
    return f"replay {lane}"


def looked_through(begin: int, position: int, upto: int) -> float:
    """Say how much of a replay's messages has been looked at, from 0 to 1."""
    return (position - begin) / (upto - begin) if upto > begin else 1.0


def set_back(last_seen: float | None, now: float) -> float:
    """Say by how many seconds the clock has been set back since the journal last saw it."""
    back = 0.0 if last_seen is None else last_seen - now
    return back if back > SLEW else 0.0


def read_owed(required: Collection[DeliveryState]) -> bool:
    """Say whether READ may be said: every required delivery has been taken."""
    return TAKEN.issuperset(required)


def finished(
    deliveries: Collection[DeliveryState],
    required: Collection[DeliveryState],
    receipt: ReceiptState,
) -> MessageOutcome | None:
    """Say how a message is finished; None as long as something is left to do."""
    if DeliveryState.PENDING in deliveries:
        return None
    if DeliveryState.DEAD in required:
        return MessageOutcome.DEAD
    if DeliveryState.DISCARDED in required:
        return MessageOutcome.DISCARDED
    if receipt is ReceiptState.OWED:
        return None
    if DeliveryState.WAIVED in required:
        return MessageOutcome.DISCARDED
    return MessageOutcome.READ if deliveries else MessageOutcome.UNWANTED
