"""Reads the settings anew and lets the running relay go by them: all of them, or none."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from relay.bot import BotChanges
from relay.build import BotBuilder, Context
from relay.config import Settings, SettingsError
from relay.config.changes import Changes, compare
from relay.config.policies import endpoint_infos
from relay.model.admin import EndpointChange, Reloaded, ReloadRefused
from relay.model.ports import JournalUnavailable
from relay.supervisor import Departure, Plan, Supervisor
from relay.telemetry.events import ReloadFailed, SettingsReloaded

STOPPING = "the relay is stopping"


class Reloader:
    """Reloads, one after the other; `settings` are those that hold.

    `read` reads the settings anew; `prepare` is told settings before they hold.
    """

    def __init__(
        self,
        settings: Settings,
        builders: Mapping[str, BotBuilder],
        *,
        read: Callable[[], Settings],
        prepare: Callable[[Settings], None],
        supervisor: Supervisor,
        context: Context,
        group: asyncio.TaskGroup,
    ) -> None:
        self.settings = settings
        self._builders = dict(builders)
        self._read = read
        self._prepare = prepare
        self._supervisor = supervisor
        self._context = context
        self._group = group
        self._turn = asyncio.Lock()
        self._asked: set[asyncio.Task[Reloaded | ReloadRefused]] = set()
        self._exchanging: asyncio.Task[Any] | None = None
        self._signalled = False
        self._closing = False

    async def ask(self, *, discard_owed: bool) -> Reloaded:
        """Reload, after those that were asked for before. Raises `ReloadRefused`."""
        answer = await asyncio.shield(self._begin(discard=discard_owed))
        if isinstance(answer, ReloadRefused):
            raise answer
        return answer

    def ask_soon(self) -> None:
        """Reload, and let the log say what came of it; two that wait are one."""
        if not self._signalled:
            self._signalled = True
            self._begin(signalled=True)

    async def close(self) -> None:
        """Break off what has been asked for, but let an exchange end; what leaves is the stop's."""
        self._closing = True
        for task in self._asked:
            if task is not self._exchanging:
                task.cancel()
        if self._exchanging is not None:
            await asyncio.wait([self._exchanging])

    def _begin(
        self, *, discard: bool = False, signalled: bool = False
    ) -> asyncio.Task[Reloaded | ReloadRefused]:
        reload = self._in_turn(discard=discard, signalled=signalled)
        task = self._group.create_task(reload, name="reload")
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return task

    async def _in_turn(self, *, discard: bool, signalled: bool) -> Reloaded | ReloadRefused:
        try:
            async with self._turn:
                self._signalled = self._signalled and not signalled
                return await self._reload(discard=discard)
        except ReloadRefused as refused:
            self._context.telemetry(ReloadFailed(refused.mistakes))
            return refused
        except asyncio.CancelledError:
            if not self._closing:
                raise
            return ReloadRefused(f"{STOPPING}: what is still owed will be dead letters")

    async def _reload(self, *, discard: bool) -> Reloaded:
        new = await self._read_anew()
        changes = compare(self.settings, new)
        if changes.fixed:
            raise ReloadRefused(*(f"{key}: needs a restart to change" for key in changes.fixed))
        done = _told(changes)
        if changes.nothing:
            self._context.telemetry(SettingsReloaded(done))
            return done
        self._prepare(new)  # before anything is said in which a new secret could be
        self._exchanging = asyncio.current_task()
        try:
            leaving = await self._exchange(new, changes, discard=discard)
        finally:
            self._exchanging = None
        self._context.telemetry(SettingsReloaded(done, changes.added))
        if self._closing:
            raise asyncio.CancelledError
        drain_timeout = self.settings.drain_timeout
        return replace(done, discarded=await self._supervisor.see_off(leaving, drain_timeout))

    async def _read_anew(self) -> Settings:
        try:
            return await asyncio.to_thread(self._read)
        except SettingsError as error:
            raise ReloadRefused(*error.mistakes) from None
        except Exception as error:  # noqa: BLE001 - what breaks the parser must not break the relay
            raise ReloadRefused(f"settings: {type(error).__name__} while they were read") from None

    async def _exchange(self, new: Settings, changes: Changes, *, discard: bool) -> Departure:
        try:
            plan, builders = await self._plan(new, changes, discard=discard)
            leaving = await self._supervisor.exchange(plan)
        except JournalUnavailable:
            raise ReloadRefused("the journal takes no reads or writes at the moment") from None
        self.settings = new
        self._builders = {bot.name: (self._builders | builders)[bot.name] for bot in new.bots}
        return leaving

    async def _plan(
        self, new: Settings, changes: Changes, *, discard: bool
    ) -> tuple[Plan, dict[str, BotBuilder]]:
        """Build what is new of bots that stay; answers with the builders of the others, too."""
        stopped = (*changes.bots_removed, *changes.bots_restarted)
        changed, builders = dict[str, BotChanges](), dict[str, BotBuilder]()
        for bot in new.bots:
            if bot.name in (*changes.bots_added, *changes.bots_restarted):
                builders[bot.name] = BotBuilder(bot, self._context)
            else:
                running, builder = self._supervisor.bots[bot.name], self._builders[bot.name]
                changed[bot.name] = await builder.changes(running, bot, changes)
        plan = Plan(
            changed,
            stopped,
            {name: builder.build for name, builder in builders.items()},
            changes.added,
            changes.removed,
            endpoint_infos(new),
            discard,
        )
        return plan, builders


def _told(changes: Changes) -> Reloaded:
    return Reloaded(
        tuple(map(str, changes.added)),
        tuple(map(str, changes.removed)),
        tuple(EndpointChange(str(key), names) for key, names in changes.changed.items()),
        changes.settings,
        0,
        changes.bots_added,
        changes.bots_removed,
        changes.bots_restarted,
    )
