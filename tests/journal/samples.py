"""Values for tests of the journal, short to write."""

from collections.abc import Sequence
from uuid import UUID

from relay.journal.encryption.keys import Keyring, new_key
from relay.model.journal import Arrival, Due, Finished, Fresh, Owed, Recorded
from relay.model.messages import (
    Attempt,
    DeadLettered,
    Delivered,
    Delivery,
    EndpointKey,
    Message,
    Outcome,
    Postponed,
    Reason,
    Rejected,
    Source,
    Success,
    Transient,
    Verdict,
)
from relay.model.ports import Journal

CRM = EndpointKey("bot", "crm")
LOG = EndpointKey("bot", "log")
NOW = 1_700_000_000.0
LATER = NOW + 1_000_000

OLD_KEY, NEW_KEY, OTHER_KEY = (new_key(bytes([number] * 32)) for number in (1, 2, 3))
KEYS = Keyring.parse(OLD_KEY)
ROTATED = Keyring.parse(f"{NEW_KEY} {OLD_KEY}")
NEW = Keyring.parse(NEW_KEY)
OTHER = Keyring.parse(OTHER_KEY)


def uuid(number: int) -> str:
    """Make a message's id."""
    return str(UUID(int=number))


def message(
    number: int,
    *,
    bot: str = "bot",
    conversation: str = "c",
    category: str = "PLAIN_TEXT",
    frame: bytes = b"{}",
) -> Message:
    """Make a message."""
    return Message(bot, uuid(number), conversation, "u", category, Source.LIVE, frame, NOW + number)


def arrival(
    number: int,
    *endpoints: EndpointKey,
    lane: str = "c",
    optional: tuple[EndpointKey, ...] = (),
    bot: str = "bot",
    category: str = "PLAIN_TEXT",
    unwanted_read: bool = True,
    frame: bytes = b"{}",
) -> Arrival:
    """Make an arrival that is owed to the given endpoints."""
    owed = [Owed(key, lane, required=True) for key in endpoints]
    owed += [Owed(key, lane, required=False) for key in optional]
    came = message(number, bot=bot, conversation=lane, category=category, frame=frame)
    return Arrival(came, tuple(owed), unwanted_read)


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


def dead(delivery: Delivery, verdict: Verdict | None = None) -> Outcome:
    """Make the end that an operator has to look at."""
    refused = verdict or Rejected(Reason.HTTP_4XX, 400, "no")
    return DeadLettered(delivery, attempt(delivery, refused))


async def due(
    journal: Journal,
    endpoint: EndpointKey = CRM,
    *,
    now: float = LATER,
    skip: Sequence[str] = (),
    limit: int = 1000,
    max_bytes: int = 1_000_000,
) -> Due:
    """Ask for what is due."""
    return await journal.due(endpoint, now, skip=skip, limit=limit, max_bytes=max_bytes)


def ids(answer: Due) -> list[str]:
    """Name the messages in their order."""
    return [delivery.message.message_id for delivery in answer.deliveries]


async def confirm(journal: Journal, bot: str = "bot", *, now: float = NOW) -> Sequence[Finished]:
    """Let Mixin take every receipt that is owed."""
    owed = await journal.owed_receipts(bot, after=0, limit=1000)
    seqs = [receipt.seq for receipt in owed]
    return await journal.settle_receipts(bot, confirmed=seqs, refused=[], now=now)


async def imbalance(journal: Journal) -> int:
    """Give what is wrong in the books, of all bots."""
    return sum(abs(bot.imbalance) for bot in (await journal.census()).bots.values())
