"""Values for tests of the journal, short to write."""

from collections.abc import Sequence
from uuid import UUID

from relay.journal.encryption.keys import Keyring, new_key
from relay.model.journal import (
    Arrival,
    Batch,
    Due,
    EndpointNote,
    Finished,
    Fresh,
    Owed,
    ReceiptAnswers,
    Recorded,
    Settled,
    UnreadableFrame,
)
from relay.model.messages import (
    Attempt,
    DeadLettered,
    Deferred,
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
    in_window: bool = False,
) -> Arrival:
    """Make an arrival that is owed to the given endpoints."""
    owed = [Owed(key, lane, required=True, in_window=in_window) for key in endpoints]
    owed += [Owed(key, lane, required=False, in_window=in_window) for key in optional]
    came = message(number, bot=bot, conversation=lane, category=category, frame=frame)
    return Arrival(came, tuple(owed), unwanted_read)


def fresh(recorded: Recorded) -> Fresh:
    """Expect a message to be new."""
    assert isinstance(recorded, Fresh)
    return recorded


async def record(journal: Journal, arrivals: Sequence[Arrival]) -> Sequence[Recorded]:
    """Commit arrivals."""
    return (await journal.commit(Batch(NOW, arrivals=[*arrivals]))).arrivals


async def settle(journal: Journal, outcomes: Sequence[Outcome], now: float) -> Sequence[Settled]:
    """Commit outcomes."""
    return (await journal.commit(Batch(now, outcomes=[*outcomes]))).outcomes


async def defer(journal: Journal, deferred: Sequence[Deferred]) -> None:
    """Commit that attempts were cut."""
    await journal.commit(Batch(NOW, deferred=[*deferred]))


async def settle_receipts(
    journal: Journal, bot: str, *, confirmed: Sequence[int], refused: Sequence[int], now: float
) -> Sequence[Finished]:
    """Commit what Mixin answered."""
    answers = ReceiptAnswers(bot, confirmed, refused)
    return (await journal.commit(Batch(now, receipts=[answers]))).receipts[0]


async def keep_unreadable(journal: Journal, bot: str, frame: UnreadableFrame, now: float) -> None:
    """Commit a frame that is no event."""
    await journal.commit(Batch(now, frames=[(bot, frame)]))


async def note_endpoint(journal: Journal, endpoint: EndpointKey, note: EndpointNote) -> None:
    """Commit how an endpoint fares."""
    await journal.commit(Batch(NOW, notes=[(endpoint, note)]))


async def receive(journal: Journal, *arrivals: Arrival) -> list[Delivery]:
    """Record new arrivals and give their deliveries."""
    return [
        delivery
        for recorded in await record(journal, arrivals)
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
    return await settle_receipts(journal, bot, confirmed=seqs, refused=[], now=now)


async def imbalance(journal: Journal) -> int:
    """Give what is wrong in the books, of all bots."""
    return sum(abs(bot.imbalance) for bot in (await journal.census()).bots.values())
