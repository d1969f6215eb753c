"""The journal in a SQL database: each method one transaction of `Database`."""

from collections.abc import Collection, Mapping, Sequence

from relay.journal import endpoints, lanes, operator_events, replays, retention, stats, unreadable
from relay.journal.counts import Tallies
from relay.journal.encryption.columns import ColumnCipher
from relay.journal.incoming import Run, take_in
from relay.journal.lanes import due
from relay.journal.outcomes import defer, settle
from relay.journal.receipts import owed_receipts, settle_receipts
from relay.journal.sqlite import vacuum
from relay.journal.sqlite.engine import Database
from relay.journal.statements import Connection
from relay.model.journal import (
    Batch,
    Committed,
    Discarded,
    Due,
    EndpointNote,
    OperatorEvent,
    OwedReceipt,
    Stats,
)
from relay.model.messages import EndpointKey
from relay.model.replays import EndpointInfo, Pick, ReplayRecord, ReplayTurn, RunningReplay


class SqlJournal:
    """Implements `relay.model.ports.Journal`; `start` comes first."""

    def __init__(self, database: Database, cipher: ColumnCipher) -> None:
        self._database = database
        self._cipher = cipher
        self._run = Run(cipher, {})

    async def start(self, configured: Collection[EndpointKey], now: float) -> bool:
        """Begin a run."""
        clean, self._run = await self._database.write(
            endpoints.start, configured, now, self._cipher
        )
        # Whoever loses the log from here on still finds a journal that was not stopped cleanly.
        await self._database.checkpoint()
        return clean

    async def reconfigure(
        self, *, added: Collection[EndpointKey], removed: Collection[EndpointKey], now: float
    ) -> Mapping[EndpointKey, int]:
        """Configure endpoints, and others no longer."""
        changed = await self._database.write(endpoints.reconfigure, added, removed, now)
        self._run.ids = changed.ids
        return changed.owed

    async def discard_owed(
        self, these: Collection[EndpointKey], now: float, *, limit: int
    ) -> Discarded:
        """Give up what is owed to endpoints."""
        return await self._database.write(endpoints.discard_owed, these, now, limit)

    async def stop(self) -> None:
        """End the run cleanly."""
        await self._database.write(endpoints.stop)

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch."""
        return await self._database.write(commit, batch, self._run)

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
        return await self._database.read(
            due,
            endpoint,
            self._run.ids[endpoint],
            now,
            self._cipher,
            skip=skip,
            limit=limit,
            max_bytes=max_bytes,
        )

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        """Read owed receipts."""
        return await self._database.read(owed_receipts, bot, after, limit)

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        """Read what is written of an endpoint."""
        return await self._database.read(endpoints.read_note, endpoint, self._cipher)

    async def register_endpoints(
        self, infos: Sequence[EndpointInfo], now: float
    ) -> Sequence[ReplayRecord]:
        """Take note of addresses."""
        return await self._database.write(replays.register_endpoints, infos, now)

    async def replays_under_way(self) -> Sequence[RunningReplay]:
        """List replays that have not ended."""
        return await self._database.read(replays.under_way)

    async def feed_replay(
        self, endpoint: EndpointKey, pick: Pick, now: float, *, most: int
    ) -> ReplayTurn:
        """Put further deliveries into their lanes."""
        return await self._database.write(replays.feed, endpoint, pick, now, most, run=self._run)

    async def operator_events(self, after: int) -> Sequence[OperatorEvent]:
        """Read operators' actions."""
        return await self._database.read(operator_events.read, after)

    async def census(self) -> Stats:
        """Count the stock, beside what messages wait for: it may take a while."""
        return await self._database.browse(stats.collect, self._database.size_bytes())

    async def prune(self, before: float, *, limit: int) -> int:
        """Remove old finished messages, found beside whoever writes, in short transactions."""
        await self._database.write(retention.forget_the_rest, before)
        old = await self._database.browse(retention.old_messages, before, limit)
        pruned = 0
        for start in range(0, len(old), retention.FORGOTTEN_AT_ONCE):
            part = old[start : start + retention.FORGOTTEN_AT_ONCE]
            pruned += await self._database.write(retention.forget, part, before)
        return pruned

    async def shrink(self) -> int:
        """Give free room back to the disk."""
        pages, page = await self._database.read(vacuum.spare)
        if pages:
            await self._database.release(pages)
        return pages * page


def commit(connection: Connection, batch: Batch, run: Run) -> Committed:
    """Write a batch, in the order of its fields."""
    ids, now, tallies = run.ids, batch.now, Tallies()
    lanes.close_whole(
        connection, [(ids[each.endpoint], each.lane, each.upto) for each in batch.whole]
    )
    lanes.make_again(connection, {ids[each] for each in batch.dropped}, now)
    for bot, frame in batch.frames:
        unreadable.keep(connection, bot, frame, now, run.cipher)
    recorded = take_in(connection, batch.arrivals, run, tallies) if batch.arrivals else []
    settled = settle(connection, batch.outcomes, run.cipher, now, tallies) if batch.outcomes else []
    if batch.deferred:
        defer(connection, batch.deferred)
    receipts = [settle_receipts(connection, each, now, tallies) for each in batch.receipts]
    for endpoint, note in batch.notes:
        endpoints.write_note(connection, endpoint, note, run.cipher)
    tallies.write(connection)
    return Committed(recorded, settled, receipts)
