"""The composition root: puts the relay together, runs it, and lets it come to rest."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

from relay import __version__
from relay.admin.operations import AdminApi
from relay.blaze.transport import open_session
from relay.bot import FLUSH_TIMEOUT, Bot
from relay.build import USER_AGENT, BotBuilder, Context
from relay.config import Settings
from relay.config.changes import endpoints_of
from relay.config.policies import back_tokens, endpoint_infos, routes_of
from relay.journal.open import OpenJournal, damage_told, open_journal
from relay.journal.sqlite.quarantine import last_set_aside
from relay.journal.writer import Writer
from relay.maintenance import Maintenance, last_notice, tell_of_endpoints
from relay.model.admin import Reloaded, ReloadRefused
from relay.model.ports import Clock
from relay.process import (
    LoopWatch,
    SteadyClock,
    free_bytes,
    keep_memory_small,
)
from relay.reload import STOPPING, Reloader
from relay.supervisor import Supervisor
from relay.telemetry.event_bus import Broadcast, Voice
from relay.telemetry.events import RelayStarted, RelayStopped, RelayStopping, Telemetry
from relay.telemetry.health import Health, loop_turns, tasks_live
from relay.telemetry.metrics import Metrics
from relay.telemetry.on_upstream import ReceiptTrouble
from relay.web.api import admin_app
from relay.web.server import Address, Server
from relay.webhook.address_guard import AddressGuard


class Service:
    """The whole relay in one process. `follow` is told every event, beside logs and metrics.

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
        self._settings = settings
        self._metrics = metrics
        self._clock = clock or SteadyClock(wall=wall)
        self._wall = wall
        self._health = Health([bot.name for bot in settings.bots], ready_grace=settings.ready_grace)
        self._receipts = ReceiptTrouble()
        self._tell = Broadcast(self._health, self._receipts, voice, follow=follow)
        self._stop_asked = asyncio.Event()
        self._read = read or (lambda: settings)
        self._prepare = prepare
        self._reloader: Reloader | None = None
        self._reload_early = False
        metrics.ready.set(lambda: self._health.ready().ok)
        metrics.journal_writable.set(lambda: self._health.journal_ok)
        if (journal := settings.journal_file) is not None:
            metrics.journal_free.set(lambda: free_bytes(journal))
            metrics.journal_set_aside.set(lambda: last_set_aside(journal.resolve()))
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

        Raises `JournalRefused` or `ListenFailed` if it can't start, and `JournalDamaged`.
        """
        settings, clock, tell = self._settings, self._clock, self._tell
        async with AsyncExitStack() as closing:
            opened = await closing.enter_async_context(
                open_journal(
                    settings.journal,
                    keys=settings.journal_keys,
                    recovery=settings.journal_recovery,
                    telemetry=tell,
                )
            )
            server = await closing.enter_async_context(self._server(opened))
            http = await closing.enter_async_context(open_session(user_agent=USER_AGENT))
            self.address, journal = server.address, opened.journal
            clean = await journal.start(endpoints_of(settings.bots), clock())
            begun = await journal.register_endpoints(endpoint_infos(settings), clock())
            noticed = await last_notice(journal)  # before the state that it led to is read
            writer = Writer(journal, tell, clock)
            guard = AddressGuard(settings.blocked_networks)
            context = Context(journal, writer, http, guard, tell, clock, self._wall)
            builders = {bot.name: BotBuilder(bot, context) for bot in settings.bots}
            bots = [await builder.build() for builder in builders.values()]
            tell(RelayStarted(__version__, tuple(builders), clean, server.address.text))
            await tell_of_endpoints(opened.admin, begun, tell)
            with damage_told(tell):
                return await self._run(context, builders, bots, noticed)

    async def _run(
        self,
        context: Context,
        builders: Mapping[str, BotBuilder],
        bots: Sequence[Bot],
        noticed: int,
    ) -> bool:
        """Hold every loop in one group: a bug in one ends them all, and with them the process."""
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            supervisor = Supervisor(group, context.journal, context.writer, self._tell, self._clock)
            maintenance = Maintenance(
                context.journal,
                supervisor.bots,
                retention=self._settings.retention,
                telemetry=self._tell,
                clock=self._clock,
                noticed=noticed,
            )
            self._reloader = reloader = Reloader(
                self._settings,
                builders,
                read=self._read,
                prepare=self._prepare,
                supervisor=supervisor,
                context=context,
                group=group,
            )
            watch = LoopWatch(self._tell)
            endless = [start(watch.run()), start(keep_memory_small())]
            writing = start(context.writer.run(), name="writer")
            maintaining = start(maintenance.run(), name="maintenance")
            for bot in bots:
                await supervisor.start(bot)
            self._watch(watch, lambda: [writing, maintaining, *supervisor.loops])
            if self._reload_early:
                reloader.ask_soon()
            await self._stop_asked.wait()

            # Nothing more is read or attempted; what is in flight ends, or is cut; it is written
            # down; receipts are sent; sockets are closed; what writes comes last.
            supervisor.stop()
            await reloader.close()
            rest = await supervisor.rest(reloader.settings.drain_timeout)
            await supervisor.leave()
            maintenance.close()
            context.writer.close()
            await asyncio.wait([writing, maintaining], timeout=FLUSH_TIMEOUT * rest.written)
            self._tell(RelayStopped(rest.cut, rest.written))
            for task in (*endless, writing, maintaining):
                task.cancel()
        return rest.written

    def _watch(self, loop: LoopWatch, loops: Callable[[], Iterable[asyncio.Task[None]]]) -> None:
        self._health.watch_live(loop_turns(loop.age))
        # While draining, loops end as they should.
        self._health.watch_live(tasks_live(lambda: [] if self.stopping else loops()))

    def _server(self, opened: OpenJournal) -> Server:
        """Make the HTTP surface; of the admin API receivers may use a part, with their tokens."""
        settings = self._settings
        token = "" if settings.admin_token is None else settings.admin_token.get_secret_value()
        admin = AdminApi(
            opened.admin,
            self._clock,
            lambda bot: routes_of(self._in_force, bot),
            settings.retention,
            self._receipts.trouble,
            reread=self.reload,
        )
        surface = admin_app(
            admin,
            token,
            tell=self._tell,
            version=__version__,
            back_tokens=lambda: back_tokens(self._in_force),
        )
        address = Address(settings.listen.host, settings.listen.port)
        return Server(address, health=self._health, metrics=self._metrics, admin=surface)

    @property
    def _in_force(self) -> Settings:
        """The settings that hold now."""
        return self._settings if self._reloader is None else self._reloader.settings
