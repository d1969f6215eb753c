"""The clock that retries wait by."""

from dataclasses import dataclass

from relay.process import SteadyClock


@dataclass
class Time:
    """A machine's two clocks."""

    wall: float = 1000.0
    monotonic: float = 5.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(wall=lambda: self.wall, monotonic=lambda: self.monotonic)


def test_it_is_wall_time() -> None:
    """While nobody sets the clock, it tells what the wall clock tells."""
    time = Time()
    clock = time.clock()
    time.passes(7.0)
    assert 1007.0 == clock()


def test_it_never_goes_back() -> None:
    """A clock that is set back by hours holds nothing up: seconds go on passing."""
    time = Time()
    clock = time.clock()
    time.wall -= 3 * 3600.0
    time.passes(2.0)
    assert 1002.0 == clock()


def test_it_follows_a_leap_forward() -> None:
    """A clock that was wrong at the start is right once it is set."""
    time = Time()
    clock = time.clock()
    time.wall += 3600.0
    assert 4600.0 == clock()
    time.wall -= 60.0
    assert 4600.0 == clock()
