"""The composition root: puts the relay together, runs it, and lets it come to rest."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from hashlib import sha256

from relay import __version__
from relay.branch import Branch, House, grow
from relay.clock import SteadyClock
from relay.config import Begin, Settings
from relay.facts import (
    EndpointRemoved,
    RelayStarted,
    RelayStopped,
    RelayStopping,
    ReplayBegun,
    Telemetry,
)
from relay.journal import OpenJournal, open_journal
from relay.model import EndpointKey
from relay.ops.admin import admin_app
from relay.ops.health import Health, loop_turns, tasks_live
from relay.ops.lag import LoopWatch
from relay.ops.logs import LogFormat, configure_logging
from relay.ops.metrics import Metrics
from relay.ops.server import Address, Server
from relay.ops.service_manager import ServiceManager
from relay.ops.telemetry import Voice, broadcast
from relay.ops.volume import free_bytes
from relay.outcomes import Outcomes
from relay.ports import Clock, JournalUnavailable
from relay.replay import Newcomer
from relay.steward import Steward, last_notice
from relay.webhook.address_guard import AddressGuard

FLUSH_TIMEOUT = 10.0
"""How long a stop waits for the journal and for Mixin once the attempts have ended."""


_SPARE_THREADS = 8

_SECRET_HEADER = re.compile(r"auth|cookie|key|pass|secret|sign|token", re.IGNORECASE)
"""Headers whose values are secrets, most likely; a tenant's name is none."""


ENDED_AT_ONCE = 130
"""The exit code after a second signal, as shells have it for SIGINT."""


class Service:
    """The whole relay in one process. `follow` is told every fact, beside logs and metrics."""

    def __init__(
        self,
        settings: Settings,
        voice: Voice,
        metrics: Metrics,
        *,
        follow: Iterable[Telemetry] = (),
        clock: Clock | None = None,
        wall: Clock = time.time,
    ) -> None:
        bots = [bot.name for bot in settings.bots]
        self._settings = settings
        self._metrics = metrics
        self._clock = clock or SteadyClock(wall=wall)
        self._wall = wall
        self._health = Health(bots, ready_grace=settings.ready_grace)
        self._tell = broadcast(self._health.note, voice, *follow)
        self._stop_asked = asyncio.Event()
        metrics.ready.set_function(lambda: self._health.ready().ok)
        metrics.journal_writable.set_function(lambda: self._health.journal_ok)
        if (journal := settings.journal_file) is not None:
            metrics.journal_free.set_function(lambda: free_bytes(journal))
        self.address: Address | None = None

    @property
    def stopping(self) -> bool:
        """Whether a stop has been asked for."""
        return self._stop_asked.is_set()

    def stop(self, why: str) -> None:
        """Ask for a clean stop; `run` returns when it is done."""
        if not self._stop_asked.is_set():
            self._tell(RelayStopping(why))
        self._stop_asked.set()

    async def run(self) -> bool:
        """Run until stopped; answers whether everything was written down.

        Raises `JournalRefused` or `ListenFailed` if it can't start.
        """
        async with AsyncExitStack() as closing:
            location, keys = self._settings.journal, self._settings.journal_keys
            opened = await closing.enter_async_context(open_journal(location, keys=keys))
            server = await closing.enter_async_context(self._server(opened))
            self.address = server.address
            clean = await opened.journal.start(self._endpoints(), self._clock())
            begun = await opened.journal.welcome(self._newcomers(), self._clock())
            house = self._house(opened)
            noticed = await last_notice(house.journal)  # before the state that it led to is read
            bots = {bot.name: await grow(bot, house, closing) for bot in self._settings.bots}
            steward = self._steward(house, bots, noticed)
            self._tell(RelayStarted(__version__, tuple(bots), clean, server.address.text))
            for replay in begun:
                self._tell(ReplayBegun(replay))
            await self._tell_removed(opened)
            return await self._run(house, bots, steward)

    async def _run(self, house: House, bots: dict[str, Branch], steward: Steward) -> bool:
        """Hold every loop in one group: a bug in one ends them all, and with them the process."""
        async with asyncio.TaskGroup() as group:
            crew = Crew(group, house, bots, steward, LoopWatch(self._tell))
            self._health.watch_live(loop_turns(crew.watch.age))
            # While draining, loops end as they should.
            self._health.watch_live(tasks_live(lambda: [] if self.stopping else crew.tasks))
            await self._stop_asked.wait()
            written = await self._come_to_rest(crew)
            crew.dismiss()
        return written

    async def _come_to_rest(self, crew: "Crew") -> bool:
        """Stop in the order of design.md 7; False if not everything could be written down."""
        crew.stop_reading()
        crew.stop_attempting()
        await crew.attempts_ended(self._settings.drain_timeout)
        cut = crew.cut_attempts()
        written = await crew.written_down(FLUSH_TIMEOUT)
        # Receipts are owed whatever comes: the books are closed before Mixin is waited for.
        written = written and await crew.closed_the_books()
        await crew.receipts_sent(FLUSH_TIMEOUT)
        await crew.hung_up()
        self._tell(RelayStopped(cut, written))
        return written

    async def _tell_removed(self, opened: OpenJournal) -> None:
        with suppress(JournalUnavailable):  # a report only
            for record in await opened.desk.endpoints():
                if record.dead_letters and not record.configured:
                    self._tell(EndpointRemoved(record.endpoint, record.dead_letters))

    def _endpoints(self) -> list[EndpointKey]:
        return [
            EndpointKey(bot.name, endpoint.name)
            for bot in self._settings.bots
            for endpoint in bot.endpoints
        ]

    def _newcomers(self) -> list[Newcomer]:
        return [
            Newcomer(
                EndpointKey(bot.name, endpoint.name),
                sha256(endpoint.url.text.encode()).hexdigest(),
                endpoint.begin is Begin.RETAINED,
            )
            for bot in self._settings.bots
            for endpoint in bot.endpoints
        ]

    def _house(self, opened: OpenJournal) -> House:
        return House(
            opened.journal,
            Outcomes(opened.journal, self._tell, self._clock),
            AddressGuard(self._settings.blocked_networks),
            self._tell,
            self._clock,
            self._wall,
        )

    def _steward(self, house: House, bots: dict[str, Branch], noticed: int) -> Steward:
        return Steward(
            house.journal,
            {key: each for bot in bots.values() for key, each in bot.dispatchers.items()},
            picks={key: bot.routing.pick(key) for bot in bots.values() for key in bot.dispatchers},
            receipt_owed={name: bot.outbox.receipt_owed for name, bot in bots.items()},
            retention=self._settings.retention,
            telemetry=self._tell,
            clock=self._clock,
            noticed=noticed,
        )

    def _server(self, opened: OpenJournal) -> Server:
        listen, token = self._settings.listen, self._settings.admin_token
        admin = token and admin_app(
            opened.desk,
            token.get_secret_value(),
            tell=self._tell,
            clock=self._clock,
            version=__version__,
        )
        address = Address(listen.host, listen.port)
        return Server(address, health=self._health, metrics=self._metrics, admin=admin or None)


class Crew:
    """The loops of one run, by what a stop waits for."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        house: House,
        bots: Mapping[str, Branch],
        steward: Steward,
        watch: LoopWatch,
    ) -> None:
        self.house = house
        self.watch = watch
        self._bots = list(bots.values())
        self._steward = steward
        start = group.create_task
        self._beat = start(watch.run(), name="loop watch")
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
        self._dispatchers = {
            start(dispatcher.run(), name=f"dispatcher of {key}"): dispatcher
            for bot in self._bots
            for key, dispatcher in bot.dispatchers.items()
        }
        self._listeners = [
            start(bot.listener.run(), name=f"listener of {name}") for name, bot in bots.items()
        ]
        self._stewardship = start(steward.run(), name="steward")

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Every loop that must live as long as the relay does."""
        return [
            *self._records,
            *self._outboxes,
            *self._dispatchers,
            *self._listeners,
            self._stewardship,
        ]

    def stop_reading(self) -> None:
        """Read no more from Blaze; the sockets stay open."""
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
        self._steward.close()
        _, cut = await asyncio.wait(self._dispatchers, timeout=seconds)
        self.house.outcomes.close()
        for bot in self._bots:
            bot.intake.group.close()
        left = max(0.0, deadline - loop.time())
        _, open_ = await asyncio.wait([*self._records, self._stewardship], timeout=left)
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
        for task in (self._beat, *self.tasks):
            task.cancel()


async def run(settings: Settings) -> int:
    """Run the relay until SIGTERM or SIGINT; answers with the exit code."""
    log_format = settings.log_format and LogFormat(settings.log_format)
    log = configure_logging(settings.log_level, log_format, secrets=_secrets(settings))
    endpoints = [
        EndpointKey(bot.name, endpoint.name) for bot in settings.bots for endpoint in bot.endpoints
    ]
    metrics = Metrics(
        version=__version__, bots=[bot.name for bot in settings.bots], endpoints=endpoints
    )
    for warning in settings.warnings:
        log.warning("settings.doubtful", detail=warning)
    manager = ServiceManager.of(os.environ)
    follow = [] if manager is None else [manager]
    service = Service(settings, Voice(metrics, log), metrics, follow=follow)
    # Each endpoint may look a dead name up for seconds, and none may wait for another's.
    threads = ThreadPoolExecutor(_SPARE_THREADS + 2 * len(endpoints), thread_name_prefix="lookup")
    asyncio.get_running_loop().set_default_executor(threads)
    with _stopped_by_signals(service):
        return 0 if await service.run() else 1


@contextmanager
def _stopped_by_signals(service: Service) -> Iterator[None]:
    """Let the first signal stop the service and the second end it at once."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def received(number: signal.Signals) -> None:
        if service.stopping:  # at once, even if a disk or a receiver hangs
            sys.stderr.flush()
            os._exit(ENDED_AT_ONCE)
        service.stop(number.name)

    for number in signals:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _secrets(settings: Settings) -> Iterator[str]:
    """Name what must never come out, wherever it turns up."""
    if settings.admin_token is not None:
        yield settings.admin_token.get_secret_value()
    for endpoint in (endpoint for bot in settings.bots for endpoint in bot.endpoints):
        headers = endpoint.request_headers().items()
        yield from (value for name, value in headers if _SECRET_HEADER.search(name))
        if endpoint.target.authorization is not None:
            yield endpoint.target.authorization
