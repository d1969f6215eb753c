"""One run: everybody starts, people write, and once all is READ or nothing moves it ends."""

import asyncio
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

from relay import __version__
from relay.config import Settings, load_settings
from relay.config.changes import endpoints_of
from relay.demo.board import Board, OnChange, Score, exit_code
from relay.demo.receiver import Receiver, Refuses, now_and_then
from relay.demo.views import View, choose_view
from relay.service import Service
from relay.simulator import CAST, Simulator, Traffic
from relay.simulator.people import contact_conversation
from relay.telemetry.event_bus import Voice
from relay.telemetry.events import Event, RelayStarted, Telemetry
from relay.telemetry.logs import configure_logging
from relay.telemetry.metrics import Metrics
from relay.webhook.signature import SECRET_BYTES, new_secret

MESSAGES: Final = 60
RATE: Final = 10.0

PATIENCE: Final = 30.0
"""Seconds without any progress after which the demo gives up."""

_PATIENCE_WHEN_INTERRUPTED: Final = 3.0
"""Enough for what is under way, a busy receiver's Retry-After included."""

_REFRESH: Final = 0.1

MOST_UNDER_WAY: Final = 1000
"""Messages pushed and not yet READ; keeps memory, and what an early end leaves behind, bounded."""

_SEED: Final = 28
"""With it stickers, transfers and encrypted messages come among the first twenty."""


async def run_demo(
    *,
    messages: int = MESSAGES,
    rate: float = RATE,
    refuses: Refuses | None = None,
    patience: float = PATIENCE,
    out: TextIO | None = None,
) -> int:
    """Run the demo; answers with the exit code, which `relay.demo.board.exit_code` explains.

    `rate` is in messages a second, 0 for as fast as they go through; `refuses` says when the
    receiver is busy; `patience` is in seconds. The first SIGINT or SIGTERM stops the pushing and
    lets what is under way arrive, a second one raises CancelledError. Raises OSError,
    `JournalRefused` or `JournalUnavailable` if there is no place for the journal, and
    BrokenPipeError when nobody reads `out` any more, which is standard output by default.
    """
    view = choose_view(out or sys.stdout)
    async with AsyncExitStack() as closing:
        closing.enter_context(view)
        refuses = refuses or now_and_then(messages)
        stage = await set_stage(closing, refuses=refuses, on_change=view.hear)
        run = Run(stage, view, messages=messages, patience=patience)
        final = await run.play(rate)
    view.sum_up(final, metrics=stage.metrics_url)
    return exit_code(final, interrupted_by=run.interrupted_by)


# --- Everybody who takes part --------------------------------------------------------------------


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
    simulator.journal.allow_read = receiver.has_taken
    settings = _settings(simulator, receiver, secret, Path(folder))
    started = asyncio.Event()

    def follow(event: Event) -> None:
        board.follow(event)
        if isinstance(event, RelayStarted):
            started.set()

    return Stage(simulator, receiver, board, _relay(settings, follow), started)


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


def _relay(settings: Settings, follow: Telemetry) -> Service:
    log = configure_logging(settings.log_level)
    bots = [bot.name for bot in settings.bots]
    metrics = Metrics(version=__version__, bots=bots, endpoints=endpoints_of(settings.bots))
    return Service(settings, Voice(metrics, log), metrics, follow=[follow])


# --- The course of it ----------------------------------------------------------------------------


class Run:
    """The course of one demo."""

    def __init__(self, stage: Stage, view: View, *, messages: int, patience: float) -> None:
        self._stage = stage
        self._view = view
        self._messages = messages
        self._patience = patience
        self._people: asyncio.Task[None] | None = None
        self.interrupted_by: int | None = None

    async def play(self, rate: float) -> Score:
        """Play from the relay's start to its clean stop."""
        with interruptible(self._interrupt):
            try:
                written = await self._play(rate)
            except ExceptionGroup as several:  # what went wrong first has ended the others
                raise several.exceptions[0] from None
        final = self._score(written=written)
        self._view.refresh(final)
        return final

    async def _play(self, rate: float) -> bool:
        """Answer whether the relay has written everything down."""
        relay, board = self._stage.relay, self._stage.board
        async with asyncio.TaskGroup() as group:
            running = group.create_task(relay.run(), name="relay")
            drawing = group.create_task(self._draw(), name="view")
            self._people = group.create_task(self._write(rate), name="people")
            self._people.add_done_callback(lambda _: board.wake())
            await self._all_read(self._people)
            self._people.cancel()
            relay.stop("the demo is over")
            written = await running
            drawing.cancel()
        return written

    async def _write(self, rate: float) -> None:
        """Let people write to the bot, once the relay has started."""
        stage = self._stage
        await stage.started.wait()
        self._announce(rate)
        await push_traffic(stage.simulator, stage.board, messages=self._messages, rate=rate)

    async def _all_read(self, people: asyncio.Task[None]) -> None:
        """Wait until nobody writes and all is READ, or patience ends."""
        board = self._stage.board
        while board.under_way or not people.done():
            try:
                async with asyncio.timeout(self._patience):
                    await board.moved()
            except TimeoutError:
                if board.under_way:
                    self._view.say(f"given up: nothing has moved for {self._patience:g} s")
                    return

    async def _draw(self) -> None:
        while True:
            self._view.refresh(self._score())
            await asyncio.sleep(_REFRESH)

    def _announce(self, rate: float) -> None:
        speed = f"{rate:g} a second" if rate else "as fast as they go through"
        self._view.say(f"{self._messages} messages, {speed}")
        self._view.say(f"  Blaze    {self._stage.simulator.blaze_url} (the simulator)")
        self._view.say(f"  webhook  {self._stage.receiver.url} (verifies every signature)")
        self._view.say(f"  metrics  {self._stage.metrics_url}")

    def _interrupt(self, number: int) -> None:
        """Stop the pushing, and wait no longer than for what is under way."""
        self.interrupted_by = number
        self._patience = min(self._patience, _PATIENCE_WHEN_INTERRUPTED)
        if self._people is not None:
            self._people.cancel()
        waiting = len(self._stage.board.under_way)
        self._view.say(f"stopping: {waiting} under way; once more ends it at once")

    def _score(self, *, written: bool = True) -> Score:
        board, receiver = self._stage.board, self._stage.receiver
        return Score(
            asked=self._messages,
            pushed=board.pushed,
            delivered=len(receiver.taken),
            read=board.read,
            attempts=board.attempts,
            retries=board.retries,
            refused=receiver.refused,
            duplicates=receiver.duplicates,
            verified=receiver.verified,
            forged=receiver.forged,
            duration=board.moved_at - board.started_at,
            missing=tuple(board.under_way.values()),
            violations=tuple(self._stage.simulator.journal.violations),
            written=written,
        )


async def push_traffic(simulator: Simulator, board: Board, *, messages: int, rate: float) -> None:
    """Push so many messages, `rate` of them a second; 0 means as fast as they go through."""
    traffic, loop = Traffic(simulator, seed=_SEED), asyncio.get_running_loop()
    started = loop.time()
    for number in range(messages):
        due = started + number / rate if rate else 0.0
        await asyncio.sleep(max(0.0, due - loop.time()))
        while len(board.under_way) >= MOST_UNDER_WAY:
            await board.moved()
        board.push(*traffic.push())


@contextmanager
def interruptible(on_first: Callable[[int], None]) -> Iterator[None]:
    """Tell the first SIGINT or SIGTERM, by its number; the second cancels the current task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    heard: list[signal.Signals] = []

    def received(number: signal.Signals) -> None:
        heard.append(number)
        if len(heard) == 1:
            on_first(number)
        elif task is not None:
            task.cancel()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
