"""What one message costs the whole relay, from the socket to READ, in CPU time of its process.

The relay is a process of its own; the Blaze server and the receiver share another one, so wall time
says little on two cores. A bare POST, measured in the same run, makes machines comparable.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from relay.simulator import Person, Simulator
from tests.bench.receiver import receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONVERSATIONS = 200
JOURNALS = {"in memory": "memory:", "in SQLite": "sqlite:///journal.db"}

_BARE_POST = """
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


@click.command()
@click.option("--messages", default=10_000, show_default=True, help="How many to relay.")
def main(messages: int) -> None:
    """Print what a message costs with each journal, beside a bare POST."""
    _, bare = asyncio.run(_bare_post(messages))
    click.echo(f"{'':<24}{'messages/s':>12}{'µs CPU/message':>16}{'bare POSTs':>12}")
    click.echo(f"{'bare aiohttp POST':<24}{'':>12}{bare / messages * 1e6:>16.0f}{1:>12.1f}")
    for name, journal in JOURNALS.items():
        wall, cpu = asyncio.run(_relay(messages, journal))
        row = f"{messages / wall:>12.0f}{cpu / messages * 1e6:>16.0f}{cpu / bare:>12.1f}"
        click.echo(f"{f'relay, journal {name}':<24}{row}")


async def _bare_post(count: int) -> tuple[float, float]:
    async with receiver() as url:
        before, started = _cpu_of_children(), time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _BARE_POST, url, str(count)
        )
        await process.wait()
        return time.perf_counter() - started, _cpu_of_children() - before


async def _relay(messages: int, journal: str) -> tuple[float, float]:
    """Work off a backlog until every message is READ; answers wall and CPU seconds."""
    people = [Person.named(f"Person {number}") for number in range(CONVERSATIONS)]
    with TemporaryDirectory() as folder:
        async with receiver() as url, Simulator(patience=600.0) as simulator:
            ids = [
                simulator.push(f"Message {number}", sender=people[number % CONVERSATIONS])
                for number in range(messages)
            ]
            before, started = _cpu_of_children(), time.perf_counter()
            async with relay_process(simulator, url, journal, Path(folder)):
                await simulator.acknowledged(ids)
                wall = time.perf_counter() - started
            return wall, _cpu_of_children() - before


@asynccontextmanager
async def relay_process(
    simulator: Simulator, url: str, journal: str, folder: Path, *, listen: str = "127.0.0.1:0"
) -> AsyncIterator[None]:
    """Run a relay between a Blaze server and a receiver."""
    environment = os.environ | {
        "RELAY_KEYSTORE": simulator.keystore_json(),
        "RELAY_WEBHOOK_URLS": url,
        "RELAY_WEBHOOK_SECRET": SECRET,
        "RELAY_JOURNAL": journal,
        "RELAY_LISTEN": listen,
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


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
