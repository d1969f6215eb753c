"""A backlog without bound: every receiver is away while messages come in, and then it is back.

Prints a curve: memory, journal, and how long the relay takes to answer a probe and a scrape, while
the backlog grows and while it is drained; then how the drain compares with the steady rate.
"""

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import click
from prometheus_client.parser import text_string_to_metric_families

from relay.simulator import Person, Simulator
from tests.acceptance.receiver import hold_port, port_of
from tests.bench.process import CONVERSATIONS, relay_process
from tests.bench.receiver import receiver

STEADY = 20_000
"""Messages by which the steady rate is measured."""

PUSHED_AT_ONCE = 2_000
JOURNAL = "sqlite:///journal.db"
_AHEAD = 20_000
_FIRST = 100
_EVERY = 2.0
_BREATH = 0.05
_PATIENCE = 7_200.0
_MIB = 1024 * 1024
_RETENTION = 9 * 86_400.0
_SMALL = 100 * _MIB
"""Bytes; the log, which is up to 64 MiB, stays with the relay."""
_COLUMNS = ("time", "pending", "RSS MiB", "journal", "probe ms", "scrape")


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at the relay has shown; seconds and bytes."""

    at: float
    pending: float
    rss: float
    journal: float
    probe: float
    scrape: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How messages went through: so many a second, each for so many CPU seconds of the relay."""

    rate: float
    cost: float


class Watch:
    """Looks at a relay again and again, and prints what it sees."""

    def __init__(self, base: str) -> None:
        self.glances: list[Glance] = []
        self._base = base
        self._began = time.monotonic()

    @property
    def pending(self) -> float:
        """How many messages the relay said that are pending, at the last look."""
        return self.glances[-1].pending if self.glances else 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        click.echo("".join(f"{name:>12}" for name in _COLUMNS))
        async with aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError):
                    self._note(await self.look(http))
                await asyncio.sleep(_EVERY)

    async def look(self, http: aiohttp.ClientSession) -> Glance:
        began = time.monotonic()
        async with http.get(f"{self._base}/readyz") as answer:
            await answer.read()
        probed = time.monotonic()
        async with http.get(f"{self._base}/metrics") as answer:
            text = await answer.text()
        scraped = time.monotonic()
        values = {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return Glance(
            scraped - self._began,
            values["relay_messages_pending"],
            values["process_resident_memory_bytes"],
            values["relay_journal_bytes"],
            probed - began,
            scraped - probed,
            values["process_cpu_seconds_total"],
        )

    def _note(self, glance: Glance) -> None:
        self.glances.append(glance)
        figures = (
            *(glance.at, glance.pending, glance.rss / _MIB, glance.journal / _MIB),
            *(glance.probe * 1e3, glance.scrape * 1e3),
        )
        click.echo("".join(f"{figure:>12,.0f}" for figure in figures))


@click.command()
@click.option("--messages", default=1_000_000, show_default=True, help="How long the backlog gets.")
def main(messages: int) -> None:
    """Print the curve, and the verdict."""
    steady = asyncio.run(_steady())
    click.echo(f"steady: {_words(steady)}\n")
    asyncio.run(_backlog(messages, steady))


async def _steady() -> Pace:
    """Measure how messages go from the socket to READ, once it runs."""
    listen = f"127.0.0.1:{port_of(hold_port())}"
    async with _world() as world, receiver() as url:
        ids = world.push(STEADY)
        async with relay_process(world.simulator, url, JOURNAL, world.folder, listen=listen):
            return await _pace(world, ids, _FIRST, Watch(f"http://{listen}"))


async def _pace(world: "World", ids: list[str], first: int, watch: Watch) -> Pace:
    """Measure from when the first ones are READ until all are."""
    async with aiohttp.ClientSession() as http:
        await world.simulator.acknowledged(ids[:first])
        before, began = await watch.look(http), time.perf_counter()
        await world.simulator.acknowledged(ids)
        seconds, after = time.perf_counter() - began, await watch.look(http)
    count = len(ids) - first
    return Pace(count / seconds, (after.cpu - before.cpu) / count)


def _words(pace: Pace) -> str:
    return f"{pace.rate:.0f} messages/s, {pace.cost * 1e6:.0f} µs CPU each"


async def _backlog(messages: int, steady: Pace) -> None:
    away, listen = port_of(hold_port()), f"127.0.0.1:{port_of(hold_port())}"
    url, watch = f"http://127.0.0.1:{away}/hook", Watch(f"http://{listen}")
    async with _world() as world:
        relay = partial(relay_process, world.simulator, url, JOURNAL, world.folder, listen=listen)
        async with relay():
            watching = asyncio.create_task(watch.run())
            try:
                ids = await _grow(world, messages, watch)
                grown = watch.glances[-1]
                async with receiver(away):
                    # A gate that is open is probed within a minute; then it is drained.
                    drained = await _pace(world, ids, _FIRST, watch)
            finally:
                watching.cancel()
        _sum_up(watch, grown, messages, drained, steady)
        _age(world.folder / "journal.db")
        async with relay():
            await _reclaimed(watch)


def _age(journal: Path) -> None:
    """Let the retention pass."""
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("UPDATE messages SET finished_at = finished_at - ?", (_RETENTION,))


async def _reclaimed(watch: Watch) -> None:
    """Print how long it takes until the journal is small again."""
    began = time.perf_counter()
    async with aiohttp.ClientSession() as http:
        size = math.inf
        while size > _SMALL:
            await asyncio.sleep(_EVERY)
            size = await _size(watch, http)
    figures = f"{watch.glances[-1].journal / _MIB:.0f} -> {size / _MIB:.0f} MiB"
    click.echo(f"journal after its retention: {figures} in {time.perf_counter() - began:.0f} s")


async def _size(watch: Watch, http: aiohttp.ClientSession) -> float:
    try:
        return (await watch.look(http)).journal
    except aiohttp.ClientError:  # it starts
        return math.inf


async def _grow(world: "World", messages: int, watch: Watch) -> list[str]:
    """Push until all are pending, never so fast that the server would have the backlog."""
    ids: list[str] = []
    for pushed in range(0, messages, PUSHED_AT_ONCE):
        await _until(lambda: watch.pending > pushed - _AHEAD)  # noqa: B023 - waited for in here
        ids += world.push(min(PUSHED_AT_ONCE, messages - pushed))
    await _until(lambda: watch.pending >= messages)
    return ids


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - another process has no event of ours
        await asyncio.sleep(_BREATH)


def _sum_up(watch: Watch, grown: Glance, messages: int, drained: Pace, steady: Pace) -> None:
    def most(look: Callable[[Glance], float]) -> float:
        return max(look(glance) for glance in watch.glances)

    click.echo(f"\nmost RSS {most(lambda glance: glance.rss) / _MIB:.0f} MiB")
    click.echo(f"journal {grown.journal / messages:.0f} bytes for each pending message")
    click.echo(f"longest probe {most(lambda glance: glance.probe) * 1e3:.0f} ms")
    click.echo(f"longest scrape {most(lambda glance: glance.scrape) * 1e3:.0f} ms")
    click.echo(f"drained: {_words(drained)}")
    rate, cost = drained.rate / steady.rate, steady.cost / drained.cost
    click.echo(f"that is {rate:.0%} of the steady rate, by CPU time {cost:.0%}")


@dataclass(frozen=True, slots=True)
class World:
    """A Blaze server, people who write, and a folder."""

    simulator: Simulator
    folder: Path
    people: Iterator[Person]

    def push(self, count: int) -> list[str]:
        """Let people write."""
        senders = islice(self.people, count)
        return [self.simulator.push(f"I am {each.name}, hello", sender=each) for each in senders]


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    people = [Person.named(f"Person {number}") for number in range(CONVERSATIONS)]
    with TemporaryDirectory() as folder:
        async with Simulator(patience=_PATIENCE) as simulator:
            yield World(simulator, Path(folder), cycle(people))


if __name__ == "__main__":
    main()
