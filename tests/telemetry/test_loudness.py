"""How much is said aloud."""

from hypothesis import given
from hypothesis import strategies as st

from relay.telemetry.logs import BURST, PERIOD, Allowance


def test_a_burst_is_granted_and_no_more() -> None:
    """So many lines at once, then silence."""
    allowance = Allowance(lambda: 0.0)

    assert [True] * BURST + [False] * 3 == [allowance.spend() for _ in range(BURST + 3)]


def test_the_allowance_comes_back() -> None:
    """After a tenth of the period one of ten lines is granted again."""
    now = 0.0
    allowance = Allowance(lambda: now)
    for _ in range(BURST):
        allowance.spend()

    now = PERIOD / BURST

    assert [True, False] == [allowance.spend(), allowance.spend()]


@given(st.lists(st.floats(0, 10), max_size=200))
def test_no_more_than_burst_and_rate_are_ever_granted(steps: list[float]) -> None:
    """Over any time the lines are bounded by the burst and what came back since."""
    now = 0.0
    allowance = Allowance(lambda: now)
    granted = 0

    for step in steps:
        now += step
        granted += allowance.spend()

    assert granted <= BURST + now * BURST / PERIOD + 1e-6
