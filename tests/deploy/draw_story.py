"""A story for the dashboard to tell: two bots, three webhooks, an outage of one, and a deploy."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import aiohttp
import yaml
from aiohttp import web

from relay.simulator import CATEGORIES, Bot, Simulator
from tests.acceptance.receiver import hold_port, port_of
from tests.deploy.prometheus_server import Pace, Prometheus, running

HEALTHY, FAILING, AWAY, RECOVERED, DEPLOYED = 8.0, 2.0, 18.0, 7.0, 5.0
"""Minutes of each part: crm is well, answers 500, is away, is back; the relay was restarted."""

_CONVERSATIONS = 150
_TEXTS = 5
_ONE_IN = 40
"""So many of shop's messages are taken for one that it rejects, once it is odd."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class Webhook:
    """A receiver that takes its time: `slowness` is the median, in seconds."""

    slowness: float
    behave: Callable[[str], int] = lambda _: 200
    held: web.AppRunner | None = None
    port: int = field(default_factory=lambda: port_of(hold_port()))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/"

    async def open(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self.held = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.held.setup()
        await web.TCPSite(self.held, "127.0.0.1", self.port).start()

    async def close(self) -> None:
        """Refuse."""
        if self.held is not None:
            await self.held.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await asyncio.sleep(random.lognormvariate(0, 0.5) * self.slowness)
        return web.Response(status=self.behave(request.headers["webhook-id"]))


def odd_one(message_id: str) -> int:
    """Reject the same few messages whenever they come."""
    return 422 if int(message_id[:8], 16) % _ONE_IN == 0 else 200


def busy_at_times(_: str) -> int:
    """Have too much to do at times."""
    return 503 if random.random() < 0.01 else 200


@dataclass(slots=True)
class Stage:
    """Where the story plays."""

    directory: Path
    port: int
    webhooks: dict[str, Webhook]
    relay: asyncio.subprocess.Process | None = None

    def configure(self, simulator: Simulator, bots: dict[str, Bot]) -> None:
        """Write the relay's settings."""
        owns = {"support": ("crm", "archive"), "sales": ("shop",)}
        document = {
            "listen": f"127.0.0.1:{self.port}",
            "journal": f"sqlite:///{self.directory / 'journal.db'}",
            "bots": [
                {
                    "name": name,
                    "keystore": simulator.keystore_json(bot),
                    "blaze_url": simulator.blaze_url,
                    "api_url": simulator.api_url,
                    "endpoints": [
                        {"name": each, "url": self.webhooks[each].url} for each in owns[name]
                    ],
                }
                for name, bot in bots.items()
            ],
        }
        (self.directory / "relay.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

    async def start(self) -> None:
        """Start the relay."""
        config = self.directory / "relay.yaml"
        self.relay = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay", "run", "--config", str(config)),
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def stop(self) -> None:
        """Stop it as a deploy does."""
        if self.relay is not None:
            self.relay.terminate()
            await self.relay.wait()
            self.relay = None


async def people(simulator: Simulator, bot: Bot, rate: float) -> None:
    """Write to a bot, for ever; now more, now less."""
    while True:
        number = random.randrange(_CONVERSATIONS)
        text = random.randrange(_TEXTS)
        simulator.push(
            f"Message {number}" if text else None,
            category="PLAIN_TEXT" if text else random.choice(CATEGORIES[:9]),
            bot=bot,
            conversation_id=str(uuid5(NAMESPACE_URL, str(number))),
        )
        await asyncio.sleep(random.expovariate(rate))


@asynccontextmanager
async def playing(directory: Path, pace: Pace) -> AsyncIterator[tuple[Stage, Prometheus]]:
    """Set the stage, with people that write and a Prometheus that looks on."""
    stage = Stage(
        directory,
        port_of(hold_port()),
        {
            "crm": Webhook(0.04),
            "archive": Webhook(0.012, busy_at_times),
            "shop": Webhook(0.12),
        },
    )
    async with AsyncExitStack() as closing:
        simulator = await closing.enter_async_context(Simulator())
        http = await closing.enter_async_context(aiohttp.ClientSession())
        for webhook in stage.webhooks.values():
            await webhook.open()
            closing.push_async_callback(webhook.close)
        bots = {"support": simulator.bot, "sales": simulator.add_bot()}
        stage.configure(simulator, bots)
        await stage.start()
        closing.push_async_callback(stage.stop)
        targets = [f"127.0.0.1:{stage.port}"]
        prometheus = await closing.enter_async_context(
            running(directory / "prometheus", http, targets, pace)
        )
        await prometheus.has("sum(relay_blaze_connected) == 2")
        writing = [
            asyncio.create_task(people(simulator, bots["support"], 3)),
            asyncio.create_task(people(simulator, bots["sales"], 1)),
        ]
        closing.callback(lambda: [task.cancel() for task in writing])
        yield stage, prometheus


Record = Callable[[Prometheus, float, float], Awaitable[object]]
"""Reads what the dashboard shows from one moment to another, Unix seconds."""


async def play(directory: Path, pace: Pace, record: Record, tell: Tell) -> dict[str, object]:
    """Play the story, `pace.factor` times as fast; answers with what is shown in two moments."""

    async def last(minutes: float, what: str) -> None:
        tell(f"{minutes:g} min: {what}")
        await asyncio.sleep(minutes * 60 / pace.factor)

    async with playing(directory, pace) as (stage, prometheus):
        crm, start = stage.webhooks["crm"], time.time()
        await last(HEALTHY, "all is well")
        crm.behave = lambda _: 500
        await last(FAILING, "crm answers 500")
        await crm.close()
        await last(AWAY, "crm is away")
        outage = await record(prometheus, start, time.time())
        crm.behave = lambda _: 200
        stage.webhooks["shop"].behave = odd_one
        await crm.open()
        await last(RECOVERED, "crm is back, and shop rejects some")
        await stage.stop()
        await stage.start()
        await last(DEPLOYED, "the relay was restarted")
        return {"outage": outage, "end": await record(prometheus, start, time.time())}


def keep(path: Path, story: dict[str, object]) -> None:
    """Write down what was recorded."""
    path.write_text(json.dumps(story), encoding="utf-8")
