"""A journal that takes its time, can be full, and keeps what it has taken through every crash."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import TypeVar

from relay.journal.memory import MemoryJournal
from relay.model import (
    Arrival,
    Census,
    Deferred,
    Due,
    EndpointKey,
    EndpointNote,
    Finished,
    Notice,
    Outcome,
    OwedReceipt,
    Recorded,
    Settled,
    UnreadableFrame,
)
from relay.ports import JournalUnavailable

T = TypeVar("T")


class Disk:
    """A `relay.ports.Journal` over the one in memory.

    A write takes `latency` seconds, half of them after it is committed and before anybody hears of
    it; the next one waits for its end, as in a database. Reads wait for nobody. While `full`,
    nothing is written; while `unreadable`, nothing is read. What is `poisonous` can't be recorded.
    """

    def __init__(self, journal: MemoryJournal, latency: float = 0.0) -> None:
        self.journal = journal
        self.latency = latency
        self.full = False
        self.unreadable = False
        self.poisonous: set[str] = set()
        self.groups: list[int] = []
        self.reads = 0
        self._turn = asyncio.Lock()

    async def start(self, endpoints: Collection[EndpointKey], now: float) -> bool:
        return await self.journal.start(endpoints, now)

    async def stop(self) -> None:
        await self._write(self.journal.stop())

    async def record(self, arrivals: Sequence[Arrival]) -> Sequence[Recorded]:
        if any(arrival.message.message_id in self.poisonous for arrival in arrivals):
            raise UnicodeError
        recorded = await self._write(self.journal.record(arrivals))
        self.groups.append(len(arrivals))
        return recorded

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
        due = self.journal.due(endpoint, now, skip=skip, limit=limit, max_bytes=max_bytes)
        return await self._read(due)

    async def settle(self, outcomes: Sequence[Outcome], now: float) -> Sequence[Settled]:
        return await self._write(self.journal.settle(outcomes, now))

    async def defer(self, deferred: Sequence[Deferred]) -> None:
        await self._write(self.journal.defer(deferred))

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        return await self._read(self.journal.owed_receipts(bot, after=after, limit=limit))

    async def settle_receipts(
        self, bot: str, *, confirmed: Sequence[int], refused: Sequence[int], now: float
    ) -> Sequence[Finished]:
        settled = self.journal.settle_receipts(bot, confirmed=confirmed, refused=refused, now=now)
        return await self._write(settled)

    async def keep_unreadable(self, bot: str, frame: UnreadableFrame, now: float) -> None:
        await self._write(self.journal.keep_unreadable(bot, frame, now))

    async def note_endpoint(self, endpoint: EndpointKey, note: EndpointNote) -> None:
        await self._write(self.journal.note_endpoint(endpoint, note))

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        return await self.journal.endpoint_note(endpoint)

    async def notices(self, after: int) -> Sequence[Notice]:
        return await self._read(self.journal.notices(after))

    async def census(self) -> Census:
        return await self._read(self.journal.census())

    async def prune(self, before: float, *, limit: int) -> int:
        return await self._write(self.journal.prune(before, limit=limit))

    async def _write(self, change: Awaitable[T]) -> T:
        async with self._turn:
            await self._pass_time(self.full, change)
            result = await change
            await asyncio.sleep(self.latency / 2)
        return result

    async def _read(self, look: Awaitable[T]) -> T:
        await self._pass_time(self.unreadable, look)
        result = await look
        await asyncio.sleep(self.latency / 2)
        return result

    async def _pass_time(self, unavailable: bool, work: Awaitable[T]) -> None: ...
