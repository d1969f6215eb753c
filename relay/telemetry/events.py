"""What has happened, in the past tense: the only way in which the relay speaks.

The logic tells events to a `Telemetry`; `relay.telemetry.event_bus` turns them into log events and
metric series, tests into signals to wait for. No event is logged whole: what is said of it holds
neither a secret nor a message's content. What happens to every message is told once for each
committed group.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from relay.model.admin import Reloaded
from relay.model.journal import Stats
from relay.model.messages import (
    BreakerState,
    DeadLettered,
    Delivered,
    EndpointKey,
    Message,
    MessageOutcome,
    Outcome,
)
from relay.model.replays import ReplayRecord


class Event(msgspec.Struct, frozen=True):
    """Something that has happened."""

    def fields(self) -> dict[str, Any]:
        """Give its fields as a log line has them: an endpoint's key is two."""
        told = {name: getattr(self, name) for name in self.__struct_fields__}
        if isinstance(key := told.get("endpoint"), EndpointKey):
            told |= {"bot": key.bot, "endpoint": key.name}
        return told


Telemetry = Callable[[Event], None]


# --- Blaze ----------------------------------------------------------------------------------------


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


class ListenerStarted(Event, frozen=True):
    """A bot's socket is held from now on; `last_frame` says when a frame last came in, or 0."""

    bot: str
    last_frame: Callable[[], float]


class MixinProxied(Event, frozen=True):
    """A bot goes to a host of Mixin's through a proxy, whose URL has no user here."""

    bot: str
    host: str
    proxy: str


class ConnectEnded(Event, frozen=True):
    """An attempt to connect ended; `host` is the URL's, `retry_in` None after success."""

    bot: str
    host: str
    result: ConnectResult
    detail: str = ""
    retry_in: float | None = None


class Disconnected(Event, frozen=True):
    """The socket is gone."""

    bot: str
    reason: DisconnectReason
    detail: str = ""
    lasted: float = 0.0


class FrameUnreadable(Event, frozen=True):
    """A frame came in that says nothing."""

    bot: str
    digest: str
    why: str
    size: int


class RequestRefused(Event, frozen=True):
    """Mixin answered a frame of ours, or the socket as a whole, with an error."""

    bot: str
    code: int
    description: str


class CredentialsRefused(Event, frozen=True):
    """Mixin answered 401.

    `confirmed` once GET /me says so too; `clock_skew` is our clock minus theirs, None if unknown.
    """

    bot: str
    confirmed: bool
    clock_skew: float | None
    retry_in: float


class TakeoverSuspected(Event, frozen=True):
    """The socket is closed again and again soon after connecting: another relay? (W10)."""

    bot: str
    closes: int


class SessionShared(Event, frozen=True):
    """Another relay on this machine has the same session as well, or no longer (W10)."""

    bot: str
    shared: bool


# --- Messages -------------------------------------------------------------------------------------


class MessagesReceived(Event, frozen=True):
    """Messages came for the first time, and the journal has them: those of one commit."""

    bot: str
    messages: Sequence[Message]


class MessageDuplicated(Event, frozen=True):
    """A message came again."""

    bot: str
    message_id: str


class MessagesFinished(Event, frozen=True):
    """So many messages need nothing more.

    `message_ids` names them, unless an endpoint is gone that they were owed to.
    """

    bot: str
    outcome: MessageOutcome
    count: int
    message_ids: Sequence[str] = ()


class MessagesDiscarded(Event, frozen=True):
    """An operator gave up dead letters; `count` messages finished by that, unread."""

    bot: str
    count: int


# --- Deliveries -----------------------------------------------------------------------------------


class EndpointServed(Event, frozen=True):
    """An endpoint is delivered to from now on; `in_flight` counts its requests under way."""

    endpoint: EndpointKey
    in_flight: Callable[[], int]


class AttemptsEnded(Event, frozen=True):
    """Requests to one endpoint were answered, or failed: those of one commit."""

    endpoint: EndpointKey
    outcomes: Sequence[Outcome]


class AttemptDeferred(Event, frozen=True):
    """A stop cut a request short."""

    endpoint: EndpointKey
    message_id: str


class AttemptCrashed(Event, frozen=True):
    """A bug of ours hit one attempt; it is contained, counted and retried. `trace` is for logs."""

    endpoint: EndpointKey
    message_id: str
    trace: str


class MessageDamaged(Event, frozen=True):
    """The journal can't give a message back that is due: nothing is posted, and it is dead."""

    endpoint: EndpointKey
    message_id: str
    why: str


class DeliveriesSettled(Event, frozen=True):
    """Deliveries to one endpoint ended, and the journal has it: those of one commit."""

    endpoint: EndpointKey
    outcomes: Sequence[Delivered | DeadLettered]


class BreakerMoved(Event, frozen=True):
    """An endpoint's circuit breaker is in another state, or lets another number through."""

    endpoint: EndpointKey
    state: BreakerState
    limit: int
    until: float | None = None
    detail: str = ""


# --- Receipts -------------------------------------------------------------------------------------


class ReceiptsConfirmed(Event, frozen=True):
    """Mixin took READ receipts."""

    bot: str
    message_ids: Sequence[str]


class ReceiptsRetried(Event, frozen=True):
    """READ receipts were not confirmed and will be sent again.

    `alone` says that others get through: it is about these, and Mixin takes receipts.
    """

    bot: str
    count: int
    detail: str
    retry_in: float
    alone: bool = False


class ReceiptsStuck(Event, frozen=True):
    """READ receipts that have failed for long while others get through: `count` of them now.

    Each is named once among `stuck`, and once among `cured` when Mixin has it after all.
    """

    bot: str
    count: int
    stuck: tuple[str, ...] = ()
    cured: tuple[str, ...] = ()
    detail: str = ""


class ReceiptRefused(Event, frozen=True):
    """Mixin refuses this READ receipt for good: the message is gone there, or not ours."""

    bot: str
    message_id: str
    detail: str


# --- The journal ----------------------------------------------------------------------------------


class JournalCommitted(Event, frozen=True):
    """A group was committed."""

    seconds: float
    items: int


class JournalFailed(Event, frozen=True):
    """The journal did not accept a write; it is tried again."""

    detail: str
    retry_in: float


class JournalRecovered(Event, frozen=True):
    """The journal accepts writes again."""


class DamageFound(Event, frozen=True):
    """The journal was found to be damaged, or its file to be gone; the run ends."""

    detail: str


class JournalSetAside(Event, frozen=True):
    """A damaged journal was moved out of the way; `kept_as` is its path now."""

    journal: str
    kept_as: str
    detail: str


class JournalUnchecked(Event, frozen=True):
    """Looking all through a journal took too long, and was broken off; what was seen is sound."""

    seconds: float


class JournalPruned(Event, frozen=True):
    """Finished messages older than the retention were removed."""

    messages: int


class JournalShrunk(Event, frozen=True):
    """Disk space that the journal no longer needs was given back."""

    size_bytes: int


class StatsCollected(Event, frozen=True):
    """The journal was counted."""

    census: Stats


# --- Operators and settings -----------------------------------------------------------------------


class OperatorNoticed(Event, frozen=True):
    """An operator's action reached the running relay.

    `actor` says by which way it was done, `asked` to what, `count` to how many dead letters.
    """

    kind: str
    endpoint: EndpointKey
    actor: str = ""
    asked: str = ""
    count: int = 0


class OperatorActed(Event, frozen=True):
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


class AdminRefused(Event, frozen=True):
    """Somebody at `peer` asked the admin API; `given` says whether with a wrong token or none.

    `throttled` says that it was one of many, and was kept waiting.
    """

    peer: str
    given: bool
    throttled: bool = False


class SettingsReloaded(Event, frozen=True):
    """The settings were read anew and hold now; nothing at all may have `changed`.

    `added` are the endpoints that are new.
    """

    changed: Reloaded
    added: tuple[EndpointKey, ...] = ()


class ReloadFailed(Event, frozen=True):
    """The settings that were read anew are refused, and the old ones stay; without a secret."""

    mistakes: tuple[str, ...]


class EndpointRemoved(Event, frozen=True):
    """The settings have an endpoint no more that the journal has dead letters for."""

    endpoint: EndpointKey
    dead_letters: int


class EndpointLeft(Event, frozen=True):
    """An endpoint is gone from the settings of the running relay; nothing more is told of it."""

    endpoint: EndpointKey


class BotLeft(Event, frozen=True):
    """A bot is gone from the settings of the running relay; nothing more is told of it."""

    bot: str


class DeliveriesDiscarded(Event, frozen=True):
    """What was owed to endpoints that are gone from the settings was given up, as was asked."""

    endpoints: tuple[EndpointKey, ...]
    deliveries: int


class ReplayBegun(Event, frozen=True):
    """A new endpoint gets what the journal still holds."""

    replay: ReplayRecord


class ReplayEnded(Event, frozen=True):
    """Every message of a replay has ended."""

    replay: ReplayRecord


# --- The process ----------------------------------------------------------------------------------


class LoopLagged(Event, frozen=True):
    """The event loop was late by so many seconds."""

    seconds: float


class RelayStarted(Event, frozen=True):
    """The service runs; `clean` says whether the stop before it was, `listen` where it answers."""

    version: str
    bots: tuple[str, ...]
    clean: bool
    listen: str = ""


class RelayStopping(Event, frozen=True):
    """A stop was asked for."""

    signal: str


class RelayStopped(Event, frozen=True):
    """The relay came to rest; `cut` attempts were in flight, `written` says if all is noted."""

    cut: int
    written: bool = True
