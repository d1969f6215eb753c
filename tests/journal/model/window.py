"""How much of what is due is read at once: whole lanes' fronts, up to a count and a size."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from relay.delivery.lanes import LANE_DEPTH

T = TypeVar("T")


@dataclass(slots=True)
class Window(Generic[T]):
    """What fits of the fronts of lanes; `whole` names the lanes of which nothing is left out."""

    taken: list[T] = field(default_factory=list)
    lanes: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)

    def ending_in(self, lane: str, taken: int) -> "Window[T]":
        """End with a lane of which so many fit."""
        if taken:
            self.lanes.add(lane)
        return self


def fit(rows: Sequence[tuple[str, T, int]], limit: int, max_bytes: int) -> Window[T]:
    """Take what fits of (lane, item, size), sorted by lane; the very first always fits.

    One row more than `limit` and than `LANE_DEPTH` of a lane, if there are any, show what is cut.
    """
    window: Window[T] = Window()
    cut = rows[-1][0] if len(rows) > limit else None
    for lane, group in groupby(rows[:limit], key=itemgetter(0)):
        front = list(group)
        taken = 0
        for _, item, size in front[:LANE_DEPTH]:
            if window.taken and size > max_bytes:
                return window.ending_in(lane, taken)
            window.taken.append(item)
            max_bytes -= size
            taken += 1
        window.lanes.add(lane)
        if taken == len(front) and lane != cut:
            window.whole.add(lane)
    return window
