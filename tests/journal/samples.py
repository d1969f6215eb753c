"""Values for tests of the journal, short to write."""

from uuid import UUID

from relay.model import (
    Arrival,
    Attempt,
    DeadLettered,
    Delivered,
    Delivery,
    EndpointKey,
    Fresh,
    Message,
    Outcome,
    Owed,
    Postponed,
    Reason,
    Recorded,
    Rejected,
    Source,
    Success,
    Transient,
    Verdict,
)
from relay.ports import Journal

CRM = EndpointKey("bot", "crm")
LOG = EndpointKey("bot", "log")
NOW = 1_700_000_000.0


def uuid(number: int) -> str:
    """Make a message's id."""
    return str(UUID(int=number))


def message(number: int, *, conversation: str = "c", frame: bytes = b"{}") -> Message:
    """Make a message."""
    return Message(
        "bot", uuid(number), conversation, "u", "PLAIN_TEXT", Source.LIVE, frame, NOW + number
    )


def arrival(
    number: int,
    *endpoints: EndpointKey,
    lane: str = "c",
    optional: tuple[EndpointKey, ...] = (),
    unwanted_read: bool = True,
    frame: bytes = b"{}",
) -> Arrival:
    """Make an arrival that is owed to the given endpoints."""
    owed = [Owed(key, lane, required=True) for key in endpoints]
    owed += [Owed(key, lane, required=False) for key in optional]
    return Arrival(message(number, conversation=lane, frame=frame), tuple(owed), unwanted_read)


def fresh(recorded: Recorded) -> Fresh:
    """Expect a message to be new."""
    assert isinstance(recorded, Fresh)
    return recorded


async def receive(journal: Journal, *arrivals: Arrival) -> list[Delivery]:
    """Record new arrivals and give their deliveries."""
    return [
        delivery
        for recorded in await journal.record(arrivals)
        for delivery in fresh(recorded).deliveries
    ]


def attempt(delivery: Delivery, verdict: Verdict, at: float = NOW) -> Attempt:
    """Make the delivery's next attempt."""
    return Attempt(delivery.attempts + 1, at, 0.25, verdict)


def delivered(delivery: Delivery) -> Outcome:
    """Make the end that everybody wants."""
    return Delivered(delivery, attempt(delivery, Success(200)))


def postponed(delivery: Delivery, due_at: float, verdict: Verdict | None = None) -> Outcome:
    """Make a failure that is tried again."""
    failed = verdict or Transient(Reason.HTTP_5XX, 500)
    return Postponed(delivery, attempt(delivery, failed), due_at)


def dead(delivery: Delivery) -> Outcome:
    """Make the end that an operator has to look at."""
    return DeadLettered(delivery, attempt(delivery, Rejected(Reason.HTTP_4XX, 400, "no")))
