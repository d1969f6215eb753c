"""A journal that takes its time, can be full, and keeps what it has taken through every crash."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from random import Random
from typing import TypeVar

from relay.model.journal import (
    Arrival,
    Batch,
    Committed,
    Discarded,
    Due,
    EndpointNote,
    Fresh,
    OperatorEvent,
    OwedReceipt,
    Stats,
)
from relay.model.messages import DeadLettered, Delivery, EndpointKey
from relay.model.ports import JournalDamaged, JournalUnavailable
from relay.model.replays import EndpointInfo, Pick, ReplayRecord, ReplayTurn, RunningReplay
from tests.core.rows import DeliveryRow, Rows

T = TypeVar("T")


STEP = 1_000
"""Bytes that it gives back at a time."""


class Disk:
    """A `relay.model.ports.Journal` over one in memory; `rows` is what it holds.

    Up to `latency` seconds pass before a write is committed, and up to as many before anybody hears
    of it; the next one waits for its end, as in a database. Reads wait for nobody. While `full`,
    nothing is written; while `unreadable`, nothing is read. What is `poisonous` can't be recorded;
    once it is `damaged`, nothing can; while it is `broken`, an outcome or a receipt can't be.
    """

    def __init__(
        self,
        latency: float = 0.0,
        *,
        on_recorded: Callable[[Delivery], None] = lambda _: None,
        on_buried: Callable[[EndpointKey, str], None] = lambda _endpoint, _message_id: None,
    ) -> None:
        self.rows = Rows()
        self.journal = self.rows.journal
        self.latency = latency
        self.full = False
        self.free = 0
        self.unreadable = False
        self.damaged = False
        self.asked_to_record = 0
        self.poisonous: set[str] = set()
        self.groups: list[int] = []
        self.reads = 0
        self.read_for: Counter[EndpointKey] = Counter()
        self.writes = 0
        self.broken = 0
        self.dropped: list[EndpointKey] = []
        self.receipt_reads = 0
        self.arrivals: dict[str, Arrival] = {}
        self._on_recorded = on_recorded
        self._on_buried = on_buried
        self._turn = asyncio.Lock()
        self._random = Random(7)

    async def start(self, endpoints: Collection[EndpointKey], now: float) -> bool:
        return await self.journal.start(endpoints, now)

    async def reconfigure(
        self, *, added: Collection[EndpointKey], removed: Collection[EndpointKey], now: float
    ) -> Mapping[EndpointKey, int]:
        return await self._write(
            lambda: self.journal.reconfigure(added=added, removed=removed, now=now)
        )

    async def discard_owed(
        self, endpoints: Collection[EndpointKey], now: float, *, limit: int
    ) -> Discarded:
        return await self._write(lambda: self._discard_owed(endpoints, now, limit))

    async def stop(self) -> None:
        await self._write(self.journal.stop)

    async def commit(self, batch: Batch) -> Committed:
        self.asked_to_record += bool(batch.arrivals)
        self.dropped += batch.dropped
        if self.damaged:
            raise JournalDamaged("spoilt")
        if any(arrival.message.message_id in self.poisonous for arrival in batch.arrivals):
            raise UnicodeError
        if self.broken and (batch.outcomes or batch.receipts):
            self.broken -= 1
            raise ZeroDivisionError
        return await self._write(lambda: self._commit(batch))

    async def due(
        self,
        endpoint: EndpointKey,
        now: float,
        *,
        skip: Collection[str],
        limit: int,
        max_bytes: int,
    ) -> Due:
        self.reads += 1
        self.read_for[endpoint] += 1
        return await self._read(
            lambda: self.journal.due(endpoint, now, skip=skip, limit=limit, max_bytes=max_bytes)
        )

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        self.receipt_reads += 1
        return await self._read(lambda: self.journal.owed_receipts(bot, after=after, limit=limit))

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        return await self.journal.endpoint_note(endpoint)

    async def register_endpoints(
        self, endpoints: Sequence[EndpointInfo], now: float
    ) -> Sequence[ReplayRecord]:
        return await self.journal.register_endpoints(endpoints, now)

    async def replays_under_way(self) -> Sequence[RunningReplay]:
        return await self._read(self.journal.replays_under_way)

    async def feed_replay(
        self, endpoint: EndpointKey, pick: Pick, now: float, *, most: int
    ) -> ReplayTurn:
        return await self._write(lambda: self.journal.feed_replay(endpoint, pick, now, most=most))

    async def operator_events(self, after: int) -> Sequence[OperatorEvent]:
        return await self._read(lambda: self.journal.operator_events(after))

    async def census(self) -> Stats:
        return await self._read(self.journal.census)

    async def prune(self, before: float, *, limit: int) -> int:
        return await self._write(lambda: self.journal.prune(before, limit=limit))

    async def shrink(self) -> int:
        step = min(STEP, self.free)
        self.free -= step
        return step

    async def _commit(self, batch: Batch) -> Committed:
        answers = await self.journal.commit(batch)
        self.groups.append(len(batch.arrivals))
        for arrival in batch.arrivals:
            self.arrivals.setdefault(arrival.message.message_id, arrival)
        for answer in answers.arrivals:
            for delivery in answer.deliveries if isinstance(answer, Fresh) else ():
                self._on_recorded(delivery)
        for outcome in batch.outcomes:
            if isinstance(outcome, DeadLettered):
                delivery = outcome.delivery
                self._on_buried(delivery.endpoint, delivery.message.message_id)
        return answers

    async def _discard_owed(
        self, endpoints: Collection[EndpointKey], now: float, limit: int
    ) -> Discarded:
        def owed() -> list[DeliveryRow]:
            return [each for endpoint in endpoints for each in self.rows.pending(endpoint)]

        before = owed()
        answer = await self.journal.discard_owed(endpoints, now, limit=limit)
        left = {each.row.id for each in owed()}
        for each in before:
            if each.row.id not in left:
                self._on_buried(each.endpoint, each.message_id)
        return answer

    async def _write(self, change: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            self.writes += 1
            await self._pass_time()
            if self.full:
                raise JournalUnavailable("the disk is full")
            result = await change()
            await self._pass_time()
        return result

    async def _read(self, look: Callable[[], Awaitable[T]]) -> T:
        await self._pass_time()
        if self.unreadable:
            raise JournalUnavailable("the disk can't be read")
        result = await look()
        await self._pass_time()
        return result

    async def _pass_time(self) -> None:
        await asyncio.sleep(self.latency * self._random.random())
