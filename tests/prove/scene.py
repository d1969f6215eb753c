"""One relay's world for a while: people who write, a relay that dies, and what has been seen."""

import asyncio
import random
import shutil
import signal
import sqlite3
import ssl
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.damages import Damage
from tests.acceptance.house import BOT, House, conversation
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import Answer, Receiver
from tests.prove.fail_points import FAIL_POINT, HURTS, WINDOWS
from tests.prove.oracle import (
    Era,
    Obligation,
    bloated,
    content_of,
    imbalanced,
    judge,
    misread,
    moved,
)

CONVERSATIONS = 40
DOOMED_EVERY = 1_500
"""One message in so many is refused by every receiver, and has to end as a dead letter."""

_BATCHED = {"W6", "W7"}
"""Windows that are passed once for a batch of receipts, and not for each message."""

_GLANCE = 0.5

_AFTERGLOW = 0.3
"""Seconds in which requests that a killed relay has sent come to their end."""


@dataclass(slots=True)
class Tally:
    """What an episode has seen."""

    kills: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    most_rss: float = 0.0
    drained: float = 0.0
    posts: int = 0
    doubled: int = 0
    complaints: list[str] = field(default_factory=list)

    def killed(self, how: str) -> None:
        """Count a kill."""
        self.kills[how] = self.kills.get(how, 0) + 1

    def fault(self, name: str) -> None:
        """Count a fault."""
        self.faults[name] = self.faults.get(name, 0) + 1


class Scene:
    """A house with a relay in it that may be dead."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self.house = house
        house.one_journal = False  # the oracle judges what comes twice, era by era
        self.chance = chance
        self.eras: list[Era] = []
        self.tally = Tally()
        self.obligations: list[Obligation] = []
        self.receivers: list[Receiver] = []
        self.hurts = Path(house.directory, "hurts")
        self.hurts.mkdir()
        self.stranger: ssl.SSLContext | None = None
        self._relay: RelayProcess | None = None
        self._window = ""

    # --- People

    def write(self, count: int) -> None:
        """Let people write so many messages, in a few conversations."""
        for _ in range(count):
            number = len(self.obligations) + 1
            doomed = number % DOOMED_EVERY == 0
            place = conversation(self.chance.randrange(CONVERSATIONS))
            message_id = self.house.simulator.push(content_of(number), conversation_id=place)
            self.house.pushed[message_id].add(BOT)
            self.obligations.append(Obligation(number, message_id, place, doomed))
            if doomed:
                for receiver in self.receivers:
                    receiver.script(message_id, *[Answer(400)] * 1_000)

    # --- The relay

    @property
    def alive(self) -> RelayProcess | None:
        """The relay, as long as it lives."""
        return None if self._relay is None or self._relay.err.ended else self._relay

    async def up(self, window: str = "", count: int = 0) -> RelayProcess:
        """Start a relay unless there is one; it dies when it passes the window for the nth time."""
        await self.bury()
        if self._relay is None:
            self.house.environ = {HURTS: str(self.hurts)}
            if window:
                self.house.environ[FAIL_POINT] = f"{window}:{count}"
            self._window = window
            self._relay = await self.house.start()
        return self._relay

    def draw_death(self, messages: int) -> tuple[str, int]:
        """Draw the window in which the next relay dies, and when."""
        window = self.chance.choice(WINDOWS)
        most = max(2, messages // 100) if window in _BATCHED else messages
        return window, self.chance.randint(1, most)

    async def kill(self) -> None:
        """Kill the relay, wherever it is."""
        if relay := self.alive:
            await relay.kill()
            self.tally.killed("anywhere")
            self._relay = None

    async def lose_journal(self, damage: Damage) -> None:
        """Kill the relay and damage its journal; the next one sets it aside and begins afresh."""
        await self.kill()
        await self.bury()
        self._relay = None
        await asyncio.sleep(_AFTERGLOW)
        if not self.house.journal.exists() or not self.house.journal.stat().st_size:
            return
        self._end_era()
        damage(self.house.journal, self.chance)
        self.tally.fault(f"journal: {damage.__name__}")

    def comes_again(self, message_id: str) -> None:
        """Note that Mixin pushes a message again, READ or not: a fresh journal can't know it."""
        era = self.eras[-1]
        self.eras[-1] = replace(era, unread=era.unread | {message_id})

    def _end_era(self) -> None:
        self._note_arrivals()
        begins = {receiver.name: len(receiver.posts) for receiver in self.receivers}
        self.eras.append(Era({}, begins, frozenset(self.house.simulator.pending())))

    def _note_arrivals(self) -> None:
        """Read the order from a copy: who reads the journal itself changes its files."""
        with tempfile.TemporaryDirectory() as folder:
            for file in self.house.directory.glob(f"{self.house.journal.name}*"):
                if file.name.endswith((".db", "-wal")):
                    shutil.copy(file, folder)
            copy = Path(folder, self.house.journal.name)
            with closing(sqlite3.connect(copy)) as connection, suppress(sqlite3.OperationalError):
                rows = connection.execute("SELECT message_id, seq FROM messages")
                arrived = {str(message_id): int(seq) for message_id, seq in rows}
                self.eras[-1] = replace(self.eras[-1], arrived=arrived)

    def judged(self) -> list[str]:
        """Say what the oracle has to complain of."""
        self._note_arrivals()
        ordered = self.house.bots[BOT]["ordering"] == "conversation"
        complaints = [*misread(self.obligations, self.house.simulator.pending())]
        aside = self.house.directory.glob("journal.db.corrupt-*")
        complaints += moved({file.name.removesuffix("-wal") for file in aside}, len(self.eras) - 1)
        for receiver in self.receivers:
            complaints += judge(
                self.obligations, receiver.name, receiver.posts, eras=self.eras, ordered=ordered
            )
        return complaints

    async def bury(self) -> None:
        """Find out what became of a relay that has died by itself."""
        if self._relay is not None and self._relay.err.ended:
            self._judge_end(await self._relay.ended())

    async def stop(self) -> None:
        """Ask for a clean stop."""
        if self._relay is not None:
            self._judge_end(await self._relay.stop(), asked=True)

    def _judge_end(self, code: int, *, asked: bool = False) -> None:
        relay, self._relay = self._relay, None
        started = relay is not None and relay.events("relay.started")
        if code == -signal.SIGKILL and self._window:
            self.tally.killed(self._window)
        elif not started:  # it refuses a journal in trouble, and is started again
            self.tally.fault("start_refused")
        elif not asked or code != 0:
            said = relay.err.lines[-3:] if relay else []
            self.tally.complaints.append(f"the relay ended with {code}, {asked=}: {said}")

    async def progress(self, posts: int, seconds: float) -> None:
        """Wait for so many more requests, for the relay's death, or for so long at most."""
        goal = self.posts + posts
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.house.until(
                    lambda: self.posts >= goal or self.alive is None, "any progress"
                )

    @property
    def posts(self) -> int:
        """How many requests all receivers have had."""
        return sum(len(receiver.posts) for receiver in self.receivers)

    # --- Watching

    async def watch(self) -> None:
        """Look at the relay's own figures again and again: nothing astray, and no bloat."""
        while True:
            await asyncio.sleep(_GLANCE)
            if relay := self.alive:
                with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                    self._look(await relay.metrics())

    def _look(self, metrics: Any) -> None:
        imbalance = metrics.value("relay_conservation_imbalance", bot=BOT)
        self.tally.complaints += imbalanced(imbalance)
        rss = metrics.value("process_resident_memory_bytes")
        self.tally.most_rss = max(self.tally.most_rss, rss)
        self.tally.complaints += bloated(rss)
