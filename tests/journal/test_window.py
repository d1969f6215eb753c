"""A window takes the fronts of lanes in their order, and never more than it may."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from relay.journal.window import LANE_DEPTH, fit

Row = tuple[str, int, int]

lanes = st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=LANE_DEPTH + 8), max_size=6)
limits = st.integers(1, 3 * LANE_DEPTH)
sizes = st.integers(0, 3000)


def read(sizes_of_lanes: list[list[int]], limit: int) -> list[Row]:
    """Give each delivery a number, and read as many as an engine does."""
    fronts = [
        (f"lane {lane}", lane * 1000 + number, size)
        for lane, front in enumerate(sizes_of_lanes)
        for number, size in enumerate(front[: LANE_DEPTH + 1])
    ]
    return fronts[: limit + 1]


@given(lanes, limits, sizes)
def test_a_window_keeps_its_bounds(of_lanes: list[list[int]], limit: int, max_bytes: int) -> None:
    """Of count, of bytes beyond the first, and of each lane."""
    rows = read(of_lanes, limit)
    taken = fit(rows, limit, max_bytes).taken
    size_of = {item: size for _, item, size in rows}
    assert len(taken) <= limit
    assert len(taken) <= 1 or sum(size_of[item] for item in taken[1:]) <= max_bytes
    assert LANE_DEPTH >= max(
        (len(list(of)) for _, of in groupby(taken, lambda n: n // 1000)), default=0
    )


@given(lanes, limits, sizes)
def test_a_window_skips_nothing_within_a_lane(
    of_lanes: list[list[int]], limit: int, max_bytes: int
) -> None:
    """What is taken of a lane is its front, without a gap, and lanes keep their order."""
    taken = fit(read(of_lanes, limit), limit, max_bytes).taken
    assert sorted(taken) == taken
    for _, of_lane in groupby(taken, lambda item: item // 1000):
        numbers = [item % 1000 for item in of_lane]
        assert list(range(len(numbers))) == numbers


@given(lanes, limits, sizes)
def test_a_whole_lane_has_nothing_left(
    of_lanes: list[list[int]], limit: int, max_bytes: int
) -> None:
    """A lane is said to be whole exactly when all that there is of it was taken."""
    window = fit(read(of_lanes, limit), limit, max_bytes)
    counts = {f"lane {n // 1000}": 0 for n in window.taken}
    for item in window.taken:
        counts[f"lane {item // 1000}"] += 1
    assert window.lanes == counts.keys()
    assert window.whole == {
        f"lane {lane}"
        for lane, front in enumerate(of_lanes)
        if counts.get(f"lane {lane}") == len(front)
    }


@given(lanes, limits)
def test_a_window_is_never_empty_for_nothing(of_lanes: list[list[int]], limit: int) -> None:
    """The very first comes however large it is: nothing would ever come otherwise."""
    assert bool(of_lanes) == bool(fit(read(of_lanes, limit), limit, max_bytes=0).taken)
