"""The clock that retries wait by: wall time that never goes back.

A wall clock that is set back by hours would hold every retry, probe and lane for as long. A leap
forward is followed: it is where the time was all along.
"""

import time
from collections.abc import Callable


class SteadyClock:
    """Unix seconds, never less than before; a `relay.model.ports.Clock`."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """Tell the time."""
        monotonic = self._monotonic()
        self._offset = max(self._offset, self._wall() - monotonic)
        return monotonic + self._offset
