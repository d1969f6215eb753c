"""An event loop whose time leaps to the next timer instead of passing: hours in milliseconds."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

EPOCH = 1_700_000_000.0
"""The wall time, in Unix seconds, at which every virtual loop begins."""

T = TypeVar("T")


class NothingWillHappen(Exception):  # noqa: N818 - a state of the loop, and the test's failure
    """Everybody waits, and no timer is set: the test would hang for ever."""


class _LeapingSelector(selectors.SelectSelector):
    """Lets time leap over every wait; there are no sockets and no threads to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingWillHappen
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs timers in their order, and at once."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Tell the virtual time; it begins at 0."""
        return self._leaping.now


def wall_clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Make the clock on a virtual loop's wall."""
    return lambda: EPOCH + loop.time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine in a virtual time of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
