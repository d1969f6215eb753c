"""Of the sockets to Blaze, and of what Mixin makes of receipts."""

from dataclasses import dataclass
from enum import StrEnum


class ConnectResult(StrEnum):
    """What an attempt to connect to Blaze came to."""

    OK = "ok"
    FAILED = "failed"
    UNAUTHORIZED = "unauthorized"


class DisconnectReason(StrEnum):
    """Why a Blaze socket was given up."""

    CLOSED = "closed"
    STALE = "stale"
    ERROR = "error"
    UNAUTHORIZED = "unauthorized"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class ConnectEnded:
    """An attempt to connect ended; `host` is the URL's, `retry_in` None after success."""

    bot: str
    host: str
    result: ConnectResult
    detail: str = ""
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The socket is gone."""

    bot: str
    reason: DisconnectReason
    detail: str = ""
    lasted: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A frame of any kind came in, control frames included; `at` in Unix seconds."""

    bot: str
    at: float


@dataclass(frozen=True, slots=True)
class FrameUnreadable:
    """A frame came in that is no event."""

    bot: str
    digest: str
    why: str
    size: int


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """Mixin answered a frame of ours, or the socket as a whole, with an error."""

    bot: str
    code: int
    description: str


@dataclass(frozen=True, slots=True)
class CredentialsRefused:
    """Mixin answered 401.

    `confirmed` once GET /me says so too; `clock_skew` is our clock minus theirs, None if unknown.
    """

    bot: str
    confirmed: bool
    clock_skew: float | None
    retry_in: float


@dataclass(frozen=True, slots=True)
class TakeoverSuspected:
    """The socket is closed again and again soon after connecting: another relay? (W10)."""

    bot: str
    closes: int


@dataclass(frozen=True, slots=True)
class SessionShared:
    """Another relay on this machine has the same session as well, or no longer (W10)."""

    bot: str
    shared: bool


@dataclass(frozen=True, slots=True)
class ReceiptsConfirmed:
    """Mixin took READ receipts."""

    bot: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiptsRetried:
    """READ receipts were not confirmed and will be sent again.

    `alone` says that others get through: it is about these, and Mixin takes receipts.
    """

    bot: str
    count: int
    detail: str
    retry_in: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptsStuck:
    """READ receipts that have failed for long while others get through: `count` of them now.

    Each is named once among `stuck`, and once among `cured` when Mixin has it after all.
    """

    bot: str
    count: int
    stuck: tuple[str, ...] = ()
    cured: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptRefused:
    """Mixin refuses this READ receipt for good: the message is gone there, or not ours."""

    bot: str
    message_id: str
    detail: str


UpstreamFact = (
    ConnectEnded
    | Disconnected
    | FrameReceived
    | FrameUnreadable
    | RequestRefused
    | CredentialsRefused
    | TakeoverSuspected
    | SessionShared
    | ReceiptsConfirmed
    | ReceiptsRetried
    | ReceiptsStuck
    | ReceiptRefused
)
