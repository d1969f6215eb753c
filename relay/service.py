"""The composition root: puts the relay together, runs it, and lets it come to rest."""

import asyncio
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress

from aiohttp import web

from relay import __version__
from relay.admin.operations import AdminApi
from relay.bot import Branch, House, grow
from relay.config import Settings
from relay.config.changes import endpoints_of
from relay.config.policies import endpoint_infos, routing, secrets_of
from relay.delivery.outcomes import Outcomes
from relay.delivery.routing import Route
from relay.journal.engines.sqlite.quarantine import last_set_aside
from relay.journal.open import OpenJournal, open_journal
from relay.maintenance import Maintenance, last_notice
from relay.model.admin import Reloaded, ReloadRefused
from relay.model.clock import SteadyClock
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, JournalUnavailable, find_damage
from relay.process import (
    LoopWatch,
    ServiceManager,
    free_bytes,
    freeze_memory,
    make_room_for_lookups,
    told_by_signals,
)
from relay.reload import STOPPING, Reloader
from relay.supervisor import FLUSH_TIMEOUT, Crew
from relay.telemetry.events import (
    DamageFound,
    EndpointRemoved,
    RelayStarted,
    RelayStopped,
    RelayStopping,
    ReplayBegun,
    Telemetry,
)
from relay.telemetry.health import Health, loop_turns, tasks_live
from relay.telemetry.logs import LogFormat, configure_logging
from relay.telemetry.metrics import Metrics
from relay.telemetry.receipts import ReceiptTrouble
from relay.telemetry.redaction import Redactor
from relay.telemetry.voice import Voice, broadcast
from relay.web.api import admin_app
from relay.web.server import Address, Server
from relay.webhook.address_guard import AddressGuard


class Service:
    """The whole relay in one process. `follow` is told every fact, beside logs and metrics.

    `read` reads the settings anew, without which there is nothing to reload; `prepare` is told
    settings before they hold.
    """

    def __init__(
        self,
        settings: Settings,
        voice: Voice,
        metrics: Metrics,
        *,
        read: Callable[[], Settings] | None = None,
        prepare: Callable[[Settings], None] = lambda _: None,
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
        self._receipts = ReceiptTrouble()
        self._tell = broadcast(self._health.note, self._receipts.note, voice, *follow)
        self._stop_asked = asyncio.Event()
        self._read = read or (lambda: settings)
        self._prepare = prepare
        self._reloader: Reloader | None = None
        self._reload_early = False
        metrics.ready.set_function(lambda: self._health.ready().ok)
        metrics.journal_writable.set_function(lambda: self._health.journal_ok)
        if (journal := settings.journal_file) is not None:
            metrics.journal_free.set_function(lambda: free_bytes(journal))
            metrics.journal_set_aside.set_function(lambda: last_set_aside(journal.resolve()))
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

    async def reload(self, *, discard_owed: bool) -> Reloaded:
        """Read the settings anew and go by them. Raises `ReloadRefused`."""
        if self._reloader is None or self.stopping:
            raise ReloadRefused(STOPPING if self.stopping else "the relay is starting")
        return await self._reloader.ask(discard_owed=discard_owed)

    def reload_soon(self) -> None:
        """Reload without waiting for it, once the relay has started; ignored while it stops."""
        if self._reloader is None:
            self._reload_early = True
        elif not self.stopping:
            self._reloader.ask_soon()

    async def run(self) -> bool:
        """Run until stopped; answers whether everything was written down.

        Raises `JournalRefused` or `ListenFailed` if it can't start.
        """
        async with AsyncExitStack() as closing:
            opened = await closing.enter_async_context(self._journal())
            server = await closing.enter_async_context(self._server(opened))
            self.address = server.address
            clean = await opened.journal.start(endpoints_of(self._settings.bots), self._clock())
            begun = await opened.journal.register_endpoints(
                endpoint_infos(self._settings), self._clock()
            )
            house = self._house(opened)
            noticed = await last_notice(house.journal)  # before the state that it led to is read
            bots = {bot.name: await grow(bot, house, closing) for bot in self._settings.bots}
            maintenance = self._maintenance(house, bots, noticed)
            self._tell(RelayStarted(__version__, tuple(bots), clean, server.address.text))
            for replay in begun:
                self._tell(ReplayBegun(replay))
            await self._tell_removed(opened)
            self._reloader = Reloader(self._settings, self._read, house, bots, self._prepare)
            if self._reload_early:
                self._reloader.ask_soon()
            return await self._run(house, bots, maintenance, self._reloader)

    async def _run(
        self, house: House, bots: dict[str, Branch], maintenance: Maintenance, reloader: Reloader
    ) -> bool:
        """Hold every loop in one group: a bug in one ends them all, and with them the process.

        So does a journal that is damaged. Raises `JournalDamaged`.
        """
        try:
            return await self._run_all(house, bots, maintenance, reloader)
        except BaseExceptionGroup as several:
            damage = find_damage(several)
            if damage is None:
                raise
            self._tell(DamageFound(str(damage)))
            raise damage from None

    async def _run_all(
        self, house: House, bots: dict[str, Branch], maintenance: Maintenance, reloader: Reloader
    ) -> bool:
        async with asyncio.TaskGroup() as group:
            crew = Crew(
                group,
                house,
                bots,
                maintenance=maintenance,
                reloader=reloader,
                watch=LoopWatch(self._tell),
            )
            self._health.watch_live(loop_turns(crew.watch.age))
            # While draining, loops end as they should.
            self._health.watch_live(tasks_live(lambda: [] if self.stopping else crew.tasks))
            await self._stop_asked.wait()
            written = await self._come_to_rest(crew)
            crew.dismiss()
        return written

    async def _come_to_rest(self, crew: Crew) -> bool:
        """Stop in the order of docs/reference.md; False if not all could be written down."""
        crew.stop_reading()
        crew.stop_attempting()
        await crew.attempts_ended(crew.reloader.settings.drain_timeout)
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

    def _journal(self) -> AbstractAsyncContextManager[OpenJournal]:
        settings = self._settings
        return open_journal(
            settings.journal,
            keys=settings.journal_keys,
            recovery=settings.journal_recovery,
            telemetry=self._tell,
        )

    def _house(self, opened: OpenJournal) -> House:
        return House(
            opened.journal,
            Outcomes(opened.journal, self._tell, self._clock),
            AddressGuard(self._settings.blocked_networks),
            self._tell,
            self._clock,
            self._wall,
        )

    def _maintenance(self, house: House, bots: dict[str, Branch], noticed: int) -> Maintenance:
        return Maintenance(
            house.journal,
            ChainMap(*(bot.dispatchers for bot in bots.values())),  # a reload changes them
            pick=lambda key: bots[key.bot].intake.routing.pick(key),
            receipt_owed={name: bot.outbox.receipt_owed for name, bot in bots.items()},
            retention=self._settings.retention,
            telemetry=self._tell,
            clock=self._clock,
            noticed=noticed,
        )

    def _server(self, opened: OpenJournal) -> Server:
        listen = self._settings.listen
        address = Address(listen.host, listen.port)
        admin = self._admin(opened)
        return Server(address, health=self._health, metrics=self._metrics, admin=admin)

    def _admin(self, opened: OpenJournal) -> web.Application:
        """Make the admin API: all of it with its token, what receivers may do with theirs."""
        token = self._settings.admin_token
        admin = AdminApi(
            opened.desk,
            self._clock,
            self._routes,
            self._settings.retention,
            self._receipts.trouble,
            reread=self.reload,
        )
        return admin_app(
            admin,
            "" if token is None else token.get_secret_value(),
            tell=self._tell,
            version=__version__,
            back_tokens=self._back_tokens,
        )

    @property
    def _holding(self) -> Settings:
        """The settings that hold now."""
        return self._settings if self._reloader is None else self._reloader.settings

    def _back_tokens(self) -> Mapping[EndpointKey, str]:
        return {
            EndpointKey(bot.name, endpoint.name): endpoint.back_token.get_secret_value()
            for bot in self._holding.bots
            for endpoint in bot.endpoints
            if endpoint.back_token is not None
        }

    def _routes(self, name: str) -> Sequence[Route] | None:
        found = (bot for bot in self._holding.bots if bot.name == name)
        return next((routing(bot).routes for bot in found), None)


async def run(settings: Settings, read: Callable[[], Settings]) -> int:
    """Run the relay until SIGTERM or SIGINT; answers with the exit code. SIGHUP reads anew."""
    log_format = None if settings.log_format is None else LogFormat(settings.log_format)
    redactor = Redactor(secrets_of(settings))
    log = configure_logging(settings.log_level, log_format, redactor=redactor)
    bots, endpoints = [bot.name for bot in settings.bots], endpoints_of(settings.bots)
    metrics = Metrics(version=__version__, bots=bots, endpoints=endpoints)

    def prepare(new: Settings) -> None:
        redactor.learn(secrets_of(new))
        make_room_for_lookups(len(endpoints_of(new.bots)))
        for warning in new.warnings:
            log.warning("settings.doubtful", detail=warning)

    prepare(settings)
    manager = ServiceManager.of(os.environ)
    follow = [] if manager is None else [manager]
    voice = Voice(metrics, log)
    service = Service(settings, voice, metrics, read=read, prepare=prepare, follow=follow)
    freeze_memory()
    with told_by_signals(service):
        return 0 if await service.run() else 1
