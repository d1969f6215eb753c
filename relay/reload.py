"""Reads the settings anew and lets the running relay go by them: all of them, or none."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from relay.bot import Branch, Fittings, House
from relay.config import Endpoint, Settings, SettingsError
from relay.config.changes import Changes, compare, endpoints_of
from relay.config.policies import breaker_policy, endpoint_infos, routing
from relay.delivery.dispatcher import Dispatcher
from relay.farewell import Farewell
from relay.model.admin import EndpointChange, Reloaded, ReloadRefused
from relay.model.messages import EndpointKey
from relay.model.ports import JournalUnavailable
from relay.roster import Change, NewTerms, Roster, StillOwed, swap
from relay.telemetry.events import DeliveriesDiscarded, ReloadFailed, ReplayBegun, SettingsReloaded
from relay.webhook.connections import Line

_LINE_CHANGES = frozenset({"url", "tls", "concurrency"})
"""What makes new connections; with other changes those that are open stay in use."""

STOPPING = "the relay is stopping"


class Staff(Protocol):
    """Who runs the loops."""

    def hire(self, key: EndpointKey, dispatcher: Dispatcher) -> None:
        """Start a dispatcher's loop."""

    def loops_of(self, leaving: Sequence[Dispatcher]) -> Mapping[asyncio.Task[None], Dispatcher]:
        """Find the loops of dispatchers."""

    def left(self, loops: Mapping[asyncio.Task[None], Dispatcher]) -> None:
        """Forget loops that have ended as they should."""

    def retire(self, line: Line) -> None:
        """Close a line once it is idle, without waiting for that."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """One reload that was asked for; nobody waits for the answer to a signal."""

    discard_owed: bool = False
    answer: "asyncio.Future[Reloaded] | None" = None


@dataclass(slots=True)
class _Plan:
    """What is to be done to each bot, and the lines that come and go by it."""

    changes: list[tuple[Roster, Change]] = field(default_factory=list)
    lines: list[tuple[Fittings, EndpointKey, Line]] = field(default_factory=list)


class Reloader:
    """Reloads, one after the other; `settings` are those that hold."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        house: House,
        bots: Mapping[str, Branch],
        prepare: Callable[[Settings], None],
    ) -> None:
        self.settings = settings
        self._read = read
        self._house = house
        self._bots = bots
        self._prepare = prepare
        self._farewell = Farewell(house.journal, house.telemetry, house.clock)
        self._asked: deque[_Ask] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self._goodbye: asyncio.Task[int] | None = None

    async def ask(self, *, discard_owed: bool) -> Reloaded:
        """Reload, after those that were asked for before. Raises `ReloadRefused`."""
        if self._closing:
            raise ReloadRefused(STOPPING)
        answer: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._put(_Ask(discard_owed, answer))
        return await answer

    def ask_soon(self) -> None:
        """Reload, and let the log say what came of it; two that wait are one."""
        if not self._closing and _Ask() not in self._asked:
            self._put(_Ask())

    def close(self) -> None:
        """Let `run` return; what a removed endpoint has in flight is the stop's to wait for."""
        self._closing = True
        self._changed.set()
        if self._goodbye is not None:
            self._goodbye.cancel()

    async def run(self, staff: Staff) -> None:
        """Reload whenever it is asked for, until closed."""
        while not self._closing:
            self._changed.clear()
            if self._asked:
                await self._serve(self._asked.popleft(), staff)
            else:
                await self._changed.wait()
        while self._asked:
            _answer(self._asked.popleft(), ReloadRefused(STOPPING))

    def _put(self, ask: _Ask) -> None:
        self._asked.append(ask)
        self._changed.set()

    async def _serve(self, ask: _Ask, staff: Staff) -> None:
        try:
            new = await self._read_anew()
            done = await self._apply(new, compare(self.settings, new), ask, staff)
        except ReloadRefused as refused:
            if not self._closing:
                self._house.telemetry(ReloadFailed(refused.mistakes))
            _answer(ask, refused)
        else:
            _answer(ask, done)

    async def _read_anew(self) -> Settings:
        try:
            return await asyncio.to_thread(self._read)
        except SettingsError as error:
            raise ReloadRefused(*error.mistakes) from None
        except Exception as error:  # noqa: BLE001 - what breaks the parser must not break the relay
            raise ReloadRefused(f"settings: {type(error).__name__} while they were read") from None

    async def _apply(self, new: Settings, changes: Changes, ask: _Ask, staff: Staff) -> Reloaded:
        if changes.fixed:
            raise ReloadRefused(*(f"{key}: needs a restart to change" for key in changes.fixed))
        fact = _told(changes)
        leaving: list[Dispatcher] = []
        if not changes.nothing:
            self._prepare(new)  # before anything is said in which a new secret could be
            leaving = await self._swap(new, changes, ask, staff)
            self.settings = new
        self._house.telemetry(fact)
        return _reloaded(fact, await self._see_off(leaving, ask, staff) if leaving else 0)

    async def _swap(
        self, new: Settings, changes: Changes, ask: _Ask, staff: Staff
    ) -> list[Dispatcher]:
        plan = self._planned(new, changes, staff)
        try:
            leaving = await swap(
                plan.changes,
                self._house.journal,
                self._house.clock,
                discard=ask.discard_owed,
                introduce=lambda: self._introduce(new),
            )
        except (StillOwed, JournalUnavailable) as why:
            for _, _, line in plan.lines:
                await line.close()
            raise ReloadRefused(*_reasons(why)) from None
        for fittings, key, line in plan.lines:
            if (before := fittings.lines.get(key)) is not None:
                staff.retire(before)
            fittings.lines[key] = line
        for key in changes.changed:
            await self._bots[key.bot].dispatchers[key].write_down()
        return leaving

    async def _introduce(self, new: Settings) -> None:
        with suppress(JournalUnavailable):  # then the next start does it
            house = self._house
            for replay in await house.journal.register_endpoints(
                endpoint_infos(new), house.clock()
            ):
                house.telemetry(ReplayBegun(replay))

    def _planned(self, new: Settings, changes: Changes, staff: Staff) -> _Plan:
        plan = _Plan()
        for bot in new.bots:
            branch = self._bots[bot.name]
            added, changed = {}, {}
            for key, endpoint in endpoints_of([bot]).items():
                if key in changes.added:
                    line = _new_line(plan, branch.fittings, key, endpoint)
                    added[key] = branch.fittings.maker(endpoint, line)
                elif names := changes.changed.get(key):
                    changed[key] = _new_terms(plan, branch.fittings, key, endpoint, names)
            removed = [key for key in changes.removed if key.bot == bot.name]
            roster = Roster(branch.intake, branch.dispatchers, staff.hire)
            plan.changes.append((roster, Change(routing(bot), added, changed, removed)))
        return plan

    async def _see_off(self, leaving: Sequence[Dispatcher], ask: _Ask, staff: Staff) -> int:
        """Wait for what is in flight to endpoints that are gone; answers how much was discarded."""
        loops = staff.loops_of(leaving)
        keys = [dispatcher.endpoint for dispatcher in leaving]
        async with asyncio.TaskGroup() as group:
            goodbye = group.create_task(self._say_goodbye(loops, keys, ask), name="goodbye")
            self._goodbye = goodbye
            if self._closing:
                goodbye.cancel()
        self._goodbye = None
        if goodbye.cancelled():
            raise ReloadRefused(f"{STOPPING}: what is still owed will be dead letters")
        staff.left(loops)
        for key in keys:
            staff.retire(self._bots[key.bot].fittings.lines.pop(key))
        self._farewell.tell(leaving)
        return goodbye.result()

    async def _say_goodbye(
        self,
        loops: Mapping[asyncio.Task[None], Dispatcher],
        keys: Sequence[EndpointKey],
        ask: _Ask,
    ) -> int:
        await self._farewell.drain(loops, self.settings.drain_timeout)
        if not ask.discard_owed:
            return 0
        discarded = await self._farewell.discard(keys)
        self._house.telemetry(DeliveriesDiscarded(tuple(keys), discarded))
        return discarded


def _new_line(plan: _Plan, fittings: Fittings, key: EndpointKey, endpoint: Endpoint) -> Line:
    line = fittings.line(endpoint)
    plan.lines.append((fittings, key, line))
    return line


def _new_terms(
    plan: _Plan, fittings: Fittings, key: EndpointKey, endpoint: Endpoint, names: Sequence[str]
) -> NewTerms:
    if _LINE_CHANGES.isdisjoint(names):
        line = fittings.lines[key]
    else:
        line = _new_line(plan, fittings, key, endpoint)
    terms = fittings.terms(endpoint, line)
    return NewTerms(terms, breaker_policy(endpoint), elsewhere="url" in names)


def _reasons(why: StillOwed | JournalUnavailable) -> list[str]:
    match why:
        case StillOwed():
            expected = "expected none, or a reload that discards what is owed"
            return [
                f"{key}: is owed {count} deliveries; {expected}" for key, count in why.owed.items()
            ]
        case JournalUnavailable():
            return ["the journal takes no reads or writes at the moment"]


def _told(changes: Changes) -> SettingsReloaded:
    changed = tuple(changes.changed.items())
    return SettingsReloaded(changes.added, changes.removed, changed, changes.settings)


def _reloaded(fact: SettingsReloaded, discarded: int) -> Reloaded:
    changed = (EndpointChange(str(key), tuple(names)) for key, names in fact.changed)
    added, removed = map(str, fact.added), map(str, fact.removed)
    return Reloaded(tuple(added), tuple(removed), tuple(changed), fact.settings, discarded)


def _answer(ask: _Ask, answer: Reloaded | ReloadRefused) -> None:
    """Answer whoever still waits for it."""
    if ask.answer is None or ask.answer.done():
        return
    if isinstance(answer, Reloaded):
        ask.answer.set_result(answer)
    else:
        ask.answer.set_exception(answer)
