"""The journal in a SQL database: each method one transaction of `Database`."""

from collections.abc import Collection, Mapping, Sequence

from relay.journal import commit as committing
from relay.journal import due as reading
from relay.journal import endpoints as removing
from relay.journal import incoming as receiving
from relay.journal import outcomes as settling
from relay.journal import replays as replaying
from relay.journal import retention as keeping
from relay.journal import runs
from relay.journal.encryption.columns import Bodies
from relay.journal.engines.sqlite import vacuum as shrinking
from relay.journal.engines.sqlite.engine import Database
from relay.journal.incoming import EndpointIds, Numbers
from relay.journal.rules import FORGOTTEN_AT_ONCE
from relay.model.journal import (
    Arrival,
    Batch,
    Committed,
    Discarded,
    Due,
    EndpointNote,
    Finished,
    OperatorEvent,
    OwedReceipt,
    Recorded,
    Settled,
    Stats,
    UnreadableFrame,
)
from relay.model.messages import Deferred, EndpointKey, Outcome
from relay.model.replays import EndpointInfo, Pick, ReplayRecord, ReplayTurn, RunningReplay


class SqlJournal:
    """Implements `relay.model.ports.Journal`; `start` comes first."""

    def __init__(self, database: Database, bodies: Bodies) -> None:
        self._database = database
        self._bodies = bodies
        self._ids: EndpointIds = {}
        self._numbers = Numbers(0, 0)

    async def start(self, endpoints: Collection[EndpointKey], now: float) -> bool:
        """Begin a run."""
        seals_with = self._bodies.seals_with
        run = await self._database.write(runs.start, endpoints, now, seals_with)
        self._ids, self._numbers = run.ids, run.numbers
        # Whoever loses the log from here on still finds a journal that was not stopped cleanly.
        await self._database.checkpoint()
        return run.clean

    async def reconfigure(
        self, *, added: Collection[EndpointKey], removed: Collection[EndpointKey], now: float
    ) -> Mapping[EndpointKey, int]:
        """Configure endpoints, and others no longer."""
        changed = await self._database.write(removing.reconfigure, added, removed, now)
        self._ids = changed.ids
        return changed.owed

    async def discard_owed(
        self, endpoints: Collection[EndpointKey], now: float, *, limit: int
    ) -> Discarded:
        """Give up what is owed to endpoints."""
        return await self._database.write(removing.discard_owed, endpoints, now, limit)

    async def stop(self) -> None:
        """End the run cleanly."""
        await self._database.write(runs.stop)

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch."""
        return await self._database.write(
            committing.commit, batch, self._ids, self._numbers, self._bodies
        )

    async def record(self, arrivals: Sequence[Arrival]) -> Sequence[Recorded]:
        """Insert what is new."""
        return await self._database.write(
            receiving.record, arrivals, self._ids, self._numbers, self._bodies
        )

    async def due(
        self,
        endpoint: EndpointKey,
        now: float,
        *,
        skip: Collection[str],
        limit: int,
        max_bytes: int,
    ) -> Due:
        """Read what is due."""
        number = self._ids[endpoint]
        return await self._database.read(
            reading.due,
            endpoint,
            number,
            now,
            self._bodies,
            skip=skip,
            limit=limit,
            max_bytes=max_bytes,
        )

    async def settle(self, outcomes: Sequence[Outcome], now: float) -> Sequence[Settled]:
        """Record ended attempts."""
        return await self._database.write(settling.settle, outcomes, self._ids, now, self._bodies)

    async def defer(self, deferred: Sequence[Deferred]) -> None:
        """Mark cut deliveries doubtful."""
        await self._database.write(settling.defer, deferred)

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        """Read owed receipts."""
        return await self._database.read(reading.owed_receipts, bot, after, limit)

    async def settle_receipts(
        self, bot: str, *, confirmed: Sequence[int], refused: Sequence[int], now: float
    ) -> Sequence[Finished]:
        """Record receipts."""
        return await self._database.write(settling.settle_receipts, bot, confirmed, refused, now)

    async def keep_unreadable(self, bot: str, frame: UnreadableFrame, now: float) -> None:
        """Keep a sample."""
        await self._database.write(keeping.keep_unreadable, bot, frame, now, self._bodies)

    async def note_endpoint(self, endpoint: EndpointKey, note: EndpointNote) -> None:
        """Write down how an endpoint fares."""
        await self._database.write(keeping.note_endpoint, endpoint, note, self._bodies)

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        """Read what is written of an endpoint."""
        return await self._database.read(reading.endpoint_note, endpoint, self._bodies)

    async def register_endpoints(
        self, endpoints: Sequence[EndpointInfo], now: float
    ) -> Sequence[ReplayRecord]:
        """Take note of addresses."""
        return await self._database.write(replaying.register_endpoints, endpoints, now)

    async def replays_under_way(self) -> Sequence[RunningReplay]:
        """List replays that have not ended."""
        return await self._database.read(replaying.under_way)

    async def feed_replay(
        self, endpoint: EndpointKey, pick: Pick, now: float, *, most: int
    ) -> ReplayTurn:
        """Put further deliveries into their lanes."""
        return await self._database.write(
            replaying.feed, endpoint, pick, now, most, ids=self._ids, numbers=self._numbers
        )

    async def operator_events(self, after: int) -> Sequence[OperatorEvent]:
        """Read operators' actions."""
        return await self._database.read(reading.read_notices, after)

    async def census(self) -> Stats:
        """Count the stock."""
        return await self._database.read(reading.census, self._database.size_bytes())

    async def prune(self, before: float, *, limit: int) -> int:
        """Remove old finished messages, found beside whoever writes, in short transactions."""
        await self._database.write(keeping.forget_the_rest, before)
        old = await self._database.read(keeping.old_messages, before, limit)
        pruned = 0
        for start in range(0, len(old), FORGOTTEN_AT_ONCE):
            part = old[start : start + FORGOTTEN_AT_ONCE]
            pruned += await self._database.write(keeping.forget, part, before)
        return pruned

    async def shrink(self) -> int:
        """Give free room back to the disk."""
        pages, page = await self._database.read(shrinking.spare)
        if pages:
            await self._database.release(pages)
        return pages * page
