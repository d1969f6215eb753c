"""What has to be done from time to time: take notice of operators, replay, count, prune."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from relay.bot import Bot
from relay.delivery.dispatcher import Dispatcher
from relay.delivery.replays import Replays
from relay.model.admin import AdminStore
from relay.model.journal import OperatorEvent, OperatorEventKind
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, Journal, JournalUnavailable
from relay.model.replays import Pick, ReplayRecord
from relay.telemetry.events import (
    EndpointRemoved,
    JournalPruned,
    JournalShrunk,
    MessagesDiscarded,
    OperatorNoticed,
    ReplayBegun,
    StatsCollected,
    Telemetry,
)

NOTICE_EVERY = 1.0
"""An operator's action is noticed within 5 seconds, with time to spare."""

CENSUS_EVERY = 10.0
PRUNE_EVERY = 60.0
PRUNE_AT_ONCE = 2_000
"""Looked for at once: it takes the longer the more dead letters are kept."""


async def last_notice(journal: Journal) -> int:
    """Find the last notice: what operators did before, the journal's state says."""
    last = 0
    while notices := await journal.operator_events(last):
        last = notices[-1].id
    return last


async def tell_of_endpoints(
    store: AdminStore, begun: Sequence[ReplayRecord], tell: Telemetry
) -> None:
    """Tell what a start has found: replays that begin, and dead letters that nobody owns."""
    for replay in begun:
        tell(ReplayBegun(replay))
    with suppress(JournalUnavailable):  # a report only
        for record in await store.endpoints():
            if record.dead_letters and not record.configured:
                tell(EndpointRemoved(record.endpoint, record.dead_letters))


class Maintenance:
    """What is done to the journal of a running relay at intervals.

    `bots` are those in service; `noticed` is the last operator event that is known already.
    """

    def __init__(
        self,
        journal: Journal,
        bots: Mapping[str, Bot],
        *,
        retention: float,
        telemetry: Telemetry,
        clock: Clock,
        noticed: int = 0,
    ) -> None:
        self._journal = journal
        self._bots = bots
        self._retention = retention
        self._telemetry = telemetry
        self._clock = clock
        self._noticed = noticed
        self._closing = asyncio.Event()
        self._replays = Replays(
            journal, self._dispatcher, self._pick, telemetry=telemetry, clock=clock
        )

    async def run(self) -> None:
        """Do each duty at its interval until closed."""
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._replays.run())
            duties.create_task(self._every(NOTICE_EVERY, self._take_notice))
            duties.create_task(self._every(CENSUS_EVERY, self.collect_stats))
            duties.create_task(self._every(PRUNE_EVERY, self._prune))

    def close(self) -> None:
        """Let `run` return."""
        self._replays.close()
        self._closing.set()

    async def collect_stats(self) -> None:
        """Count the stock and tell it."""
        self._telemetry(StatsCollected(await self._journal.census()))

    async def _every(self, seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
        while not self._closing.is_set():
            with suppress(JournalUnavailable):  # whoever writes tells of it
                await duty()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._closing.wait()

    async def _take_notice(self) -> None:
        notices = await self._journal.operator_events(self._noticed)
        for notice in _in_short(notices):
            audit = notice.audit
            told = OperatorNoticed(
                notice.kind, notice.endpoint, audit.actor, audit.target, audit.count
            )
            self._telemetry(told)
            self._follow(notice)
        if notices:
            self._noticed = notices[-1].id

    def _dispatcher(self, endpoint: EndpointKey) -> Dispatcher | None:
        bot = self._bots.get(endpoint.bot)
        return None if bot is None else bot.dispatcher(endpoint)

    def _pick(self, endpoint: EndpointKey) -> Pick:
        return self._bots[endpoint.bot].intake.routing.pick(endpoint)

    def _follow(self, notice: OperatorEvent) -> None:
        if (dispatcher := self._dispatcher(notice.endpoint)) is not None:
            dispatcher.notice(notice)
        bot = notice.endpoint.bot
        if notice.kind in (OperatorEventKind.DISCARDED, OperatorEventKind.WAIVED) and notice.count:
            self._telemetry(MessagesDiscarded(bot, notice.count))
        if notice.kind is OperatorEventKind.WAIVED and bot in self._bots:
            self._bots[bot].outbox.look_again()

    async def _prune(self) -> None:
        before = self._clock() - self._retention
        pruned = 0
        while count := await self._journal.prune(before, limit=PRUNE_AT_ONCE):
            pruned += count
            if self._closing.is_set():
                break
        if pruned:
            self._telemetry(JournalPruned(pruned))
        await self._shrink()

    async def _shrink(self) -> None:
        given_back = 0
        while not self._closing.is_set() and (size := await self._journal.shrink()):
            given_back += size
        if given_back:
            self._telemetry(JournalShrunk(given_back))


def _in_short(notices: Sequence[OperatorEvent]) -> Iterator[OperatorEvent]:
    """Take together what came of one action in many short transactions."""
    together: dict[tuple[OperatorEventKind, EndpointKey, str, str], OperatorEvent] = {}
    for notice in notices:
        if not notice.audit.count:  # a pause and a resume are followed in their order
            yield from together.values()
            together.clear()
            yield notice
            continue
        key = notice.kind, notice.endpoint, notice.audit.actor, notice.audit.target
        before = together.get(key)
        together[key] = notice if before is None else _sum(before, notice)
    yield from together.values()


def _sum(one: OperatorEvent, other: OperatorEvent) -> OperatorEvent:
    audit = replace(other.audit, count=one.audit.count + other.audit.count)
    return replace(other, count=one.count + other.count, audit=audit)
