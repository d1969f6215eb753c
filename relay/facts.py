"""What has happened, in the past tense: the only way in which the relay speaks.

The logic tells facts to a `Telemetry`; `relay.ops.telemetry` turns them into log events and metric
series, tests into signals to wait for. A fact never carries a secret or a message's content.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from relay.ledger import Census
from relay.model import Attempt, EndpointKey, GateState, MessageOutcome, Reason, Source
from relay.replay import ReplayRecord


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


# --- Upstream -----------------------------------------------------------------------------------


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


# --- The way of a message -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message came for the first time and is in the journal."""

    bot: str
    message_id: str
    category: str
    source: Source


@dataclass(frozen=True, slots=True)
class MessageDuplicated:
    """A message came again."""

    bot: str
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageFinished:
    """A message needs nothing more."""

    bot: str
    message_id: str
    outcome: MessageOutcome


@dataclass(frozen=True, slots=True)
class MessagesFinished:
    """So many messages need nothing more, since an endpoint is gone that they were owed to."""

    bot: str
    outcome: MessageOutcome
    count: int


@dataclass(frozen=True, slots=True)
class MessagesDiscarded:
    """An operator gave up dead letters; `count` messages finished by that, unread."""

    bot: str
    count: int


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is on its way."""

    endpoint: EndpointKey
    message_id: str
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A request was answered, or failed; `due_at` is when the next one is, if one is."""

    endpoint: EndpointKey
    message_id: str
    attempt: Attempt
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptDeferred:
    """A stop cut a request short."""

    endpoint: EndpointKey
    message_id: str


@dataclass(frozen=True, slots=True)
class AttemptCrashed:
    """A bug of ours hit one attempt; it is contained, counted and retried. `trace` is for logs."""

    endpoint: EndpointKey
    message_id: str
    trace: str


@dataclass(frozen=True, slots=True)
class MessageDamaged:
    """The journal can't give a message back that is due: nothing is posted, and it is dead."""

    endpoint: EndpointKey
    message_id: str
    why: str


@dataclass(frozen=True, slots=True)
class DeliverySettled:
    """A delivery ended, and the journal has it; `delay` counts from reception.

    `reason` is that of its last attempt, if it is dead; `replay` says that it was sent again.
    """

    endpoint: EndpointKey
    message_id: str
    delivered: bool
    attempts: int
    delay: float
    reason: Reason | None = None
    replay: bool = False


@dataclass(frozen=True, slots=True)
class GateMoved:
    """An endpoint's gate is in another state, or lets another number through."""

    endpoint: EndpointKey
    state: GateState
    limit: int
    until: float | None = None
    detail: str = ""


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


# --- The house ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JournalCommitted:
    """A group was committed."""

    seconds: float
    items: int


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """The journal did not accept a write; it is tried again."""

    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class JournalRecovered:
    """The journal accepts writes again."""


@dataclass(frozen=True, slots=True)
class DamageFound:
    """The journal was found to be damaged, or its file to be gone; the run ends."""

    detail: str


@dataclass(frozen=True, slots=True)
class JournalSetAside:
    """A damaged journal was moved out of the way; `kept_as` is its path now."""

    journal: str
    kept_as: str
    detail: str


@dataclass(frozen=True, slots=True)
class JournalUnchecked:
    """Looking all through a journal took too long, and was broken off; what was seen is sound."""

    seconds: float


@dataclass(frozen=True, slots=True)
class JournalPruned:
    """Finished messages older than the retention were removed."""

    messages: int


@dataclass(frozen=True, slots=True)
class JournalShrunk:
    """Disk space that the journal no longer needs was given back."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class CensusTaken:
    """The journal was counted."""

    census: Census


@dataclass(frozen=True, slots=True)
class LoopLagged:
    """The event loop was late by so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class OperatorNoticed:
    """An operator's action reached the running relay.

    `actor` says by which way it was done, `asked` to what, `count` to how many dead letters.
    """

    kind: str
    endpoint: EndpointKey
    actor: str = ""
    asked: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """Somebody at `peer` asked the admin API to change something, and `result` is what came of it.

    `actor` is `api` or, with an endpoint's own token, `receiver`; `asked` says what to act on;
    `count` how many were acted on.
    """

    actor: str
    peer: str
    action: str
    asked: str
    count: int
    result: str


@dataclass(frozen=True, slots=True)
class AdminRefused:
    """Somebody at `peer` asked the admin API; `given` says whether with a wrong token or none.

    `throttled` says that it was one of many, and was kept waiting.
    """

    peer: str
    given: bool
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class RelayStarted:
    """The service runs; `clean` says whether the stop before it was, `listen` where it answers."""

    version: str
    bots: tuple[str, ...]
    clean: bool
    listen: str = ""


@dataclass(frozen=True, slots=True)
class EndpointRemoved:
    """The settings have an endpoint no more that the journal has dead letters for."""

    endpoint: EndpointKey
    dead_letters: int


@dataclass(frozen=True, slots=True)
class EndpointLeft:
    """An endpoint is gone from the settings of the running relay; nothing more is told of it."""

    endpoint: EndpointKey


@dataclass(frozen=True, slots=True)
class SettingsReloaded:
    """The settings were read anew and hold now; of what changed, names and keys only.

    `settings` are keys beside the endpoints'. Nothing at all may have changed.
    """

    added: tuple[EndpointKey, ...] = ()
    removed: tuple[EndpointKey, ...] = ()
    changed: tuple[tuple[EndpointKey, tuple[str, ...]], ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def unchanged(self) -> bool:
        """Whether the settings are what they were."""
        return not (self.added or self.removed or self.changed or self.settings)


@dataclass(frozen=True, slots=True)
class ReloadFailed:
    """The settings that were read anew are refused, and the old ones stay; without a secret."""

    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveriesDiscarded:
    """What was owed to endpoints that are gone from the settings was given up, as was asked."""

    endpoints: tuple[EndpointKey, ...]
    deliveries: int


@dataclass(frozen=True, slots=True)
class ReplayBegun:
    """A new endpoint gets what the journal still holds."""

    replay: ReplayRecord


@dataclass(frozen=True, slots=True)
class ReplayEnded:
    """Every message of a replay has ended."""

    replay: ReplayRecord


@dataclass(frozen=True, slots=True)
class RelayStopping:
    """A stop was asked for."""

    signal: str


@dataclass(frozen=True, slots=True)
class RelayStopped:
    """The relay came to rest; `cut` attempts were in flight, `written` says if all is noted."""

    cut: int
    written: bool = True


Fact = (
    ConnectEnded
    | Disconnected
    | FrameReceived
    | FrameUnreadable
    | RequestRefused
    | CredentialsRefused
    | TakeoverSuspected
    | SessionShared
    | MessageReceived
    | MessageDuplicated
    | MessageFinished
    | MessagesDiscarded
    | MessagesFinished
    | AttemptStarted
    | AttemptEnded
    | AttemptDeferred
    | AttemptCrashed
    | MessageDamaged
    | DeliverySettled
    | GateMoved
    | ReceiptsConfirmed
    | ReceiptsRetried
    | ReceiptsStuck
    | ReceiptRefused
    | JournalCommitted
    | JournalFailed
    | JournalRecovered
    | DamageFound
    | JournalSetAside
    | JournalUnchecked
    | JournalPruned
    | JournalShrunk
    | CensusTaken
    | LoopLagged
    | OperatorNoticed
    | OperatorActed
    | AdminRefused
    | RelayStarted
    | EndpointRemoved
    | ReplayBegun
    | ReplayEnded
    | EndpointLeft
    | SettingsReloaded
    | ReloadFailed
    | DeliveriesDiscarded
    | RelayStopping
    | RelayStopped
)

Telemetry = Callable[[Fact], None]
