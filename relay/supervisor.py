"""The loops of one run, and how they come to rest."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from relay.bot import Branch, House
from relay.delivery.dispatcher import Dispatcher
from relay.maintenance import Maintenance
from relay.model.messages import EndpointKey
from relay.model.ports import JournalUnavailable
from relay.process import LoopWatch, keep_memory_small
from relay.reload import Reloader
from relay.webhook.connections import Line

FLUSH_TIMEOUT = 10.0
"""How long a stop waits for the journal and for Mixin once the attempts have ended."""


class Crew:
    """The loops of one run, by what a stop waits for."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        house: House,
        bots: Mapping[str, Branch],
        *,
        maintenance: Maintenance,
        reloader: Reloader,
        watch: LoopWatch,
    ) -> None:
        self.house = house
        self.reloader = reloader
        self._group = group
        self.watch = watch
        self._bots = list(bots.values())
        self._maintenance = maintenance
        start = group.create_task
        self._endless = [
            start(watch.run(), name="loop watch"),
            start(keep_memory_small(), name="heap"),
        ]
        self._records = [
            start(house.outcomes.run(), name="outcomes"),
            *(
                start(bot.intake.group.run(), name=f"intake of {name}")
                for name, bot in bots.items()
            ),
        ]
        self._outboxes = [
            start(bot.outbox.run(), name=f"outbox of {name}") for name, bot in bots.items()
        ]
        self._dispatchers: dict[asyncio.Task[None], Dispatcher] = {}
        for bot in self._bots:
            for key, dispatcher in bot.dispatchers.items():
                self.hire(key, dispatcher)
        self._listeners = [
            start(bot.listener.run(), name=f"listener of {name}") for name, bot in bots.items()
        ]
        self._maintaining = start(maintenance.run(), name="maintenance")
        self._reloading = start(reloader.run(self), name="reloader")

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Every loop that must live as long as the relay does."""
        return [
            *self._records,
            *self._outboxes,
            *(task for task, each in self._dispatchers.items() if not each.stopping),
            *self._listeners,
            self._maintaining,
            self._reloading,
        ]

    def hire(self, key: EndpointKey, dispatcher: Dispatcher) -> None:
        """Start a dispatcher's loop."""
        task = self._group.create_task(dispatcher.run(), name=f"dispatcher of {key}")
        self._dispatchers[task] = dispatcher

    def loops_of(self, leaving: Sequence[Dispatcher]) -> dict[asyncio.Task[None], Dispatcher]:
        """Find the loops of dispatchers."""
        return {task: each for task, each in self._dispatchers.items() if each in leaving}

    def left(self, loops: Iterable[asyncio.Task[None]]) -> None:
        """Forget loops that have ended as they should."""
        for task in loops:
            del self._dispatchers[task]

    def retire(self, line: Line) -> None:
        """Close a line once it is idle, without waiting for that."""
        self._group.create_task(line.retire(), name="retired line")

    def stop_reading(self) -> None:
        """Read no more from Blaze; the sockets stay open. Reload no more, either."""
        self.reloader.close()
        for bot in self._bots:
            bot.listener.stop_reading()

    def stop_attempting(self) -> None:
        """Start no new attempt."""
        for dispatcher in self._dispatchers.values():
            dispatcher.stop()

    async def attempts_ended(self, seconds: float) -> None:
        """Wait so long for the attempts in flight."""
        await asyncio.wait(self._dispatchers, timeout=seconds)

    def cut_attempts(self) -> int:
        """Cut off what is still in flight; answers how many."""
        return sum(dispatcher.cut() for dispatcher in self._dispatchers.values())

    async def written_down(self, seconds: float) -> bool:
        """Wait so long for the journal to take what has been read and what has ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        self._maintenance.close()
        _, cut = await asyncio.wait(self._dispatchers, timeout=seconds)
        self.house.outcomes.close()
        for bot in self._bots:
            bot.intake.group.close()
        left = max(0.0, deadline - loop.time())
        ends = [*self._records, self._maintaining, self._reloading]
        _, open_ = await asyncio.wait(ends, timeout=left)
        return not cut and not open_

    async def closed_the_books(self) -> bool:
        """Write down that the stop is clean; False if the journal does not take it."""
        try:
            await self.house.journal.stop()
        except JournalUnavailable:
            return False
        return True

    async def receipts_sent(self, seconds: float) -> None:
        """Wait so long for Mixin to take what is owed; the rest is owed at the next start."""
        for bot in self._bots:
            bot.outbox.close()
        await asyncio.wait(self._outboxes, timeout=seconds)

    async def hung_up(self) -> None:
        """Close the sockets."""
        for bot in self._bots:
            bot.listener.close()
        await asyncio.wait(self._listeners, timeout=FLUSH_TIMEOUT)

    def dismiss(self) -> None:
        """End what has no end of its own, and what could not be waited for."""
        for task in (*self._endless, *self.tasks, *self._dispatchers):
            task.cancel()
