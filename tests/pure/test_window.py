"""What one read of the journal takes: whole lanes' fronts, within the bounds."""

from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.lanes import LANE_DEPTH
from relay.journal.window import Window, fit

LANES = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=40), max_size=8)


def read(lanes: list[list[int]], *, limit: int, max_bytes: int) -> Window[tuple[int, int]]:
    """Fit lanes of such sizes as a journal reads them; an item is its lane and its place there."""
    rows = [
        (str(lane), (lane, place), size)
        for lane, sizes in enumerate(lanes)
        for place, size in enumerate(sizes[: LANE_DEPTH + 1])
    ]
    return fit(rows[: limit + 1], limit, max_bytes)


def test_everything_fits_where_there_is_room() -> None:
    """Lanes are taken one after the other, each in its order."""
    window = read([[1, 1], [1]], limit=10, max_bytes=10)
    assert [(0, 0), (0, 1), (1, 0)] == window.taken
    assert {"0", "1"} == window.lanes == window.whole


def test_nothing_is_nothing() -> None:
    """An empty journal gives an empty window."""
    assert Window() == read([], limit=10, max_bytes=10)


def test_the_very_first_always_fits() -> None:
    """One delivery larger than all room goes alone, so that nothing is stuck."""
    window = read([[100, 1], [1]], limit=10, max_bytes=10)
    assert ([(0, 0)], {"0"}, set()) == (window.taken, window.lanes, window.whole)


def test_a_lane_that_is_cut_by_the_count_is_not_whole() -> None:
    """What does not fit is said, so that it is asked for again."""
    window = read([[1], [1, 1]], limit=2, max_bytes=10)
    assert ([(0, 0), (1, 0)], {"0", "1"}, {"0"}) == (window.taken, window.lanes, window.whole)


def test_a_lane_that_ends_with_the_count_is_whole() -> None:
    """The row beyond the limit shows that the cut is between two lanes."""
    window = read([[1, 1], [1]], limit=2, max_bytes=10)
    assert ([(0, 0), (0, 1)], {"0"}, {"0"}) == (window.taken, window.lanes, window.whole)


def test_a_lane_that_is_cut_by_its_size_is_not_whole() -> None:
    """Nothing of a lane goes before one of it that does not fit."""
    window = read([[5, 50, 1], [2]], limit=10, max_bytes=10)
    assert ([(0, 0), (1, 0)], {"1"}) == (window.taken, window.whole)


def test_a_long_lane_leaves_room_for_others() -> None:
    """Only a front of each lane is taken, and it is not whole if there is more."""
    window = read([[1] * (LANE_DEPTH + 1), [1] * LANE_DEPTH], limit=100, max_bytes=1000)
    assert (2 * LANE_DEPTH, {"1"}) == (len(window.taken), window.whole)


@given(LANES, st.integers(1, 60), st.integers(0, 300))
def test_the_bounds_hold(lanes: list[list[int]], limit: int, max_bytes: int) -> None:
    """Beyond the first, no more than so many come, and no more than so many bytes."""
    window = read(lanes, limit=limit, max_bytes=max_bytes)
    sizes = [lanes[lane][place] for lane, place in window.taken]
    assert len(sizes) <= limit
    assert sum(sizes) <= max_bytes or sum(sizes[1:]) == 0


@given(LANES, st.integers(1, 60), st.integers(0, 300))
def test_no_lane_has_gaps(lanes: list[list[int]], limit: int, max_bytes: int) -> None:
    """What is taken of a lane is its beginning, and a lane is whole if it is all of it."""
    window = read(lanes, limit=limit, max_bytes=max_bytes)
    for number, sizes in enumerate(lanes):
        places = [place for lane, place in window.taken if lane == number]
        assert list(range(len(places))) == places
        assert (str(number) in window.lanes) is bool(places)
        assert (str(number) in window.whole) is (len(places) == len(sizes))


@given(LANES.filter(bool), st.integers(1, 60), st.integers(0, 300))
def test_something_always_comes(lanes: list[list[int]], limit: int, max_bytes: int) -> None:
    """A read that finds something due never comes back empty, or nothing would go on."""
    assert read(lanes, limit=limit, max_bytes=max_bytes).taken
