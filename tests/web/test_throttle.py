"""What the throttle promises: who guesses is slowed down, and nobody else is."""

import pytest

from relay.web.auth import BURST, DELAY, MOST_PEERS, PERIOD, Throttle

PEER, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def test_a_few_mistakes_cost_nothing(throttle: Throttle) -> None:
    """Anybody mistypes."""
    assert [None] * BURST == [throttle.wrong(PEER) for _ in range(BURST)]


def test_who_goes_on_is_slowed_down(throttle: Throttle) -> None:
    """Each further token waits, and the answer says when to come again."""
    for _ in range(BURST):
        assert 0.0 == throttle.delay(PEER)
        throttle.wrong(PEER)
    assert DELAY == throttle.delay(PEER)
    assert PERIOD / BURST == throttle.wrong(PEER)


def test_nobody_else_is(throttle: Throttle) -> None:
    """An operator elsewhere notices nothing."""
    for _ in range(1000):
        throttle.wrong(PEER)
    assert (DELAY, 0.0) == (throttle.delay(PEER), throttle.delay(ELSEWHERE))


def test_it_passes(throttle: Throttle, clock: Clock) -> None:
    """A minute after the last one everything is as before; a clock set back frees nobody."""
    for _ in range(1000):
        throttle.wrong(PEER)
    clock.now -= 3600
    assert DELAY == throttle.delay(PEER)
    throttle.wrong(PEER)
    clock.now += PERIOD
    assert [None] * BURST == [throttle.wrong(PEER) for _ in range(BURST)]


def test_a_site_is_one_peer(throttle: Throttle) -> None:
    """Whoever has one IPv6 address has billions; an IPv4 one is itself, however it is written."""
    for last in range(BURST):
        throttle.wrong(f"2001:db8::{last:x}")
        throttle.wrong(f"::ffff:192.0.2.{last}")
    assert DELAY == throttle.delay("2001:db8::ffff%eth0")
    assert 0.0 == throttle.delay("2001:db8:0:1::1")
    assert 0.0 == throttle.delay("::ffff:192.0.2.1")


def test_memory_is_bounded(throttle: Throttle) -> None:
    """Who was wrong longest ago is forgotten first; a peer without an address is one as well."""
    for _ in range(BURST):
        throttle.wrong("")
    assert DELAY == throttle.delay("")
    for number in range(MOST_PEERS):
        throttle.wrong(f"10.0.{number // 256}.{number % 256}")
    assert 0.0 == throttle.delay("")
    assert MOST_PEERS == len(throttle._spent)
