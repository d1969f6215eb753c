"""What one message costs the whole relay, from the socket to READ, in CPU time of its process.

The relay is a process of its own; the Blaze server and the receiver share another one, so wall time
says little on two cores. The bare POST, measured in the same run, makes figures comparable
between machines.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from relay.simulator import ALICE, CAST, Person, Simulator
from tests.bench.receiver import receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONVERSATIONS = 200
BARE_POST = """
import asyncio, sys
import aiohttp

async def main(url, count):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async def post(times):
            for _ in range(times):
                async with session.post(url, data=b"x" * 700) as response:
                    await response.read()
        await asyncio.gather(*(post(count // 16) for _ in range(16)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def main(messages: int = 20_000) -> None:
    """Print a row for each journal, and one for the bare POST."""
    print(f"{'':22}{'messages/s':>12}{'CPU µs/message':>16}{'of a bare POST':>16}")
    bare = asyncio.run(_bare_post(messages))
    for journal in ("memory:", "sqlite"):
        wall, cpu = asyncio.run(_relay(messages, journal))
        _row(f"relay, {journal}", messages / wall, cpu / messages * 1e6, cpu / bare)
    _row("bare aiohttp POST", 0.0, bare / messages * 1e6, 1.0)


def _row(name: str, rate: float, cpu: float, ratio: float) -> None:
    print(
        f"{name:22}{rate or '':>12.0f}{cpu:>16.0f}{ratio:>16.1f}"
        if rate
        else f"{name:22}{'':>12}{cpu:>16.0f}{ratio:>16.1f}"
    )


async def _bare_post(count: int) -> float:
    async with receiver() as url:
        before = _children()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BARE_POST, url, str(count)
        )
        await process.wait()
        return _children() - before


async def _relay(messages: int, journal: str) -> tuple[float, float]:
    """Push a backlog and wait until every message is READ; answers wall and CPU seconds."""
    with TemporaryDirectory() as folder:
        location = journal if journal == "memory:" else f"sqlite:///{folder}/journal.db"
        async with receiver() as url, Simulator(patience=600.0) as simulator:
            people = [_person(number) for number in range(CONVERSATIONS)]
            ids = [
                simulator.push(f"Message {n}", sender=people[n % CONVERSATIONS])
                for n in range(messages)
            ]
            before, started = _children(), time.perf_counter()
            async with _process(simulator, url, location, Path(folder)):
                await simulator.acknowledged(ids)
                wall = time.perf_counter() - started
            return wall, _children() - before


def _person(number: int) -> Person:
    suffix = f"{number:012d}"
    return Person(
        **{
            **{name: getattr(ALICE, name) for name in ALICE.__dataclass_fields__},
            "user_id": f"00000000-0000-4000-8000-{suffix}",
        }
    )


@asynccontextmanager
async def _process(
    simulator: Simulator, url: str, journal: str, folder: Path
) -> AsyncIterator[None]:
    environment = os.environ | {
        "RELAY_KEYSTORE": simulator.keystore_json(),
        "RELAY_WEBHOOK_URLS": url,
        "RELAY_WEBHOOK_SECRET": SECRET,
        "RELAY_JOURNAL": journal,
        "RELAY_LISTEN": "127.0.0.1:0",
        "RELAY_BLAZE_URL": simulator.blaze_url,
        "RELAY_API_URL": simulator.api_url,
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay", "run", env=environment, stderr=log, cwd=folder
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
