"""Group commit: whatever arrives while one commit runs is the next one."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from relay.delivery.retry import backoff
from relay.model.ports import JournalUnavailable
from relay.telemetry.events import JournalCommitted, JournalFailed, JournalRecovered, Telemetry

MAX_GROUP = 500
"""Larger groups save little more and hold up the ones behind them."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Commits items in groups, in order, and repeats a group until the journal takes it."""

    def __init__(
        self,
        commit: Callable[[list[T]], Awaitable[None]],
        telemetry: Telemetry,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._commit = commit
        self._telemetry = telemetry
        self._jitter = jitter
        self._waiting: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self.accepted = True

    def put(self, item: T) -> None:
        """Add an item to the next group. Never waits."""
        self._waiting.append(item)
        self._idle.clear()
        self._arrived.set()

    async def idle(self) -> None:
        """Wait until everything put so far is committed."""
        await self._idle.wait()

    def close(self) -> None:
        """Let `run` return once everything is committed."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Commit group after group until closed."""
        while await self._next():
            size = min(len(self._waiting), MAX_GROUP)
            await self._commit_for_sure([self._waiting.popleft() for _ in range(size)])
            if not self._waiting:
                self._idle.set()

    async def _next(self) -> bool:
        while not self._waiting and not self._closing:
            self._arrived.clear()
            await self._arrived.wait()
        return bool(self._waiting)

    async def _commit_for_sure(self, group: list[T]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            try:
                await self._commit(group)
            except JournalUnavailable as error:
                failures += 1
                self.accepted = False
                wait = backoff(
                    failures, first=_FIRST_WAIT, longest=_LONGEST_WAIT, jitter=self._jitter()
                )
                self._telemetry(JournalFailed(str(error), wait))
                await asyncio.sleep(wait)
            else:
                break
        self._telemetry(JournalCommitted(loop.time() - started, len(group)))
        if not self.accepted:
            self.accepted = True
            self._telemetry(JournalRecovered())
