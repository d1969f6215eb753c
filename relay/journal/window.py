"""How much of what is due is read at once: whole lanes' fronts, up to a count and a size."""

from collections.abc import Sequence
from typing import Generic, TypeVar

LANE_DEPTH = 32
"""So many deliveries of one lane are read at once; more would keep other lanes out."""

T = TypeVar("T")


class Window(Generic[T]):
    """Collects the fronts of lanes within the bounds; the very first delivery always fits."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.taken: list[T] = []
        self.lanes: set[str] = set()
        self.whole: set[str] = set()
        self._limit = limit
        self._room = max_bytes

    def add(self, lane: str, front: Sequence[tuple[T, int]], *, complete: bool) -> None:
        """Add what fits of a lane's front, items with their sizes; `complete` if it is all."""
        taken = 0
        for item, size in front[:LANE_DEPTH]:
            if self.taken and (self._limit <= 0 or size > self._room):
                break
            self.taken.append(item)
            self._limit -= 1
            self._room -= size
            taken += 1
        if taken:
            self.lanes.add(lane)
            if complete and taken == len(front):
                self.whole.add(lane)
