"""Carries replays out: a little at a time from the journal into the lanes, behind what is new."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from relay.delivery.dispatcher import Dispatcher
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, Journal, JournalUnavailable
from relay.model.replays import Pick, ReplayTurn, RunningReplay
from relay.telemetry.events import ReplayEnded, Telemetry

MOST_WAITING = 256
"""So many deliveries of a replay are in their lanes at most: new ones never queue behind more."""

LEAST_WAITING = MOST_WAITING // 2
"""When no more than these are left, the next ones follow."""

LOOK_EVERY = 1.0
"""Whoever asks for a replay is noticed within 5 seconds, with time to spare."""

FEED_EVERY = 0.1


class Replays:
    """Keeps the lanes supplied with what replays owe.

    `find` gives the dispatcher of an endpoint in service, `pick` what it wants.
    """

    def __init__(
        self,
        journal: Journal,
        find: Callable[[EndpointKey], Dispatcher | None],
        pick: Callable[[EndpointKey], Pick],
        *,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._find = find
        self._pick = pick
        self._telemetry = telemetry
        self._clock = clock
        self._closing = asyncio.Event()
        self._last_seen: Sequence[RunningReplay] = ()

    async def run(self) -> None:
        """Look for replays, and feed those under way, until closed."""
        while not self._closing.is_set():
            moved = False
            with suppress(JournalUnavailable):  # whoever writes tells of it
                moved = await self._take_turns()
            with suppress(TimeoutError):
                async with asyncio.timeout(FEED_EVERY if moved else LOOK_EVERY):
                    await self._closing.wait()

    def close(self) -> None:
        """Let `run` return; what is left goes on at the next start."""
        self._closing.set()

    async def _take_turns(self) -> bool:
        """Feed every endpoint that has room; answers whether anything moves."""
        under_way = await self._journal.replays_under_way()
        for each in under_way:
            if _has_turn(each):
                await self._feed(each)
        before, self._last_seen = self._last_seen, under_way
        return before != under_way

    async def _feed(self, replay: RunningReplay) -> None:
        endpoint, room, fed = replay.endpoint, MOST_WAITING - replay.waiting, ReplayTurn(more=True)
        while fed.more and self._find(endpoint) and not self._closing.is_set():
            fed = await self._journal.feed_replay(
                endpoint, self._pick(endpoint), self._clock(), most=room
            )
            room -= fed.queued
            dispatcher = self._find(endpoint)  # a reload may have taken it out
            if fed.queued and dispatcher is not None:
                dispatcher.replay_fed()
            if fed.ended is not None:
                self._telemetry(ReplayEnded(fed.ended))


def _has_turn(replay: RunningReplay) -> bool:
    return replay.waiting == 0 if replay.read else replay.waiting <= LEAST_WAITING
