"""A fault point: what happens there the next times, and otherwise."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Script(Generic[T]):
    """Hands out one behaviour each time; None is the server's good behaviour."""

    def __init__(self) -> None:
        self._next: deque[T | None] = deque()
        self._always: T | None = None

    def next(self, *behaviours: T | None, times: int = 1) -> None:
        """Queue behaviours for the next times; the whole sequence is repeated `times`."""
        self._next.extend(behaviours * times)

    def always(self, behaviour: T) -> None:
        """Behave so until switched off, whenever nothing is queued."""
        self._always = behaviour

    def off(self) -> None:
        """Behave well again, and forget what is queued."""
        self._next.clear()
        self._always = None

    def take(self) -> T | None:
        """Tell what happens this time."""
        return self._next.popleft() if self._next else self._always
