"""What the tests of the upstream drivers share: a bot at the simulator, and ears that remember."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp

from relay.blaze.api import MixinApi
from relay.blaze.credentials import Credentials
from relay.blaze.keystore import Keystore, parse_keystore
from relay.blaze.link import Patience
from relay.blaze.listener import Listener
from relay.model.journal import UnreadableFrame
from relay.model.messages import Message
from relay.telemetry.events import Event
from tests.support.simulator import Simulator

F = TypeVar("F", bound=Event)

BOT = "support"
# Waits of a test end with an error after so many seconds; none is expected to.
LIMIT = 20.0


class Ears:
    """A telemetry that remembers every event, and wakes who waits for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._waiters: set[asyncio.Event] = set()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        for waiter in self._waiters:
            waiter.set()

    def all(self, kind: type[F], **fields: Any) -> list[F]:
        """List the events of a kind whose fields are as given."""
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    async def hear(self, kind: type[F], times: int = 1, **fields: Any) -> F:
        """Wait until such an event was told so many times; gives the last of these."""
        await self.until(lambda: len(self.all(kind, **fields)) >= times, f"{kind.__name__}")
        return self.all(kind, **fields)[times - 1]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(LIMIT):
                while not holds():
                    waiter.clear()
                    await waiter.wait()
        except TimeoutError:
            raise AssertionError(f"never came: {what}; heard {self.events}") from None
        finally:
            self._waiters.discard(waiter)


class Basket:
    """An inlet that keeps all it is given, and is full when told to be."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.frames: list[UnreadableFrame] = []
        self.capacity: int | None = None
        self.waits = 0
        self._roomy = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        return self.capacity is not None and len(self.messages) >= self.capacity

    @property
    def ids(self) -> list[str]:
        return [message.message_id for message in self.messages]

    def take(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()

    def keep(self, frame: UnreadableFrame) -> None:
        self.frames.append(frame)
        self._changed.set()

    async def room(self) -> None:
        self.waits += 1
        self._changed.set()
        while self.full:
            self._roomy.clear()
            await self._roomy.wait()

    def empty(self) -> None:
        """Make room for good."""
        self.capacity = None
        self._roomy.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def holding(self, count: int) -> None:
        await self.until(lambda: len(self.messages) >= count)


class Upstream:
    """One bot's listener beside the simulator, and all that it tells and takes."""

    def __init__(
        self,
        simulator: Simulator,
        http: aiohttp.ClientSession,
        *,
        urls: Sequence[str] = (),
        jitter: float = 0.0,
        slow: float = 0.0,
        patience: Patience | None = None,
        basket: Basket | None = None,
    ) -> None:
        self.simulator = simulator
        self.ears = Ears()
        self.basket = basket or Basket()
        self.keystore: Keystore = parse_keystore(simulator.keystore_json())
        self.api = MixinApi(http, [simulator.api_url], self.keystore)
        self.credentials = Credentials(
            BOT, self.api, self.ears, jitter=lambda: jitter, first=slow, longest=slow
        )
        self.listener = Listener(
            BOT,
            self.keystore,
            urls or [simulator.blaze_url],
            http=http,
            inlet=self.basket,
            credentials=self.credentials,
            tell=self.ears,
            jitter=lambda: jitter,
            patience=patience,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Upstream"]:
        """Run the listener and close it at the end, which must not take long."""
        async with asyncio.TaskGroup() as group:
            run = group.create_task(self.listener.run())
            try:
                yield self
            finally:
                self.listener.close()
                async with asyncio.timeout(LIMIT):
                    await asyncio.wait([run])
