"""What follows a 401: ask Mixin again by another way, and then leave it alone for minutes.

The socket and the receipts run into the same refusal, so they share one answer to it.
"""

import asyncio
import random
from collections.abc import Callable

from relay.blaze.api import UNAUTHORIZED, Answered, MixinApi, Refused, Unanswered
from relay.delivery.retry import backoff, ceiling
from relay.telemetry.events import CredentialsRefused, Telemetry

# A revoked session does not come back within seconds, a corrected clock within minutes.
SLOW_FIRST = 60.0
SLOW_LONGEST = 600.0

# After a failure that time may heal.
FIRST = 1.0
LONGEST = 60.0


class Credentials:
    """One bot's standing with Mixin."""

    def __init__(
        self,
        bot: str,
        api: MixinApi,
        tell: Telemetry,
        *,
        jitter: Callable[[], float] = random.random,
        first: float = SLOW_FIRST,
        longest: float = SLOW_LONGEST,
    ) -> None:
        self._bot = bot
        self._api = api
        self._tell = tell
        self._jitter = jitter
        self._first = first
        self._longest = longest
        self._refusals = 0
        self._quiet_until = 0.0
        self._asking = asyncio.Lock()

    def accepted(self) -> None:
        """Note that Mixin took a token for real."""
        self._refusals = 0
        self._quiet_until = 0.0

    async def refused(self) -> float:
        """Look into a 401, tell of it, and say how many seconds to leave Mixin alone.

        Whoever asks while another waits is given the rest of the same wait.
        """
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() < self._quiet_until:
                return self._quiet_until - loop.time()
            wait = await self._look()
            self._quiet_until = loop.time() + wait
            return wait

    async def _look(self) -> float:
        answer = await self._api.me()
        self._refusals += 1
        wait = self._ordinary_wait() if isinstance(answer, Answered) else self._slow_wait()
        self._tell(
            CredentialsRefused(
                self._bot,
                confirmed=isinstance(answer, Refused) and answer.code == UNAUTHORIZED,
                clock_skew=None if isinstance(answer, Unanswered) else answer.clock_skew,
                retry_in=wait,
            )
        )
        return wait

    def _ordinary_wait(self) -> float:
        """Wait as after any failure: GET /me finds nothing wrong."""
        return backoff(self._refusals, first=FIRST, longest=LONGEST, jitter=self._jitter())

    def _slow_wait(self) -> float:
        slow = ceiling(self._refusals, first=self._first, longest=self._longest)
        return slow * (0.75 + self._jitter() / 2)
