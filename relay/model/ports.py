"""What the relay needs from the outside: one protocol per neighbour, each kept small.

Whatever these raise is mapped where it comes in: the relay itself sees only the errors named here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from relay.model.journal import (
    Answer,
    Arrival,
    Batch,
    Committed,
    Discarded,
    Due,
    EndpointNote,
    Entry,
    OperatorEvent,
    OwedReceipt,
    Stats,
    UnreadableFrame,
)
from relay.model.messages import (
    Delivery,
    EndpointKey,
    Message,
    ReceiptVerdict,
    Verdict,
)
from relay.model.replays import EndpointInfo, Pick, ReplayRecord, ReplayTurn, RunningReplay

Clock = Callable[[], float]
"""Wall time in Unix seconds."""


class JournalUnavailable(Exception):  # noqa: N818 - a state of the disk, not an error of the caller
    """The journal takes no writes or reads at the moment: a full disk, a lock, an I/O error.

    Nothing was written; the same call may succeed later.
    """


class JournalDamaged(Exception):  # noqa: N818 - a state of the disk, not an error of the caller
    """The journal's file can't be relied on any more: no call will succeed, and the relay ends.

    Nothing was written that is known of. Whoever catches exceptions of all kinds lets this one
    through.
    """


class JournalGone(JournalDamaged):
    """The file that was opened is not the one in its place any more: deleted, or another's."""


def find_damage(several: BaseExceptionGroup[BaseException]) -> JournalDamaged | None:
    """Find the damage among what has ended a group of tasks."""
    of_damage = several.subgroup(JournalDamaged)
    while of_damage is not None:
        first = of_damage.exceptions[0]
        if isinstance(first, JournalDamaged):
            return first
        of_damage = first
    return None


class Recovery(StrEnum):
    """What a relay does about a damaged journal: refuse to run, or set it aside and begin anew."""

    REFUSE = "refuse"
    START_FRESH = "start_fresh"


class Journal(Protocol):
    """The durable record, as a running relay uses it. Each method is one transaction.

    Every method may raise `JournalUnavailable` and `JournalDamaged`.
    """

    async def start(self, endpoints: Collection[EndpointKey], now: float) -> bool:
        """Begin a run with these endpoints.

        Answers whether the stop before it was clean; after one that was not, every unfinished
        delivery is doubtful. Deliveries to an endpoint that is no longer configured become dead
        letters with the reason `removed`, and are revived when it is configured again.
        """

    async def reconfigure(
        self, *, added: Collection[EndpointKey], removed: Collection[EndpointKey], now: float
    ) -> Mapping[EndpointKey, int]:
        """Configure endpoints, and others no longer, unless those are still owed anything.

        Answers what they are owed; if there is any, nothing was changed. What `start` made dead
        letters with the reason `removed` is revived for those that are back.
        """

    async def discard_owed(
        self, endpoints: Collection[EndpointKey], now: float, *, limit: int
    ) -> Discarded:
        """Give up at most `limit` unfinished deliveries of these endpoints.

        Their messages are not READ by that.
        """

    async def stop(self) -> None:
        """Write down that this run ends cleanly."""

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch whole, in one transaction, or nothing of it."""

    async def due(
        self,
        endpoint: EndpointKey,
        now: float,
        *,
        skip: Collection[str],
        limit: int,
        max_bytes: int,
    ) -> Due:
        """Read deliveries of the lanes due at `now`, longest due first, but not those in `skip`.

        At most `limit` deliveries and, beyond the first, `max_bytes` of frames.
        """

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        """Read owed receipts with a `seq` above `after`, ascending."""

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        """Read what is written of an endpoint; CLOSED if nothing is."""

    async def register_endpoints(
        self, endpoints: Sequence[EndpointInfo], now: float
    ) -> Sequence[ReplayRecord]:
        """Take note of where endpoints post to; those that are new get what is `retained`.

        Follows `start`, before anything new is recorded; answers with the replays that it began.
        """

    async def replays_under_way(self) -> Sequence[RunningReplay]:
        """List the replays to configured endpoints that have not ended: one of each at most."""

    async def feed_replay(
        self, endpoint: EndpointKey, pick: Pick, now: float, *, most: int
    ) -> ReplayTurn:
        """Put at most `most` further deliveries of an endpoint's replay into their lanes.

        It looks through only so much at a time, oldest first, and goes on there the next time.
        """

    async def operator_events(self, after: int) -> Sequence[OperatorEvent]:
        """Read operators' actions with an id above `after`, ascending."""

    async def census(self) -> Stats:
        """Count the stock in one consistent read."""

    async def prune(self, before: float, *, limit: int) -> int:
        """Remove at most `limit` messages finished before that time; answers how many it was.

        Dead letters are never pruned: an operator decides about them. Nor is what a replay may
        still send.
        """

    async def shrink(self) -> int:
        """Give back some of the disk space that pruning has freed; answers how many bytes."""


class Party(Protocol):
    """Who puts entries into the writer, and hears of each group with some of them."""

    def committed(self, pairs: Sequence[tuple[Entry, Answer]]) -> None:
        """Follow entries that are committed now, with the journal's answers, in their order."""

    def refused(self, entry: Entry, error: Exception) -> None:
        """Do without an entry that can't be written, by a bug: it alone is not committed."""


class Source(Party, Protocol):
    """A party whose messages arrive."""

    def arrival(self, message: Message) -> Arrival | None:
        """Say what a message is owed to, as its group is made up; None if it is not to be kept."""


class Writer(Protocol):
    """Where everything goes that a running relay has to write. Putting never waits."""

    @property
    def full(self) -> bool:
        """Whether more than a group has ended: until there is room nothing else may begin."""

    def put(self, party: Party, entry: Entry, *, patience: float = 0.0) -> None:
        """Add what has ended to the next group; it may wait for company for so many seconds."""

    def hurry(self) -> None:
        """Let what has ended wait for company no longer."""

    def take(self, source: Source, message: Message) -> None:
        """Add a message that has arrived to the next group."""

    async def group(self) -> None:
        """Wait until one more group is committed."""

    def when_room(self, call: Callable[[], None]) -> None:
        """Call back once the writer is `full` no more."""

    def held(self) -> AbstractAsyncContextManager[None]:
        """Let the group end that is being committed, and none begin; putting goes on.

        Raises `JournalUnavailable` if that group is one that the journal does not take.
        """


class Inlet(Protocol):
    """Where a listener puts what it has read. Taking never waits."""

    @property
    def full(self) -> bool:
        """Whether the bound is reached: the listener pauses, and if it lasts, gives up."""

    def take(self, message: Message) -> None:
        """Take a message for the next group commit."""

    def keep(self, frame: UnreadableFrame) -> None:
        """Take a frame that is no event, for inspection."""

    async def room(self) -> None:
        """Wait until there is room again."""


class Courier(Protocol):
    """Makes one attempt."""

    async def attempt(self, delivery: Delivery) -> Verdict:
        """POST the delivery once and judge the answer. Raises only cancellation."""


class Acknowledger(Protocol):
    """Sends one batch of READ receipts."""

    async def mark_read(self, message_ids: Sequence[str]) -> ReceiptVerdict:
        """POST at most 100 receipts once and judge the answer. Raises only cancellation."""


class Reader(Protocol):
    """Who holds a bot's socket: the listener."""

    async def run(self) -> None:
        """Read until closed."""

    def stop_reading(self) -> None:
        """Read no more; the socket stays open."""

    def close(self) -> None:
        """Close the socket; `run` returns."""


class Connections(Protocol):
    """An endpoint's connections to its receiver."""

    def close_when_idle(self) -> None:
        """Close each once the attempt on it has ended."""

    async def close(self) -> None:
        """Drop all of them."""
