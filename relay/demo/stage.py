"""Everybody who takes part: set up together, each on a loopback port of its own."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from relay import __version__
from relay.config import Settings, load_settings
from relay.demo.board import Board, OnChange
from relay.demo.receiver import Receiver, Refuses
from relay.model.messages import EndpointKey
from relay.service import Service
from relay.simulator import CAST, Simulator
from relay.simulator.people import contact_conversation
from relay.telemetry.events import Fact, RelayStarted, Telemetry
from relay.telemetry.logs import configure_logging
from relay.telemetry.metrics import Metrics
from relay.telemetry.voice import Voice
from relay.webhook.signature import SECRET_BYTES, new_secret


@dataclass(frozen=True, slots=True)
class Stage:
    """Simulator and receiver listen; the relay between them is ready to run."""

    simulator: Simulator
    receiver: Receiver
    board: Board
    relay: Service
    started: asyncio.Event

    @property
    def metrics_url(self) -> str:
        """Where the relay's metrics are, once it has started."""
        if self.relay.address is None:
            return "-"
        host, port = self.relay.address
        return f"http://{host}:{port}/metrics"


async def set_stage(closing: AsyncExitStack, *, refuses: Refuses, on_change: OnChange) -> Stage:
    """Set everybody up; what must be closed in the end goes onto `closing`.

    Raises OSError if there is no place for the journal.
    """
    folder = closing.enter_context(TemporaryDirectory(prefix="relay-demo-"))
    simulator = await closing.enter_async_context(Simulator())
    board = Board(_conversations(simulator), on_change)
    secret = new_secret(secrets.token_bytes(SECRET_BYTES))
    receiver = Receiver(secret, refuses=refuses, on_visit=board.visit)
    await closing.enter_async_context(receiver)
    simulator.journal.observer = board.witness
    simulator.allow_read = receiver.has_taken
    settings = _settings(simulator, receiver, secret, Path(folder))
    started = asyncio.Event()
    relay = _relay(settings, board.follow, _setting(started))
    return Stage(simulator, receiver, board, relay, started)


def _setting(started: asyncio.Event) -> Telemetry:
    def follow(fact: Fact) -> None:
        if isinstance(fact, RelayStarted):
            started.set()

    return follow


def _conversations(simulator: Simulator) -> dict[str, str]:
    app_id = simulator.bot.app_id
    return {contact_conversation(app_id, person.user_id): person.name for person in CAST}


def _settings(simulator: Simulator, receiver: Receiver, secret: str, folder: Path) -> Settings:
    """Set what an operator with one bot and one webhook sets."""
    environ = {
        "RELAY_KEYSTORE": simulator.keystore_json(),
        "RELAY_BLAZE_URL": simulator.blaze_url,
        "RELAY_API_URL": simulator.api_url,
        "RELAY_WEBHOOK_URLS": receiver.url,
        "RELAY_WEBHOOK_SECRET": secret,
        "RELAY_JOURNAL": f"sqlite:///{folder / 'journal.db'}",
        "RELAY_LISTEN": "127.0.0.1:0",
        "RELAY_LOG_LEVEL": "warning",
    }
    return load_settings(None, environ)


def _relay(settings: Settings, *follow: Telemetry) -> Service:
    log = configure_logging(settings.log_level)
    bots = [bot.name for bot in settings.bots]
    endpoints = [
        EndpointKey(bot.name, endpoint.name) for bot in settings.bots for endpoint in bot.endpoints
    ]
    metrics = Metrics(version=__version__, bots=bots, endpoints=endpoints)
    return Service(settings, Voice(metrics, log), metrics, follow=follow)
