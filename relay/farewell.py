"""How an endpoint goes that the settings have no more: as at a stop, unnoticed by the others."""

import asyncio
from collections.abc import Collection, Mapping

from relay.delivery.dispatcher import Dispatcher
from relay.model.journal import Discarded
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, Journal, JournalUnavailable
from relay.telemetry.events import (
    EndpointLeft,
    JournalFailed,
    JournalRecovered,
    MessagesFinished,
    Telemetry,
)

DISCARD_AT_ONCE = 500
"""Given up in small groups, so that a delivery's commit never waits for a large one."""

_JOURNAL_RETRY = 1.0


class Farewell:
    """Sees dispatchers off that start no new attempt any more.

    Broken off by a stop it leaves the rest to the next start, which makes dead letters of it.
    """

    def __init__(self, journal: Journal, telemetry: Telemetry, clock: Clock) -> None:
        self._journal = journal
        self._telemetry = telemetry
        self._clock = clock

    async def drain(self, leaving: Mapping[asyncio.Task[None], Dispatcher], seconds: float) -> None:
        """Let attempts in flight end for so long, cut off the others, see all of it recorded."""
        if leaving:
            await asyncio.wait(leaving, timeout=seconds)
            for dispatcher in leaving.values():
                dispatcher.cut()
            await asyncio.wait(leaving)

    async def discard(self, endpoints: Collection[EndpointKey]) -> int:
        """Give up what they are owed, and configure them no longer; answers how much it was."""
        total, failed = 0, False
        while True:
            try:
                given_up = await self._give_up(endpoints)
            except JournalUnavailable as error:
                failed = True
                self._telemetry(JournalFailed(str(error), _JOURNAL_RETRY))
                await asyncio.sleep(_JOURNAL_RETRY)
                continue
            if failed:
                failed = False
                self._telemetry(JournalRecovered())
            if given_up is None:
                return total
            total += given_up.deliveries

    async def _give_up(self, endpoints: Collection[EndpointKey]) -> Discarded | None:
        """Give up a group; None once nothing is left, and the endpoints are gone."""
        now = self._clock()
        given_up = await self._journal.discard_owed(endpoints, now, limit=DISCARD_AT_ONCE)
        for (bot, outcome), count in given_up.finished.items():
            self._telemetry(MessagesFinished(bot, outcome, count))
        if given_up.deliveries:
            return given_up
        # An operator may have retried a dead letter meanwhile: then it is given up as well.
        owed = await self._journal.reconfigure(added=(), removed=endpoints, now=now)
        return given_up if owed else None

    def tell(self, leaving: Collection[Dispatcher]) -> None:
        """Tell that nothing more will be told of these endpoints."""
        for dispatcher in leaving:
            self._telemetry(EndpointLeft(dispatcher.endpoint))
