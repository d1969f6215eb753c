"""One run of the relay: its loops, and the order in which they come to rest."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.delivery.dispatcher import Dispatcher
from relay.delivery.intake import Intake
from relay.delivery.outcomes import Outcomes
from relay.maintenance import Maintenance
from relay.model.messages import EndpointKey
from relay.receipts.outbox import Outbox

FLUSH = 10.0
"""How long a stop waits for the journal and for Mixin, as the service does."""


@dataclass(slots=True)
class Run:
    """One run of the relay, from its start to its stop, cut or crash."""

    outcomes: Outcomes
    outbox: Outbox
    dispatchers: dict[EndpointKey, Dispatcher]
    intake: Intake
    maintenance: Maintenance
    records: list[asyncio.Task[None]] = field(default_factory=list)
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    all: list[Dispatcher] = field(default_factory=list)
    others: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Every loop."""
        return [*self.records, *self.workers, *self.others]

    def begin(self) -> None:
        """Start every loop."""
        start = asyncio.get_running_loop().create_task
        self.records = [start(self.outcomes.run()), start(self.intake.group.run())]
        for key, dispatcher in self.dispatchers.items():
            self.hire(key, dispatcher)
        self.others = [start(self.maintenance.run()), start(self.outbox.run())]

    def hire(self, _key: EndpointKey, dispatcher: Dispatcher) -> None:
        """Start the loop of a dispatcher that is new."""
        self.workers.append(asyncio.get_running_loop().create_task(dispatcher.run()))
        self.all.append(dispatcher)

    def loops_of(self, leaving: Sequence[Dispatcher]) -> dict[asyncio.Task[None], Dispatcher]:
        """Find the loops of dispatchers."""
        return {
            task: each for task, each in zip(self.workers, self.all, strict=True) if each in leaving
        }

    def left(self, loops: Mapping[asyncio.Task[None], Dispatcher]) -> None:
        """Forget loops that have ended."""
        self.workers = [task for task in self.workers if task not in loops]
        self.all = [each for each in self.all if each not in loops.values()]

    async def come_to_rest(self, drain: float) -> int:
        """Stop in the order of docs/reference.md, Stopping; answers how many attempts were cut."""
        for dispatcher in self.all:
            dispatcher.stop()
        await asyncio.wait(self.workers, timeout=drain)
        cut = sum(dispatcher.cut() for dispatcher in self.all)
        self.maintenance.close()
        await asyncio.wait(self.workers, timeout=FLUSH)
        self.outcomes.close()
        self.intake.group.close()
        await asyncio.wait(self.records, timeout=FLUSH)
        self.outbox.close()
        await asyncio.wait(self.others, timeout=FLUSH)
        return cut

    @property
    def written(self) -> bool:
        """Whether everything came to its end."""
        return all(task.done() for task in [*self.records, *self.workers])

    async def end(self) -> None:
        """Drop what still runs; a loop that broke raises its error here."""
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError):
                raise ended
