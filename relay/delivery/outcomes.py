"""Outcomes of all endpoints, into the journal in group commits."""

import asyncio

from relay.delivery.groups import GroupCommit
from relay.model.journal import Settled
from relay.model.messages import Deferred, Outcome
from relay.model.ports import Clock, Journal
from relay.telemetry.events import Telemetry

_Entry = tuple[Outcome, "asyncio.Future[Settled]"]
_Cut = tuple[Deferred, "asyncio.Future[None]"]


class Outcomes:
    """Records what attempts came to; whoever waits here goes on once it is committed."""

    def __init__(self, journal: Journal, telemetry: Telemetry, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self.ended: GroupCommit[_Entry] = GroupCommit(self._settle, telemetry)
        self.cut: GroupCommit[_Cut] = GroupCommit(self._defer, telemetry)

    async def run(self) -> None:
        """Commit until closed."""
        async with asyncio.TaskGroup() as groups:
            groups.create_task(self.ended.run())
            groups.create_task(self.cut.run())

    def close(self) -> None:
        """Let `run` return once everything is committed."""
        self.ended.close()
        self.cut.close()

    async def record(self, outcome: Outcome) -> Settled:
        """Record an ended attempt."""
        settled: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self.ended.put((outcome, settled))
        return await settled

    async def defer(self, deferred: Deferred) -> None:
        """Record that a stop cut an attempt short."""
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cut.put((deferred, noted))
        await noted

    async def _settle(self, group: list[_Entry]) -> None:
        answers = await self._journal.settle([outcome for outcome, _ in group], self._clock())
        for (_, settled), answer in zip(group, answers, strict=True):
            if not settled.done():
                settled.set_result(answer)

    async def _defer(self, group: list[_Cut]) -> None:
        await self._journal.defer([deferred for deferred, _ in group])
        for _, noted in group:
            if not noted.done():
                noted.set_result(None)
