"""Values for tests of the core, short to write."""

from uuid import UUID

from relay.model.messages import (
    Attempt,
    Delivery,
    EndpointKey,
    Gone,
    Message,
    Reason,
    Rejected,
    Source,
    Success,
    Transient,
    Verdict,
)
from tests.core.virtual_time import EPOCH

BOT = "bot"
CRM = EndpointKey(BOT, "crm")
LOG = EndpointKey(BOT, "log")

OK = Success(200)
BROKEN = Transient(Reason.HTTP_5XX, 500)
TIMEOUT = Transient(Reason.TIMEOUT, doubtful=True)
BUSY = Transient(Reason.HTTP_429, 429, pause=30.0)
REFUSED = Rejected(Reason.HTTP_4XX, 400, "no")
GONE = Gone()
FAILURES: tuple[Verdict, ...] = (BROKEN, TIMEOUT, BUSY, REFUSED, GONE)


def uuid(number: int) -> str:
    """Make a message's id."""
    return str(UUID(int=number))


def message(
    number: int,
    conversation: str = "c",
    *,
    size: int = 2,
    user: str = "u",
    category: str = "PLAIN_TEXT",
    at: float = EPOCH,
) -> Message:
    """Make a message that came at the given time."""
    return Message(BOT, uuid(number), conversation, user, category, Source.LIVE, b"." * size, at)


def delivery(
    number: int, lane: str = "c", *, size: int = 2, endpoint: EndpointKey = CRM
) -> Delivery:
    """Make a delivery that nobody has attempted yet."""
    return Delivery(number, endpoint, lane, message(number, lane, size=size))


def attempt(
    verdict: Verdict, *, number: int = 1, at: float = EPOCH, duration: float = 0.0
) -> Attempt:
    """Make an attempt that has ended."""
    return Attempt(number, at, duration, verdict)
