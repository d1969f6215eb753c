"""What goes wrong in a soak follows from its seed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.plan import AWAY, DECK, KILL, is_calm, plan

HOUR = 3600.0


def test_the_same_seed_gives_the_same_faults() -> None:
    """A soak can be repeated."""
    assert plan(7, HOUR) == plan(7, HOUR)
    assert plan(7, HOUR) != plan(8, HOUR)


@given(st.integers(0, 10_000), st.sampled_from([72.0, 108.0, 360.0, 1800.0, HOUR, 5 * HOUR]))
def test_one_thing_goes_wrong_at_a_time(seed: int, seconds: float) -> None:
    """Each fault begins when the one before is over and settled, and all settle before the end."""
    faults = plan(seed, seconds)
    assert all(one.calm_again <= other.at for one, other in pairwise(faults))
    assert faults[-1].calm_again <= seconds


@pytest.mark.parametrize("seed", range(20))
def test_an_hour_has_everything(seed: int) -> None:
    """In an hour every fault comes, with outages in both halves, and a life of 30 minutes."""
    faults = plan(seed, HOUR)
    assert {name for _, name in DECK} | {AWAY, KILL} == {fault.name for fault in faults}
    aways = [fault.at for fault in faults if fault.name == AWAY]
    assert min(aways) < HOUR / 2 < max(aways)
    kills = [fault.at for fault in faults if fault.name == KILL]
    assert 3 == len(kills)
    assert HOUR - max(kills) >= HOUR / 2


@pytest.mark.parametrize("seconds", [108.0, 360.0])
def test_a_short_soak_has_an_outage_and_a_kill(seconds: float) -> None:
    """Whoever tries it for minutes sees the worst of it."""
    assert {AWAY, KILL} <= {fault.name for fault in plan(1, seconds)}


def test_calm_is_what_no_fault_touches() -> None:
    """A time is calm that ends before a fault, or begins after it is settled."""
    fault = plan(1, HOUR)[0]
    assert is_calm([fault], fault.at - 5, fault.at)
    assert not is_calm([fault], fault.at - 4, fault.at + 1)
    assert not is_calm([fault], fault.end, fault.calm_again)
    assert is_calm([fault], fault.calm_again, fault.calm_again + 5)
