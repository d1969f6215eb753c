"""What the journal is told and what it answers: frozen values, as in `relay.model.messages`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct

from relay.model.messages import (
    BreakerState,
    Deferred,
    Delivery,
    EndpointKey,
    Message,
    MessageOutcome,
    Outcome,
)
from relay.model.times import Time


class Owed(Struct, frozen=True, gc=False):
    """A delivery to make of an arriving message.

    `in_window`: the lanes in memory keep a place for it, so that the journal need not remember that
    its lane has something to load.
    """

    endpoint: EndpointKey
    lane: str
    required: bool
    in_window: bool = False


class Arrival(Struct, frozen=True, gc=False):
    """A message as it comes in, with the deliveries that it is owed to.

    With nothing owed, `unwanted_read` decides whether it is marked READ or left alone.
    """

    message: Message
    owed: tuple[Owed, ...]
    unwanted_read: bool = True


@dataclass(frozen=True, slots=True)
class Fresh:
    """The message is new and now in the journal.

    `leading` holds the ids of those deliveries in whose lane the journal had nothing to load: no
    row of `lanes`, nor an earlier delivery of the batch. The lanes in memory rely on it where they
    know nothing of a lane.
    """

    deliveries: tuple[Delivery, ...]
    leading: frozenset[int]
    receipt_owed: bool = False
    finished: MessageOutcome | None = None
    seq: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The journal knows the message already; `receipt_owed` if it now has READ to say again.

    `seq` is the journal's number of the message, here as in the other answers.
    """

    receipt_owed: bool = False
    seq: int = field(default=0, compare=False)


Recorded = Fresh | Duplicate


@dataclass(frozen=True, slots=True)
class Due:
    """Deliveries from the journal, lane by lane in order.

    `whole` names the lanes of which every unfinished delivery is here, `more` says that further
    lanes are due now, `next_due_at` is when the first of those falls due that are not due yet.
    """

    deliveries: tuple[Delivery, ...]
    whole: frozenset[str]
    more: bool
    next_due_at: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a recorded outcome brought about."""

    receipt_owed: bool = False
    finished: MessageOutcome | None = None
    seq: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Discarded:
    """How many deliveries were given up, and how many messages of a bot that finished as what."""

    deliveries: int
    finished: Mapping[tuple[str, MessageOutcome], int]


class OwedReceipt(Struct, frozen=True, gc=False):
    """A READ receipt to send; `seq` is the journal's number of the message, ascending."""

    seq: int
    message_id: str


class Finished(Struct, frozen=True, gc=False):
    """A message that needs nothing more."""

    message_id: str
    outcome: MessageOutcome


@dataclass(frozen=True, slots=True)
class UnreadableFrame:
    """A frame that is no event: kept for inspection, one row per digest."""

    digest: str
    why: str
    sample: bytes


@dataclass(frozen=True, slots=True)
class EndpointNote:
    """What a running relay writes down of an endpoint, for the next start and for operators.

    `next_probe_at` is when an open circuit is probed, or until when a closed one keeps still
    because its receiver asked for that (Retry-After).
    """

    state: BreakerState
    last_error: str | None = None
    next_probe_at: Time | None = None
    gone_since: Time | None = None


@dataclass(frozen=True, slots=True)
class WholeLane:
    """A lane all of whose unfinished deliveries are in memory: the last one's id is `upto`, or 0.

    The journal forgets that it has something to load, unless it knows of deliveries above `upto`.
    """

    endpoint: EndpointKey
    lane: str
    upto: int


@dataclass(frozen=True, slots=True)
class ReceiptAnswers:
    """What Mixin answered for receipts of one bot, by their `seq`."""

    bot: str
    confirmed: Sequence[int] = ()
    refused: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class WholeLanes:
    """Lanes that one load has brought into memory whole, or that have ended there."""

    lanes: Sequence[WholeLane]


@dataclass(frozen=True, slots=True)
class Dropped:
    """An endpoint whose lanes in memory were let go."""

    endpoint: EndpointKey


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """A bot's frame that is no event, to keep for inspection."""

    bot: str
    frame: UnreadableFrame


@dataclass(frozen=True, slots=True)
class NotedEndpoint:
    """How an endpoint fares, to write down."""

    endpoint: EndpointKey
    note: EndpointNote


Entry = (
    Arrival | Outcome | Deferred | ReceiptAnswers | WholeLanes | Dropped | KeptFrame | NotedEndpoint
)
"""What one party puts into a group that is committed."""


@dataclass(slots=True)
class Batch:
    """What one transaction writes, in the order of the fields.

    `dropped` names endpoints whose lanes in memory were let go: the journal remembers again each
    lane with unfinished deliveries as one to load.
    """

    now: float
    whole: list[WholeLane] = field(default_factory=list)
    dropped: list[EndpointKey] = field(default_factory=list)
    frames: list[tuple[str, "UnreadableFrame"]] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    deferred: list[Deferred] = field(default_factory=list)
    receipts: list[ReceiptAnswers] = field(default_factory=list)
    notes: list[tuple[EndpointKey, "EndpointNote"]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Committed:
    """The answers to a batch: to each arrival, outcome and `ReceiptAnswers` one, in their order."""

    arrivals: Sequence[Recorded] = ()
    outcomes: Sequence[Settled] = ()
    receipts: Sequence[Sequence[Finished]] = ()


Answer = Recorded | Settled | Sequence[Finished] | None
"""What the journal says to an entry: to an `Arrival`, an outcome, and `ReceiptAnswers`."""


class OperatorEventKind(StrEnum):
    """What an operator did by the journal, or a receiver that says it is back."""

    PAUSED = "paused"
    RESUMED = "resumed"
    BACK = "back"
    REVIVED = "revived"
    DISCARDED = "discarded"
    WAIVED = "waived"
    REPLAY_ASKED = "replay_asked"
    REPLAY_CANCELLED = "replay_cancelled"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed something in the journal beside the running relay, for its log.

    `actor` is `command` or `api`, `target` what was to be changed, in words, and `count` the number
    of dead letters that were.
    """

    actor: str = ""
    target: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class OperatorEvent:
    """One operator's action, written into the journal for the running relay to follow.

    `count` says how many dead letters were revived, or how many messages finished by the others'
    being given up.
    """

    id: int
    kind: OperatorEventKind
    endpoint: EndpointKey
    count: int = 0
    audit: AuditEntry = field(default=AuditEntry(), compare=False)


@dataclass(frozen=True, slots=True)
class BotCensus:
    """One bot's stock, counted in one read of the journal.

    `oldest_unread_at` looks at what is still on its way to READ: dead letters don't count.
    `imbalance` is received - (finished + pending), from the journal's own tallies; always 0.
    """

    pending: int
    oldest_unread_at: float | None
    receipts_pending: int
    imbalance: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The journal's stock at one moment.

    `oldest_pending` says when the oldest message came that an endpoint is still owed, replays
    aside; it lacks those that are owed nothing.
    """

    bots: dict[str, BotCensus]
    dead_letters: dict[EndpointKey, int]
    size_bytes: int
    oldest_pending: dict[EndpointKey, float] = field(default_factory=dict)
