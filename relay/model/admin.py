"""What operators ask of the journal, with or without a running relay.

Whatever changes something also leaves an `OperatorEvent`, which a running relay follows within
seconds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from relay.model.journal import EndpointNote
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.model.replays import Pick, ReplayOrder, ReplayRecord, RequestedReplay, Survey
from relay.model.times import Time, rfc3339

INTERNAL = {"json": "internal"}
"""Marks a field that no answer to an operator has."""

INLINE = {"json": "inline"}
"""Marks a field whose own fields stand in its place in an answer."""


class MessageState(StrEnum):
    """Where a message stands, as operators list it; `failing` ones are pending, too."""

    PENDING = "pending"
    FAILING = "failing"
    READ = "read"
    UNWANTED = "unwanted"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which messages to list, newest first; None asks for any.

    `pending` True asks for unfinished ones, False for finished ones; `failing` for those of which a
    delivery waits that has failed before. `endpoint` asks for those that are owed to an endpoint of
    this name; what is pending or failing is so there, then. They came at `since` or later, before
    `until` (Unix seconds). `after` is the number of the last one of the page before.
    """

    bot: str | None = None
    conversation_id: str | None = None
    category: str | None = None
    pending: bool | None = None
    outcome: MessageOutcome | None = None
    limit: int = 50
    endpoint: str | None = None
    failing: bool = False
    since: Time | None = None
    until: Time | None = None
    after: int | None = None

    def narrowed(self, state: MessageState | None) -> "MessageQuery":
        """Ask for those in one state only."""
        match state:
            case None:
                return self
            case MessageState.PENDING:
                return replace(self, pending=True)
            case MessageState.FAILING:
                return replace(self, failing=True)
            case _:
                return replace(self, outcome=MessageOutcome(state))


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message in short."""

    bot: str
    message_id: str
    conversation_id: str
    user_id: str
    category: str
    source: Source
    received_at: Time
    outcome: MessageOutcome | None
    finished_at: Time | None
    receipt: ReceiptState
    number: int = field(default=0, compare=False, metadata=INTERNAL)
    """Where it stands in the list, for pages."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One ended attempt; `duration` in seconds."""

    number: int
    started_at: Time
    duration: float
    outcome: AttemptOutcome
    status: int | None
    reason: Reason | None
    detail: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """What goes before a delivery in its lane: the message that is next there, and how many."""

    message_id: str
    count: int


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One delivery with its attempts; `due_at` is when the next attempt may be, if one is to come.

    `waits` says that an earlier message of its lane goes first; `circuit` is what a relay last
    wrote of the endpoint: nothing is attempted while it is paused or gone, and only probes while
    it is open. `replay` is the number of the replay that sends it again.
    """

    endpoint: EndpointKey
    required: bool
    state: DeliveryState
    attempts: tuple[AttemptRecord, ...]
    due_at: Time | None
    waits: bool
    doubtful: bool
    ended_at: Time | None
    ended_reason: str | None
    circuit: BreakerState = field(default=BreakerState.CLOSED, metadata={"formerly": "gate"})
    replay: int | None = None
    ahead: Ahead | None = field(default=None, metadata=INTERNAL)
    """What it waits for, if it does."""


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """All that the journal knows of one message."""

    message: MessageSummary
    deliveries: tuple[DeliveryRecord, ...]
    receipt_at: Time | None
    frame: bytes = field(metadata=INTERNAL)
    damage: str = field(default="", metadata=INTERNAL)
    """Why the journal can't give the frame; empty if it can."""


SHOWN = 10
"""Ids in a line of the log."""

PLACE = r"^[0-9]{1,12}(\.[0-9]{1,12})?_[0-9]{1,18}$"
"""How a place is written."""


class Place(NamedTuple):
    """Where a dead letter stands among the others, which are in the order of their deaths."""

    ended_at: float
    number: int

    def __str__(self) -> str:
        """Write it as the cursor of the page behind it."""
        return f"{self.ended_at!r}_{self.number}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """Read a cursor. Raises `ValueError`."""
        if re.fullmatch(PLACE, text) is None:
            raise ValueError(text)
        ended_at, _, number = text.partition("_")
        return cls(float(ended_at), int(number))


@dataclass(frozen=True, slots=True)
class DeadLetterQuery:
    """Which dead letters; all conditions hold at once, None asks for any.

    They died at `since` or later, before `until` (Unix seconds); `reason` as in
    `DeadLetter.reason`; `after` is the place of the last one of the page before.
    """

    message_ids: tuple[str, ...] | None = None
    bot: str | None = None
    endpoint: str | None = None
    reason: str | None = None
    until: float | None = None
    limit: int | None = None
    conversation_id: str | None = None
    since: float | None = None
    after: Place | None = None

    @property
    def words(self) -> str:
        """Summarize in a line for the log what is asked for; a long list of ids by its length."""
        ids = self.message_ids
        shown = None if ids is None else ",".join(ids) if len(ids) <= SHOWN else f"{len(ids)} ids"
        asked = {
            "ids": shown,
            "bot": self.bot,
            "endpoint": self.endpoint,
            "reason": self.reason,
            "conversation": self.conversation_id,
            "since": rfc3339(self.since),
            "until": rfc3339(self.until),
        }
        return " ".join(f"{name}={text}" for name, text in asked.items() if text) or "all"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that ended as dead.

    `reason` is that of its last attempt, or `removed`: its endpoint is no longer configured.
    """

    endpoint: EndpointKey
    message_id: str
    conversation_id: str
    category: str
    attempts: int
    reason: str
    status: int | None
    detail: str
    received_at: Time
    ended_at: Time
    replay: int | None = None
    number: int = field(default=0, compare=False, metadata=INTERNAL)

    @property
    def place(self) -> Place:
        """Return where it stands in the list."""
        return Place(self.ended_at, self.number)


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """One endpoint's standing: what a relay last wrote of it, and what the journal counts.

    `pending` and `oldest_at` are about what it is owed; `replaying` waits beside that.
    """

    endpoint: EndpointKey
    note: EndpointNote = field(metadata=INLINE)
    pending: int
    oldest_at: Time | None
    dead_letters: int
    configured: bool
    replaying: int = 0


class ReloadRefused(Exception):  # noqa: N818 - an answer, not a fault
    """Settings that were read anew can't be applied, a line for each reason; the old ones stay."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """Which settings of an endpoint (`bot/name`) have changed, by their keys."""

    endpoint: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has changed: bots by name, endpoints as `bot/name`, other settings by keys.

    `discarded` counts deliveries given up that removed endpoints were owed.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[EndpointChange, ...] = ()
    settings: tuple[str, ...] = ()
    discarded: int = 0
    bots_added: tuple[str, ...] = ()
    bots_removed: tuple[str, ...] = ()
    bots_restarted: tuple[str, ...] = ()


class Reload(Protocol):
    """Reads the settings anew."""

    async def __call__(self, *, discard_owed: bool) -> Reloaded:
        """Apply the settings as they are on disk now, all of them or none.

        An endpoint that is gone and still owed deliveries is refused unless `discard_owed`.
        Raises `ReloadRefused`.
        """


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A frame that was no event; the same one again counts in `times`. `sample` is its front."""

    bot: str
    digest: str
    why: str
    times: int
    first_at: float
    last_at: float
    sample: bytes


class AdminStore(Protocol):
    """What an operator may ask of the journal and do to it. May raise `JournalUnavailable`."""

    async def messages(self, query: MessageQuery) -> Sequence[MessageSummary]:
        """List messages."""

    async def history(self, message_id: str) -> Sequence[MessageHistory]:
        """Return all of one message; of several bots' if more than one has it; empty if none."""

    async def unreadable(self, bot: str | None, limit: int) -> Sequence[UnreadableRecord]:
        """List frames that could not be read, of one bot or of all, the last seen first."""

    async def dead_letters(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        """List dead letters, oldest first."""

    async def count_dead_letters(self, query: DeadLetterQuery) -> int:
        """Count dead letters, whatever the query's `limit`."""

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        """Make dead letters due again at once, their counts anew; answers with those revived.

        Those of endpoints that are not configured stay dead: nobody would attempt them.
        """

    async def discard(
        self, query: DeadLetterQuery, now: float, *, mark_read: bool
    ) -> Sequence[DeadLetter]:
        """Give dead letters up; with `mark_read` they no longer hold READ back."""

    async def endpoints(self) -> Sequence[EndpointRecord]:
        """List endpoints by bot and name."""

    async def survey_replay(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        """Count on, for a while, what a replay would send: ask again until it is whole."""

    async def ask_replay(self, order: ReplayOrder, now: float) -> RequestedReplay | None:
        """Ask for a replay, one at a time to an endpoint; None if none of that name is configured.

        A running relay begins within seconds, or the next one that starts.
        """

    async def replays(self) -> Sequence[ReplayRecord]:
        """List replays, the newest first."""

    async def cancel_replay(self, number: int, now: float) -> ReplayRecord | None:
        """Send no more of a replay; None if there is no such one. One that has ended stays so."""

    async def pause(self, endpoint: EndpointKey) -> bool:
        """Pause an endpoint until it is resumed; False if the journal does not know it."""

    async def resume(self, endpoint: EndpointKey) -> bool:
        """Let an endpoint go on, paused or gone; False if the journal does not know it."""

    async def back(self, endpoint: EndpointKey) -> bool:
        """Let an endpoint that is gone or in trouble be tried again, but lift no operator's pause.

        False if the journal does not know it.
        """
