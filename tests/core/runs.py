"""One run of the relay: its loops, and the order in which they come to rest."""

import asyncio
from dataclasses import dataclass, field

from relay.dispatcher import Dispatcher
from relay.intake import Intake
from relay.model import EndpointKey
from relay.outbox import Outbox
from relay.outcomes import Outcomes
from relay.steward import Steward

FLUSH = 10.0
"""How long a stop waits for the journal and for Mixin, as the service does."""


@dataclass(slots=True)
class Run:
    """One run of the relay, from its start to its stop, cut or crash."""

    outcomes: Outcomes
    outbox: Outbox
    dispatchers: dict[EndpointKey, Dispatcher]
    intake: Intake
    steward: Steward
    records: list[asyncio.Task[None]] = field(default_factory=list)
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    others: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Every loop."""
        return [*self.records, *self.workers, *self.others]

    def begin(self) -> None:
        """Start every loop."""
        start = asyncio.get_running_loop().create_task
        self.records = [start(self.outcomes.run()), start(self.intake.group.run())]
        self.workers = [start(dispatcher.run()) for dispatcher in self.dispatchers.values()]
        self.others = [start(self.steward.run()), start(self.outbox.run())]

    async def come_to_rest(self, drain: float) -> int:
        """Stop in the order of design.md 7; answers how many attempts were cut."""
        for dispatcher in self.dispatchers.values():
            dispatcher.stop()
        await asyncio.wait(self.workers, timeout=drain)
        cut = sum(dispatcher.cut() for dispatcher in self.dispatchers.values())
        self.steward.close()
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
