"""What four bad endpoints cost a good one: its latency beside them, and alone.

One relay has the good endpoint alone. Another has five: beside the good one, one that hangs, one
that refuses connections, one that is slow and one that is gone. They get the same load, a second
each by turns, so that what else the machine does meets both; then again when the bad ones are owed
a long backlog. Latency is from the push at the Blaze server to the good receiver's 2xx; metrics
are scraped all the time.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import aiohttp
import click
import yaml
from prometheus_client.parser import text_string_to_metric_families

from relay.delivery.routing import Route, Routing
from relay.journal.open import open_journal
from relay.model.admin import MessageQuery
from relay.model.messages import EndpointKey, Message, Source
from relay.model.ports import Journal
from relay.simulator import Bot, Person, Simulator
from tests.acceptance.receiver import hold_port, port_of
from tests.bench.bench_journal import measured, record
from tests.bench.process import CONVERSATIONS, SECRET

PROMISED = 1.5
"""The good endpoint's p99 beside bad ones may be so many times what it is alone."""

ALONE, BESIDE = "alone", "beside"
_BAD = ("hangs", "refuses", "slow", "gone")
_WARM_UP = 3.0
_SLICE = 1.0
_CPU, _RSS = "process_cpu_seconds_total", "process_resident_memory_bytes"
_BREATH = 0.02
_PATIENCE = 7_200.0
_MIB = 1024 * 1024
_PRELOADED_AT_ONCE = 10_000
_COLUMNS = ("messages", "p50 ms", "p90 ms", "p99 ms", "most ms", "CPU us", "RSS MiB")


@dataclass(frozen=True, slots=True)
class Load:
    """What is done: messages per second, for so many seconds a window, before and after a backlog.

    `rounds` windows each for one relay and the other; `backlog` is what each bad one is owed then.
    """

    rate: float
    seconds: float
    rounds: int = 1
    backlog: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """How the relays are set up."""

    ordering: str
    bad_required: bool

    @property
    def title(self) -> str:
        """Name it."""
        return f"ordering {self.ordering}, bad ones {'required' if self.bad_required else 'not'}"


class Neighbourhood:
    """The receivers' process: their ports, and when the good one has taken what."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.taken: dict[str, float] = {}

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Read what the process tells, until it ends."""
        async for line in lines:
            message_id, at = line.split()
            self.taken[message_id.decode()] = float(at)


@asynccontextmanager
async def neighbourhood() -> AsyncIterator[Neighbourhood]:
    """Run the receivers, and nobody at one port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.neighbours", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    nobody = hold_port()
    ports = json.loads(await process.stdout.readline()) | {"refuses": port_of(nobody)}
    receivers = Neighbourhood(ports)
    following = asyncio.create_task(receivers.follow(process.stdout))
    try:
        yield receivers
    finally:
        process.kill()
        await process.wait()
        await following
        nobody.close()


class Relay:
    """One relay's process, on a journal and a port of its own; it can be stopped and go on."""

    def __init__(self, name: str, bot: Bot, folder: Path, world: "World") -> None:
        self.bot = bot
        self.folder = folder / name
        self.folder.mkdir()
        self._world = world
        self.name = name
        self._port = hold_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def journal(self) -> str:
        """The journal's location."""
        return f"sqlite:///{self.folder}/journal.db"

    async def start(self, kind: Kind) -> None:
        """Start it, and wait for its socket."""
        config = self.folder / "relay.yaml"
        config.write_text(yaml.safe_dump(self._settings(kind)))
        (self.folder / "keystore.json").write_text(self._world.simulator.keystore_json(self.bot))
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "relay", "run", "--config", str(config)),
                stderr=log,
                env=os.environ | {"RELAY_BENCH": self.name},
            )
        sockets = "relay_blaze_connected"
        while not (await self.figures()).get(sockets):  # noqa: ASYNC110 - it has no event of ours
            await asyncio.sleep(_BREATH)

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def figures(self) -> dict[str, float]:
        """Scrape what it says of itself; empty if it says nothing."""
        try:
            url = f"http://127.0.0.1:{port_of(self._port)}/metrics"
            async with self._world.http.get(url) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return {}
        families = text_string_to_metric_families(text)
        return {each.name: each.value for family in families for each in family.samples}

    def _settings(self, kind: Kind) -> dict[str, Any]:
        endpoints = [self._endpoint("well", required=True)]
        if self.name == BESIDE:
            endpoints += [self._endpoint(bad, required=kind.bad_required) for bad in _BAD]
        bot = {
            "name": "bot",
            "keystore_file": str(self.folder / "keystore.json"),
            "blaze_url": self._world.simulator.blaze_url,
            "api_url": self._world.simulator.api_url,
            "ordering": kind.ordering,
            "endpoints": endpoints,
        }
        listen = f"127.0.0.1:{port_of(self._port)}"
        return {"listen": listen, "journal": self.journal, "drain_timeout": "1s", "bots": [bot]}

    def _endpoint(self, name: str, *, required: bool) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._world.receivers.ports[name]}/hook"
        endpoint = {"name": name, "url": url, "secret": SECRET, "required": required}
        return endpoint | ({"breaker": {"gone_confirm": "1s"}} if name == "gone" else {})


@dataclass(frozen=True, slots=True)
class World:
    """What both relays share."""

    simulator: Simulator
    receivers: Neighbourhood
    http: aiohttp.ClientSession


@dataclass(frozen=True, slots=True)
class Window:
    """What one window has shown: seconds, CPU seconds of the relay, bytes."""

    latencies: Sequence[float]
    cpu: float
    rss: float

    def percentile(self, share: float) -> float:
        """Say within what time so large a share was taken."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self) -> str:
        """Write it as a row of the table."""
        times = [1e3 * self.percentile(share) for share in (0.5, 0.9, 0.99, 1.0)]
        each = 1e6 * self.cpu / len(self.latencies)
        figures = "".join(f"{time:>10.1f}" for time in times)
        return f"{len(self.latencies):>10}{figures}{each:>10.0f}{self.rss / _MIB:>10.0f}"


async def windows(relays: Sequence[Relay], world: World, load: Load) -> list[Window]:
    """Push to one relay and the other by turns, as fast whatever comes of it."""
    for relay in relays:
        await _pushed(relay, world, replace(load, seconds=_WARM_UP))
    spent = {relay.name: 0.0 for relay in relays}
    pushed: dict[str, dict[str, float]] = {relay.name: {} for relay in relays}
    for _ in range(int(load.seconds / _SLICE)):
        for relay in relays:
            before = await relay.figures()
            pushed[relay.name] |= await _pushed(relay, world, replace(load, seconds=_SLICE))
            spent[relay.name] += (await relay.figures())[_CPU] - before[_CPU]
    return [await _seen(relay, world, pushed[relay.name], spent[relay.name]) for relay in relays]


async def _seen(relay: Relay, world: World, pushed: dict[str, float], spent: float) -> Window:
    """Wait until all of it was taken, and see how long that took."""
    while not pushed.keys() <= world.receivers.taken.keys():  # noqa: ASYNC110 - told by a pipe
        await asyncio.sleep(_BREATH)
    latencies = [world.receivers.taken[each] - at for each, at in pushed.items()]
    return Window(latencies, spent, (await relay.figures())[_RSS])


async def _pushed(relay: Relay, world: World, load: Load) -> dict[str, float]:
    """Push at a steady rate; answers with when each message was pushed."""
    loop, people = asyncio.get_running_loop(), cycle(PEOPLE)
    began, pushed = loop.time(), {}
    for number in range(int(load.rate * load.seconds)):
        await asyncio.sleep(began + number / load.rate - loop.time())
        at = loop.time()
        pushed[world.simulator.push("hello", sender=next(people), bot=relay.bot)] = at
    return pushed


PEOPLE = [Person.named(f"Person {number}") for number in range(CONVERSATIONS)]


# --- A backlog ------------------------------------------------------------------------------------


async def preload(relay: Relay, kind: Kind, count: int) -> None:
    """Let the bad ones be owed so many messages more, copies of one that came."""
    routes = [Route(EndpointKey("bot", name), required=kind.bad_required) for name in _BAD]
    routing = Routing(routes, by_conversation=kind.ordering == "conversation")
    async with open_journal(relay.journal) as opened:
        (last,) = await opened.admin.messages(MessageQuery(limit=1))
        (history,) = await opened.admin.history(last.message_id)
        await opened.journal.start(
            [EndpointKey("bot", name) for name in ("well", *_BAD)], time.time()
        )
        for start in range(0, count, _PRELOADED_AT_ONCE):
            numbers = range(start, min(count, start + _PRELOADED_AT_ONCE))
            await _copies(opened.journal, routing, numbers, history.frame)
        await opened.journal.stop()


async def _copies(journal: Journal, routing: Routing, numbers: range, frame: bytes) -> None:
    messages = (
        Message(
            "bot",
            str(uuid4()),
            str(uuid4()) if number % 2 else PEOPLE[number % CONVERSATIONS].user_id,
            PEOPLE[0].user_id,
            "PLAIN_TEXT",
            Source.LIVE,
            frame,
            time.time(),
        )
        for number in numbers
    )
    await record(journal, [routing.arrival(message) for message in messages])


# --- The run --------------------------------------------------------------------------------------


@click.command()
@click.option("--rate", default=150.0, show_default=True, help="Messages per second.")
@click.option("--seconds", default=10.0, show_default=True, help="How long a window is.")
@click.option("--rounds", default=5, show_default=True, help="Windows of each sort.")
@click.option("--backlog", default=200_000, show_default=True, help="What each bad one is owed.")
def main(rate: float, seconds: float, rounds: int, backlog: int) -> None:
    """Print a row for each window, and the verdict."""
    kept, load = True, Load(rate, seconds, rounds, backlog)
    for kind in (Kind("conversation", bad_required=False), Kind("none", bad_required=True)):
        click.secho(kind.title, bold=True)
        kept &= asyncio.run(compare(kind, load))
    sys.exit(not kept)


Windows = dict[str, list[Window]]


async def compare(kind: Kind, load: Load) -> bool:
    """Measure one setup, first with what has just begun, then with a backlog."""
    click.echo(f"{'':<34}{''.join(f'{name:>10}' for name in _COLUMNS)}")
    with TemporaryDirectory() as folder:
        async with (
            Simulator(patience=_PATIENCE) as simulator,
            neighbourhood() as receivers,
            aiohttp.ClientSession() as http,
        ):
            world = World(simulator, receivers, http)
            relays = [
                Relay(ALONE, simulator.bot, Path(folder), world),
                Relay(BESIDE, simulator.add_bot(), Path(folder), world),
            ]
            try:
                return await _rounds(relays, world, kind, load)
            finally:
                for relay in relays:
                    await relay.stop()


async def _rounds(relays: Sequence[Relay], world: World, kind: Kind, load: Load) -> bool:
    beside = relays[1]
    for relay in relays:
        await relay.start(kind)
    fresh = await _in_turn(relays, world, load, "")
    await beside.stop()
    with measured(f"({load.backlog} more are owed to each)"):
        await preload(beside, kind, load.backlog)
    await beside.start(kind)
    late = await _in_turn(relays, world, load, f", {load.backlog} owed")
    return all([_verdict(fresh, "at first"), _verdict(late, "with a backlog")])


async def _in_turn(relays: Sequence[Relay], world: World, load: Load, title: str) -> Windows:
    all_seen: Windows = defaultdict(list)
    for number in range(1, load.rounds + 1):
        for relay, seen in zip(relays, await windows(relays, world, load), strict=True):
            all_seen[relay.name].append(seen)
            title_of = relay.name + (title if relay.name == BESIDE else "")
            click.echo(f"{f'{number}. {title_of}':<34}{seen.row()}")
    return all_seen


def _verdict(all_seen: Windows, when: str) -> bool:
    """Compare the middle windows, whatever shook the machine in one, and say if it was kept."""
    alone, beside = (
        statistics.median(each.percentile(0.99) for each in all_seen[name])
        for name in (ALONE, BESIDE)
    )
    kept = beside <= PROMISED * alone
    said = f"{when}: p99 {1e3 * beside:.1f} ms beside, {1e3 * alone:.1f} ms alone"
    click.secho(f"{said}: {beside / alone:.2f} x, {'kept' if kept else 'NOT KEPT'}", bold=True)
    return kept


if __name__ == "__main__":
    main()
