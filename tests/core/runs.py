"""One run of the relay: its bots under a supervisor, and its end, as the service has them."""

import asyncio
from collections.abc import Sequence

from relay.bot import Bot
from relay.delivery.dispatcher import Dispatcher
from relay.delivery.intake import Intake
from relay.journal.writer import Writer
from relay.maintenance import Maintenance
from relay.model.messages import EndpointKey
from relay.model.ports import Clock
from relay.supervisor import Supervisor
from relay.telemetry.events import Telemetry
from tests.core.disk import Disk
from tests.core.samples import BOT

RETENTION = 8 * 24 * 3600.0


class Run:
    """One run of the relay, from its start to its stop, cut or crash."""

    def __init__(
        self, disk: Disk, writer: Writer, tell: Telemetry, clock: Clock, noticed: int
    ) -> None:
        self.writer = writer
        self.written = False
        self._parts = disk, tell, clock
        self._noticed = noticed
        self._holding: asyncio.Task[None] | None = None

    async def begin(self, bots: Sequence[Bot]) -> None:
        """Let bots run."""
        begun = asyncio.Event()
        self._holding = asyncio.get_running_loop().create_task(self._hold(bots, begun))
        await begun.wait()

    async def _hold(self, bots: Sequence[Bot], begun: asyncio.Event) -> None:
        disk, tell, clock = self._parts
        async with asyncio.TaskGroup() as group:
            self.supervisor = Supervisor(group, disk, self.writer, tell, clock)
            self.maintenance = Maintenance(
                disk,
                self.supervisor.bots,
                retention=RETENTION,
                telemetry=tell,
                clock=clock,
                noticed=self._noticed,
            )
            group.create_task(self.writer.run())
            group.create_task(self.maintenance.run())
            for bot in bots:
                await self.supervisor.start(bot)
            begun.set()

    @property
    def bot(self) -> Bot:
        """The bot that most tests have alone."""
        return self.supervisor.bots[BOT]

    @property
    def intake(self) -> Intake:
        """Where its messages come in."""
        return self.bot.intake

    @property
    def dispatchers(self) -> dict[EndpointKey, Dispatcher]:
        """Who delivers to its endpoints."""
        return {key: webhook.dispatcher for key, webhook in self.bot.webhooks.items()}

    async def come_to_rest(self, drain: float) -> int:
        """Stop in the order of the service; answers how many attempts were cut."""
        self.supervisor.stop()
        rest = await self.supervisor.rest(drain)
        await self.supervisor.leave()
        self.maintenance.close()
        self.writer.close()
        self.written = rest.written
        return rest.cut

    async def end(self) -> None:
        """Drop what still runs; a loop that broke raises its error here."""
        assert self._holding is not None
        self._holding.cancel()
        (ended,) = await asyncio.gather(self._holding, return_exceptions=True)
        while isinstance(ended, BaseExceptionGroup):
            ended = ended.exceptions[0]
        if isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError):
            raise ended
