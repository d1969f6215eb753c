"""One run: everybody starts, people write, and once all is READ or nothing moves it ends."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Final, TextIO

from relay.demo.receiver import Refuses, now_and_then
from relay.demo.score import Score, exit_code, score
from relay.demo.signals import interruptible
from relay.demo.stage import Stage, set_stage
from relay.demo.traffic import push_traffic
from relay.demo.view import View, choose_view

MESSAGES: Final = 60
RATE: Final = 10.0

PATIENCE: Final = 30.0
"""Seconds without any progress after which the demo gives up."""

_PATIENCE_WHEN_INTERRUPTED: Final = 3.0
"""Enough for what is under way, a busy receiver's Retry-After included."""

_REFRESH: Final = 0.1


async def run_demo(
    *,
    messages: int = MESSAGES,
    rate: float = RATE,
    refuses: Refuses | None = None,
    patience: float = PATIENCE,
    out: TextIO | None = None,
) -> int:
    """Run the demo; answers with the exit code, which `relay.demo.score.exit_code` explains.

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
        stage = self._stage
        violations = stage.simulator.journal.violations
        return score(stage.board, stage.receiver, violations, asked=self._messages, written=written)
