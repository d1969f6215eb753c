"""How late the event loop is: a beat that also shows that it turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from relay.telemetry.events import LoopLagged, Telemetry

BEAT = 0.5
"""Seconds between beats: often enough to meet a short stall, too seldom to cost anything."""


class LoopWatch:
    """Measures how much later than asked the event loop wakes a sleeper.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep
        self._beat_at = clock()

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self._beat_at = self._clock()
            await self._sleep(BEAT)
            late = self._clock() - self._beat_at - BEAT
            self._telemetry(LoopLagged(max(0.0, late)))

    def age(self) -> float:
        """Seconds since the last beat; about `BEAT` at most while all is well."""
        return self._clock() - self._beat_at
