"""The nouns of the relay: frozen values, without I/O and without a clock.

Every time is in Unix seconds, every duration in seconds, every id as Mixin writes it: a lower-case
UUID. Closed unions are what can happen; mypy checks that each is handled whole. Structs, since some
are made for every message: they cost a quarter of dataclasses, and the collector need not look at
what can be in no circle.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace


class EndpointKey(NamedTuple):
    """The name of an endpoint: its own is unique within its bot's only."""

    bot: str
    name: str

    def __str__(self) -> str:
        """Read as an operator writes it."""
        return f"{self.bot}/{self.name}"


class Source(StrEnum):
    """How a message came: from Mixin's backlog, or as it was written."""

    PENDING = "pending"
    LIVE = "live"


class Reason(StrEnum):
    """Why an attempt failed; the log field, the metric label and the journal's column at once."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    REDIRECT = "redirect"
    HTTP_4XX = "http_4xx"
    HTTP_429 = "http_429"
    HTTP_410 = "http_410"
    HTTP_5XX = "http_5xx"
    HTTP_503 = "http_503"
    BLOCKED_ADDRESS = "blocked_address"
    PROTOCOL = "protocol"
    OTHER = "other"


class AttemptOutcome(StrEnum):
    """What one attempt came to."""

    SUCCESS = "success"
    TRANSIENT = "transient"
    REJECTED = "rejected"
    GONE = "gone"


class MessageOutcome(StrEnum):
    """How a message finished."""

    READ = "read"
    UNWANTED = "unwanted"
    DEAD = "dead"
    DISCARDED = "discarded"


class DeliveryState(StrEnum):
    """Where a delivery stands; all but the first are final unless an operator revives it.

    A waived delivery is a dead letter that an operator discarded with `--mark-read`: it no longer
    holds READ back. A discarded one does.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"
    WAIVED = "waived"


class ReceiptState(StrEnum):
    """Where a message's READ receipt stands."""

    NONE = "none"
    OWED = "owed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class PriorOutcome(StrEnum):
    """What is known of a delivery's earlier attempts: the header `relay-prior-outcome`."""

    NONE = "none"
    FAILED = "failed"
    UNKNOWN = "unknown"


class BreakerState(StrEnum):
    """Whether an endpoint is attempted at all."""

    CLOSED = "closed"
    PROBING = "probing"
    OPEN = "open"
    PAUSED = "paused"
    GONE = "gone"


class Message(Struct, frozen=True, gc=False):
    """One CREATE_MESSAGE push, its frame kept as it was received (decompressed JSON).

    `damage` says why the journal can't give the frame back, which is empty then.
    """

    bot: str
    message_id: str
    conversation_id: str
    user_id: str
    category: str
    source: Source
    frame: bytes
    received_at: float
    damage: str = ""


class Delivery(Struct, frozen=True, gc=False):
    """One message owed to one endpoint.

    `attempts` counts those that the journal knows to have ended; `failures` and `rejections`, on
    which waits and patience depend, start anew when an operator revives the delivery. `doubtful`
    says that an earlier attempt may have been taken although no answer came (W3, W4).
    `replay` is the number of the replay that it is part of: nothing of its message depends on it.
    `seq` is the journal's number of the message, and `required` says that READ waits for this one.
    """

    id: int
    endpoint: EndpointKey
    lane: str
    message: Message
    attempts: int = 0
    failures: int = 0
    rejections: int = 0
    first_attempt_at: float | None = None
    doubtful: bool = False
    replay: int | None = None
    seq: int = 0
    required: bool = True

    def after(self, attempt: "Attempt") -> "Delivery":
        """Say how the delivery stands after a failed attempt, as the journal would."""
        verdict = attempt.verdict
        return replace(
            self,
            attempts=self.attempts + 1,
            failures=self.failures + 1,
            rejections=self.rejections + isinstance(verdict, Rejected),
            first_attempt_at=self.first_attempt_at or attempt.started_at,
            doubtful=self.doubtful or getattr(verdict, "doubtful", False),
        )

    @property
    def prior_outcome(self) -> PriorOutcome:
        """What the next request says of the earlier ones."""
        if self.doubtful:
            return PriorOutcome.UNKNOWN
        return PriorOutcome.FAILED if self.attempts else PriorOutcome.NONE


# --- The verdict on one attempt ---------------------------------------------------------------


class Success(Struct, frozen=True, gc=False):
    """The receiver took the message: any 2xx."""

    status: int
    detail: str = ""
    outcome: AttemptOutcome = AttemptOutcome.SUCCESS
    reason: None = None


class Transient(Struct, frozen=True, gc=False):
    """The endpoint is in trouble: the delivery is tried again.

    `pause` holds the whole endpoint for so many seconds (Retry-After); `doubtful` says that the
    request may have been taken, since it was sent and no answer came.
    """

    reason: Reason
    status: int | None = None
    detail: str = ""
    pause: float | None = None
    doubtful: bool = False
    outcome: AttemptOutcome = AttemptOutcome.TRANSIENT


class Rejected(Struct, frozen=True, gc=False):
    """The receiver refuses this message: a few more attempts, then it is a dead letter."""

    reason: Reason
    status: int | None = None
    detail: str = ""
    doubtful: bool = False
    outcome: AttemptOutcome = AttemptOutcome.REJECTED


class Gone(Struct, frozen=True, gc=False):
    """The receiver says that the endpoint is no more: 410."""

    status: int = 410
    detail: str = ""
    reason: Reason = Reason.HTTP_410
    outcome: AttemptOutcome = AttemptOutcome.GONE


Verdict = Success | Transient | Rejected | Gone


class Attempt(Struct, frozen=True, gc=False):
    """One HTTP request of a delivery that has ended."""

    number: int
    started_at: float
    duration: float
    verdict: Verdict


# --- What an attempt means for its delivery ---------------------------------------------------


class Delivered(Struct, frozen=True, gc=False):
    """The delivery ended well."""

    delivery: Delivery
    attempt: Attempt


class Postponed(Struct, frozen=True, gc=False):
    """The delivery is tried again at `due_at`."""

    delivery: Delivery
    attempt: Attempt
    due_at: float


class DeadLettered(Struct, frozen=True, gc=False):
    """The delivery ended as a dead letter: its message stays unread until an operator decides."""

    delivery: Delivery
    attempt: Attempt


Outcome = Delivered | Postponed | DeadLettered


class Deferred(Struct, frozen=True, gc=False):
    """A stop cut the attempt short: charged to nobody, and no Outcome, so it can't end a delivery.

    Its request may have been taken, so the journal marks the delivery doubtful.
    """

    delivery: Delivery


class ReceiptsTaken(Struct, frozen=True, gc=False):
    """Mixin answered a batch of receipts without an error: all of them are confirmed."""


class ReceiptsRejected(Struct, frozen=True, gc=False):
    """Mixin answered a batch with a final error: some id in it is bad, or each of them."""

    code: int
    detail: str


class ReceiptsFailed(Struct, frozen=True, gc=False):
    """No telling whether a batch was taken: send it again, not before `retry_after` if given.

    `unauthorized` says that Mixin refused the token, which calls for slow repetition.
    """

    detail: str
    retry_after: float | None = None
    unauthorized: bool = False


ReceiptVerdict = ReceiptsTaken | ReceiptsRejected | ReceiptsFailed
