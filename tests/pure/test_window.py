"""What one read of the journal takes: whole lanes' fronts, within the bounds."""

from hypothesis import given
from hypothesis import strategies as st

from relay.journal.window import LANE_DEPTH, Window

LANES = st.lists(
    st.tuples(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.booleans()), max_size=8
)


def fill(
    lanes: list[tuple[list[int], bool]], *, limit: int, max_bytes: int
) -> Window[tuple[int, int]]:
    """Add lanes of such sizes; an item is its lane and its place there."""
    window: Window[tuple[int, int]] = Window(limit, max_bytes)
    for lane, (sizes, complete) in enumerate(lanes):
        front = [((lane, place), size) for place, size in enumerate(sizes)]
        window.add(str(lane), front, complete=complete)
    return window


def test_everything_fits_where_there_is_room() -> None:
    """Lanes are taken one after the other, each in its order."""
    window = fill([([1, 1], True), ([1], True)], limit=10, max_bytes=10)
    assert [(0, 0), (0, 1), (1, 0)] == window.taken
    assert {"0", "1"} == window.lanes == window.whole


def test_the_very_first_always_fits() -> None:
    """One delivery larger than all room goes alone, so that nothing is stuck."""
    window = fill([([100, 1], True), ([1], True)], limit=10, max_bytes=10)
    assert ([(0, 0)], {"0"}, set()) == (window.taken, window.lanes, window.whole)


def test_a_lane_that_is_cut_is_not_whole() -> None:
    """What does not fit is said, so that it is asked for again."""
    window = fill([([1, 1, 1], True)], limit=2, max_bytes=10)
    assert ([(0, 0), (0, 1)], {"0"}, set()) == (window.taken, window.lanes, window.whole)


def test_a_lane_of_which_more_is_in_the_journal_is_not_whole() -> None:
    """Even if all that was read of it has been taken."""
    assert set() == fill([([1], False)], limit=2, max_bytes=10).whole


def test_a_long_lane_leaves_room_for_others() -> None:
    """Only a front of each lane is taken."""
    window = fill([([1] * (LANE_DEPTH + 1), True), ([1], True)], limit=100, max_bytes=1000)
    assert (LANE_DEPTH + 1, (1, 0), {"1"}) == (
        len(window.taken),
        window.taken[-1],
        window.whole,
    )


@given(LANES, st.integers(1, 60), st.integers(0, 300))
def test_the_bounds_hold(lanes: list[tuple[list[int], bool]], limit: int, max_bytes: int) -> None:
    """Beyond the first, no more than so many come, and no more than so many bytes."""
    window = fill(lanes, limit=limit, max_bytes=max_bytes)
    sizes = [lanes[lane][0][place] for lane, place in window.taken]
    assert len(sizes) <= limit
    assert sum(sizes) <= max_bytes or len(sizes) == 1


@given(LANES, st.integers(1, 60), st.integers(0, 300))
def test_no_lane_has_gaps(lanes: list[tuple[list[int], bool]], limit: int, max_bytes: int) -> None:
    """What is taken of a lane is its beginning, and a whole lane is all of it."""
    window = fill(lanes, limit=limit, max_bytes=max_bytes)
    for number, (sizes, complete) in enumerate(lanes):
        places = [place for lane, place in window.taken if lane == number]
        assert list(range(len(places))) == places
        assert (str(number) in window.lanes) is bool(places)
        assert (str(number) in window.whole) is (complete and len(places) == len(sizes))
