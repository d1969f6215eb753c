"""One bot: its socket, its endpoints and its receipts, run, changed and drained alone."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.dispatcher import AttemptPolicy, Dispatcher
from relay.delivery.intake import Intake
from relay.delivery.routing import Routing
from relay.model.messages import EndpointKey
from relay.model.ports import Connections, Reader
from relay.receipts.outbox import Outbox

FLUSH_TIMEOUT = 10.0
"""How long a stop waits for the journal, and then for Mixin, once the attempts have ended."""


@dataclass(slots=True, eq=False)
class Webhook:
    """One endpoint in service: its dispatcher, and the connections that it uses now."""

    dispatcher: Dispatcher
    connections: Connections


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What an endpoint goes by from now on, over new connections if there are any.

    `elsewhere`: its receiver is another one.
    """

    attempts: AttemptPolicy
    breaker: BreakerPolicy
    elsewhere: bool = False
    connections: Connections | None = None


@dataclass(frozen=True, slots=True)
class BotChanges:
    """What changes of one bot: built, and not in force yet."""

    routing: Routing
    added: Mapping[EndpointKey, Webhook] = field(default_factory=dict)
    changed: Mapping[EndpointKey, WebhookChange] = field(default_factory=dict)
    removed: Collection[EndpointKey] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """How a bot came to rest: attempts that were cut off, and whether all is in the journal."""

    cut: int
    written: bool


class Bot:
    """One bot, put together: `run` it once, and `drain` it from outside."""

    def __init__(
        self,
        name: str,
        *,
        listener: Reader,
        intake: Intake,
        outbox: Outbox,
        webhooks: dict[EndpointKey, Webhook],
    ) -> None:
        self.name = name
        self.intake = intake
        self.outbox = outbox
        self.webhooks = webhooks
        self.running = asyncio.Event()
        self._listener = listener
        self._loops: dict[Webhook, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until drained. A bug in one loop ends all of them and is raised."""
        try:
            async with asyncio.TaskGroup() as self._group:
                start = self._group.create_task
                self._sending = start(self.outbox.run(), name=f"outbox of {self.name}")
                for webhook in self.webhooks.values():
                    self._begin(webhook)
                self._reading = start(self._listener.run(), name=f"listener of {self.name}")
                self.running.set()
        finally:
            for webhook in self._loops:
                await webhook.connections.close()

    @property
    def loops(self) -> list[asyncio.Task[None]]:
        """Every loop that lives as long as the bot does."""
        in_service = (loop for each, loop in self._loops.items() if not each.dispatcher.stopping)
        return [self._sending, self._reading, *in_service]

    def dispatcher(self, endpoint: EndpointKey) -> Dispatcher | None:
        """Find who delivers to an endpoint, if it is in service."""
        webhook = self.webhooks.get(endpoint)
        return None if webhook is None else webhook.dispatcher

    # --- Other settings -------------------------------------------------------------------------

    def apply(self, changes: BotChanges) -> list[Webhook]:
        """Go by changes from now on, all at once; answers with the webhooks that leave by it."""
        self.intake.reroute(changes.routing)
        for key, change in changes.changed.items():
            self._change(self.webhooks[key], change)
        for key, webhook in changes.added.items():
            self.webhooks[key] = webhook
            self._begin(webhook)
        leaving = [self.webhooks.pop(key) for key in changes.removed]
        for webhook in leaving:
            webhook.dispatcher.stop()
        return leaving

    async def see_off(self, leaving: Collection[Webhook], seconds: float) -> None:
        """Let attempts of webhooks that leave end for so long, cut off the rest, have it written.

        Broken off, it leaves them to `drain`.
        """
        await self._let_end(leaving, seconds)
        await _ended(self._loops_of(leaving))
        for webhook in leaving:
            del self._loops[webhook]
            await webhook.connections.close()

    def _begin(self, webhook: Webhook) -> None:
        name = f"dispatcher of {webhook.dispatcher.endpoint}"
        self._loops[webhook] = self._group.create_task(webhook.dispatcher.run(), name=name)

    def _change(self, webhook: Webhook, change: WebhookChange) -> None:
        webhook.dispatcher.change(change.attempts, change.breaker, elsewhere=change.elsewhere)
        webhook.dispatcher.write_down()
        if change.connections is not None:
            old, webhook.connections = webhook.connections, change.connections
            old.close_when_idle()

    # --- The end --------------------------------------------------------------------------------

    def stop(self, *, leaving: bool = False) -> None:
        """Read no more, and start no new attempt; the socket stays open.

        One that is `leaving` forgets what it has read and not journaled, for Mixin pushes it again,
        and has the journal remember what is in memory.
        """
        self._listener.stop_reading()
        if leaving:
            self.intake.forget()
        for webhook in self._loops:
            webhook.dispatcher.stop(leaving=leaving)

    async def drain(self, seconds: float) -> None:
        """Come to rest alone; what the journal does not take yet is waited for."""
        await self.rest(seconds, None)
        await self.leave()

    async def rest(self, seconds: float, patience: float | None = FLUSH_TIMEOUT) -> Rest:
        """Stop, let attempts in flight end for so long, cut off the others, write all of it down.

        The journal gets `patience` seconds for that.
        """
        await self.running.wait()
        self.stop()
        cut = await self._let_end(self._loops, seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await _ended(self._loops.values())
                await self.intake.drained()
                return Rest(cut, written=True)
        return Rest(cut, written=False)

    async def leave(self) -> None:
        """Send the receipts that Mixin takes in time, and hang up: `run` returns."""
        self.outbox.close()
        await _ended([self._sending], FLUSH_TIMEOUT)
        self._listener.close()
        await _ended([self._reading], FLUSH_TIMEOUT)
        for task in (self._sending, self._reading, *self._loops.values()):
            task.cancel()

    async def _let_end(self, webhooks: Collection[Webhook], seconds: float) -> int:
        """Wait so long for what is in flight, and cut off the rest; answers how many."""
        if await _ended(self._loops_of(webhooks), seconds):
            return 0
        return sum(webhook.dispatcher.cut() for webhook in webhooks)

    def _loops_of(self, webhooks: Iterable[Webhook]) -> list[asyncio.Task[None]]:
        return [self._loops[webhook] for webhook in webhooks]


async def _ended(loops: Collection[asyncio.Task[None]], seconds: float | None = None) -> bool:
    """Wait until loops have ended, or for so long; answers whether they have."""
    _, still = await asyncio.wait(loops, timeout=seconds) if loops else ((), ())
    return not still
