"""The bots of this process: started, changed, seen off, and brought to rest together."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from relay.bot import Bot, BotChanges, Rest, Webhook
from relay.model.admin import ReloadRefused
from relay.model.journal import Discarded
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, Journal, JournalUnavailable, Writer
from relay.model.replays import EndpointInfo
from relay.telemetry.events import (
    BotLeft,
    DeliveriesDiscarded,
    EndpointLeft,
    JournalFailed,
    JournalRecovered,
    MessagesFinished,
    ReplayBegun,
    Telemetry,
)

DISCARD_AT_ONCE = 500
"""Given up in small groups, so that a delivery's commit never waits for a large one."""

_JOURNAL_RETRY = 1.0

T = TypeVar("T")

Build = Callable[[], Awaitable[Bot]]
"""Builds a bot as the journal has left it; may raise `JournalUnavailable`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the bots, by name: all of it, or none.

    A bot in `stopped` and in `started` begins anew once it has ended; one in `started` alone once
    all of `stopped` have. `added` and `removed` are endpoints, also those of bots that come and go;
    of `infos` the journal sees which are new to it. With `discard` what is owed to removed
    endpoints is given up as they leave.
    """

    changed: Mapping[str, BotChanges] = field(default_factory=dict)
    stopped: Collection[str] = ()
    started: Mapping[str, Build] = field(default_factory=dict)
    added: Collection[EndpointKey] = ()
    removed: Collection[EndpointKey] = ()
    infos: Sequence[EndpointInfo] = ()
    discard: bool = False


@dataclass(frozen=True, slots=True)
class Departure:
    """What leaves by a plan: webhooks of bots that stay, and bots."""

    plan: Plan
    webhooks: Mapping[Bot, Collection[Webhook]]
    bots: Collection[Bot]


class Supervisor:
    """Runs bots in a task group: a bug in one of them ends the group."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        journal: Journal,
        writer: Writer,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self.bots: dict[str, Bot] = {}
        self._group = group
        self._journal = journal
        self._writer = writer
        self._telemetry = telemetry
        self._clock = clock
        self._runs: dict[Bot, asyncio.Task[None]] = {}

    async def start(self, bot: Bot) -> None:
        """Let a bot run."""
        self.bots[bot.name] = bot
        self._runs[bot] = self._group.create_task(bot.run(), name=f"bot {bot.name}")
        await bot.running.wait()

    @property
    def loops(self) -> list[asyncio.Task[None]]:
        """Every loop that must live for the bots in service."""
        return [loop for bot in self.bots.values() for loop in bot.loops]

    # --- Changes --------------------------------------------------------------------------------

    async def exchange(self, plan: Plan) -> Departure:
        """Let a plan come into force, all at once; answers with what leaves by it.

        Raises `ReloadRefused` if removed endpoints are owed deliveries that are not to be given up.
        That and `JournalUnavailable` leave everything as it was.
        """
        async with self._writer.held():
            removed = () if plan.discard else plan.removed
            now = self._clock()
            owed = await self._journal.reconfigure(added=plan.added, removed=removed, now=now)
            if owed:
                raise ReloadRefused(
                    *(
                        f"{key}: is owed {count} deliveries; expected none, or a reload that"
                        " discards what is owed"
                        for key, count in owed.items()
                    )
                )
            with suppress(JournalUnavailable):  # then the next start does it
                for replay in await self._journal.register_endpoints(plan.infos, now):
                    self._telemetry(ReplayBegun(replay))
            # Nothing waits from here on, or a message could come in between.
            staying = {self.bots[name]: changes for name, changes in plan.changed.items()}
            webhooks = {bot: bot.apply(changes) for bot, changes in staying.items()}
            bots = [self.bots.pop(name) for name in plan.stopped]
            for bot in bots:
                bot.stop(leaving=True)
        return Departure(plan, webhooks, bots)

    async def see_off(self, leaving: Departure, seconds: float) -> int:
        """Let what leaves come to rest, as at a stop, and start what is to start.

        Answers how many deliveries were discarded. Broken off by a stop, what leaves is brought to
        rest with all the others, and what is owed becomes dead letters at the next start.
        """
        plan = leaving.plan
        async with asyncio.TaskGroup() as together:
            for bot, webhooks in leaving.webhooks.items():
                together.create_task(bot.see_off(webhooks, seconds))
            for bot in leaving.bots:
                together.create_task(self._see_off_bot(bot, seconds, plan.started.get(bot.name)))
        discarded = await self._discard(plan.removed) if plan.discard and plan.removed else 0
        for key in plan.removed:
            self._telemetry(EndpointLeft(key))
        for name in [name for name in plan.stopped if name not in plan.started]:
            self._telemetry(BotLeft(name))
        # Two bots of one app would take each other's messages: what is new comes last.
        for name in plan.started.keys() - set(plan.stopped):
            await self._start_for_sure(plan.started[name])
        return discarded

    async def _see_off_bot(self, bot: Bot, seconds: float, successor: Build | None) -> None:
        await bot.drain(seconds)
        await asyncio.wait([self._runs[bot]])
        del self._runs[bot]
        if successor is not None:
            await self._start_for_sure(successor)

    async def _start_for_sure(self, build: Build) -> None:
        await self.start(await self._for_sure(build))

    async def _discard(self, endpoints: Collection[EndpointKey]) -> int:
        """Give up what endpoints are owed, and configure them no longer; answers how much."""
        total = 0
        while given_up := await self._for_sure(lambda: self._give_up(endpoints)):
            total += given_up.deliveries
        self._telemetry(DeliveriesDiscarded(tuple(endpoints), total))
        return total

    async def _give_up(self, endpoints: Collection[EndpointKey]) -> Discarded | None:
        """Give up a group; None once nothing is left, and the endpoints are gone."""
        now = self._clock()
        given_up = await self._journal.discard_owed(endpoints, now, limit=DISCARD_AT_ONCE)
        for (bot, outcome), count in given_up.finished.items():
            self._telemetry(MessagesFinished(bot, outcome, count))
        if given_up.deliveries:
            return given_up
        # An operator may have retried a dead letter meanwhile: then it is given up as well.
        owed = await self._journal.reconfigure(added=(), removed=endpoints, now=now)
        return given_up if owed else None

    async def _for_sure(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat some work until the journal takes it."""
        failed = False
        while True:
            try:
                done = await work()
            except JournalUnavailable as error:
                failed = True
                self._telemetry(JournalFailed(str(error), _JOURNAL_RETRY))
                await asyncio.sleep(_JOURNAL_RETRY)
            else:
                if failed:
                    self._telemetry(JournalRecovered())
                return done

    # --- The end --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Read no more, and start no new attempt."""
        for bot in self._runs:
            bot.stop()

    async def rest(self, seconds: float) -> Rest:
        """Bring all bots to rest within the same time, also those that leave; close the books.

        Receipts are owed whatever comes: the journal's run ends before Mixin is waited for.
        """
        rests = await asyncio.gather(*(bot.rest(seconds) for bot in self._runs))
        written = all(rest.written for rest in rests) and await self._close_books()
        return Rest(sum(rest.cut for rest in rests), written)

    async def _close_books(self) -> bool:
        try:
            await self._journal.stop()
        except JournalUnavailable:
            return False
        return True

    async def leave(self) -> None:
        """Let all bots send their receipts, as far as Mixin takes them in time, and hang up."""
        await asyncio.gather(*(bot.leave() for bot in self._runs))
