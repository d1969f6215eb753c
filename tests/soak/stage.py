"""A soak from its first message to its last READ."""

import asyncio
import math
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.soak.control import Player
from tests.soak.ledger import Ledger
from tests.soak.lives import Relay
from tests.soak.plan import Fault, Side, plan
from tests.soak.processes import Figures, busy, figures
from tests.soak.sample import Sample, header, line
from tests.soak.verdict import DRAINED_WITHIN, Record

EVERY = 5.0
FEWEST_LOOKS = 100
"""A short soak is looked at more often."""

RETENTION = (30.0, 180.0)
"""Seconds that finished messages are kept, by the length of the soak."""

_LEAD = 2.0
_BREATH = 0.25
_MILLI = 1e3
_FEW = 50.0
"""Messages a second below which CPU time a message says nothing."""

Told = Callable[[Sample], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What soak is asked for."""

    seconds: float
    rate: float
    seed: int
    folder: Path

    @property
    def messages(self) -> int:
        """How many are offered."""
        return round(self.seconds * self.rate)

    @property
    def retention(self) -> float:
        """How long the relay keeps what is finished."""
        least, most = RETENTION
        return min(most, max(least, self.seconds / 12))

    @property
    def every(self) -> float:
        """How often it is looked at."""
        return max(1.0, min(EVERY, self.seconds / FEWEST_LOOKS))


async def play(terms: Terms, told: Told) -> Record:
    """Play a soak; every look is told as it comes, and written to samples.csv in the folder."""
    file, folder = terms.folder / "ledger", terms.folder
    ledger = Ledger(file, terms.messages)
    size = str(terms.messages)
    async with AsyncExitStack() as closing:
        http = await closing.enter_async_context(aiohttp.ClientSession())
        mixin = Player(
            *("tests.soak.mixin", str(file), size, str(terms.rate), str(terms.seed)),
            log=folder / "mixin.log",
        )
        receivers = Player("tests.soak.receivers", str(file), size, log=folder / "receivers.log")
        await closing.enter_async_context(mixin)
        await closing.enter_async_context(receivers)
        relay = Relay(folder, terms.retention, http)
        relay.configure(mixin.hello, receivers.hello["ports"])
        closing.push_async_callback(relay.stop)
        await relay.start()
        await relay.ready()
        stage = Stage(terms, mixin, receivers, relay, told)
        return await stage.run(ledger)


class Stage:
    """Everything that runs, and what was seen of it."""

    def __init__(
        self, terms: Terms, mixin: Player, receivers: Player, relay: Relay, told: Told
    ) -> None:
        self._terms = terms
        self._mixin = mixin
        self._receivers = receivers
        self._relay = relay
        self._told = told
        self._samples: list[Sample] = []
        self._began = 0.0
        self._wrong = 0

    async def run(self, ledger: Ledger) -> Record:
        """Offer everything, let it go wrong by plan, wait until all is READ, and take stock."""
        terms, faults = self._terms, plan(self._terms.seed, self._terms.seconds)
        self._began = time.monotonic() + _LEAD
        await asyncio.gather(
            *(each.ask(do="start", at=self._began) for each in (self._mixin, self._receivers))
        )
        looking = asyncio.create_task(self._look_again_and_again())
        for fault in faults:
            await self._go_wrong(fault)
        await self._until(terms.seconds)
        drained = await self._drain()
        looking.cancel()
        exit_code = await self._relay.stop()
        complaints = await self._complaints()
        return Record(
            seconds=terms.seconds,
            rate=terms.rate,
            samples=self._samples,
            faults=faults,
            account=ledger.account(terms.messages),
            complaints=complaints,
            wrong=self._wrong,
            drained=drained,
            ends=self._relay.ends,
            exit_code=exit_code,
            tracebacks=self._relay.tracebacks(),
        )

    # --- Faults

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))

    async def _go_wrong(self, fault: Fault) -> None:
        await self._until(fault.at)
        if fault.side is Side.RELAY:
            await self._relay.kill()
            return
        player = self._mixin if fault.side is Side.MIXIN else self._receivers
        await player.ask(do="begin", name=fault.name)
        await self._until(fault.end)
        await player.ask(do="end")

    async def _drain(self) -> float | None:
        """Wait until everything is READ; answers how long it took, None if it is not."""
        began = time.monotonic()
        while time.monotonic() - began < DRAINED_WITHIN:
            said = await self._mixin.ask(do="report")
            if said["read"] >= self._terms.messages:
                return time.monotonic() - began
            await asyncio.sleep(_BREATH)
        return None

    async def _complaints(self) -> list[str]:
        found: list[str] = []
        self._wrong = 0
        for player in (self._mixin, self._receivers):
            self._wrong += (await player.ask(do="report"))["wrong"]
            found += (await player.ask(do="complaints"))["complaints"]
        return found

    # --- Looking

    async def _look_again_and_again(self) -> None:
        await self._until(0.0)
        before = await self._glance()
        with (self._terms.folder / "samples.csv").open("w", encoding="utf-8") as file:
            file.write(header() + "\n")
            while True:
                await asyncio.sleep(self._terms.every)
                await self._relay.requeue()
                after = await self._glance()
                sample = _sample(before, after)
                before = after
                self._samples.append(sample)
                file.write(line(sample) + "\n")
                file.flush()
                self._told(sample)

    async def _glance(self) -> "Glance":
        mixin = await self._mixin.ask(do="report")
        receivers = await self._receivers.ask(do="report")
        imbalance = await self._relay.imbalance()
        now = time.monotonic()
        return Glance(
            at=now - self._began,
            life=self._relay.life,
            age=now - self._relay.born,
            journal=self._relay.journal_bytes(),
            mixin=mixin,
            receivers=receivers,
            relay_figures=figures(self._relay.pid),
            mixin_figures=figures(self._mixin.pid),
            receivers_figures=figures(self._receivers.pid),
            own_figures=figures(os.getpid()),
            busy=busy(),
            imbalance=math.nan if imbalance is None else imbalance,
        )


@dataclass(frozen=True, slots=True)
class Glance:
    """What was counted up to one moment."""

    at: float
    life: int
    age: float
    journal: int
    mixin: dict[str, Any]
    receivers: dict[str, Any]
    relay_figures: Figures | None
    mixin_figures: Figures | None
    receivers_figures: Figures | None
    own_figures: Figures | None
    busy: float
    imbalance: float

    @property
    def ours(self) -> float:
        """CPU time of the soak's own processes; nan if one of them is gone."""
        all_figures = (
            *(self.relay_figures, self.mixin_figures),
            *(self.receivers_figures, self.own_figures),
        )
        return sum(math.nan if each is None else each.cpu for each in all_figures)


def _sample(before: Glance, after: Glance) -> Sample:
    seconds = after.at - before.at
    taken: int = after.receivers["taken"] - before.receivers["taken"]
    relay = after.relay_figures

    def cpu(first: Figures | None, second: Figures | None, *, same: bool = True) -> float:
        if first is None or second is None or not same or taken < seconds * _FEW:
            return math.nan
        return (second.cpu - first.cpu) / taken * _MILLI

    return Sample(
        at=after.at,
        seconds=seconds,
        life=after.life,
        age=after.age,
        rss=relay.rss if relay else math.nan,
        descriptors=relay.descriptors if relay else math.nan,
        threads=relay.threads if relay else math.nan,
        journal=after.journal,
        pending=after.mixin["written"] - after.mixin["read"],
        offered=(after.mixin["written"] - before.mixin["written"]) / seconds,
        delivered=taken / seconds,
        read=(after.mixin["read"] - before.mixin["read"]) / seconds,
        p50=_or_nan(after.receivers["p50"]),
        p99=_or_nan(after.receivers["p99"]),
        relay_cpu=cpu(before.relay_figures, relay, same=before.life == after.life),
        mixin_cpu=cpu(before.mixin_figures, after.mixin_figures),
        receivers_cpu=cpu(before.receivers_figures, after.receivers_figures),
        mixin_rss=after.mixin_figures.rss if after.mixin_figures else math.nan,
        others=_others(before, after) / seconds,
        late=after.mixin["late"],
        imbalance=after.imbalance,
    )


def _others(before: Glance, after: Glance) -> float:
    if before.life != after.life:
        return math.nan
    return max(0.0, after.busy - before.busy - (after.ours - before.ours))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
