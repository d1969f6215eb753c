"""The beat of the event loop."""

import asyncio

import pytest

from relay.process import BEAT, LoopWatch
from relay.telemetry.events import Event, LoopLagged


class Late:
    """A clock, and a sleep that ends so much later than asked; the last one never ends."""

    def __init__(self, *late: float) -> None:
        self.now = 100.0
        self._late = list(late)

    async def sleep(self, seconds: float) -> None:
        if not self._late:
            raise asyncio.CancelledError
        self.now += seconds + self._late.pop(0)


async def watched(*late: float) -> tuple[list[Event], LoopWatch, Late]:
    events: list[Event] = []
    clock = Late(*late)
    watch = LoopWatch(events.append, clock=lambda: clock.now, sleep=clock.sleep)
    with pytest.raises(asyncio.CancelledError):
        await watch.run()
    return events, watch, clock


async def test_lag_is_what_a_sleep_took_too_long() -> None:
    """Each beat tells how much later than asked the sleeper woke."""
    events, _, _ = await watched(0.0, 1.5, 0.25)

    assert [LoopLagged(0.0), LoopLagged(1.5), LoopLagged(0.25)] == events


async def test_waking_early_is_no_lag() -> None:
    """A clock's grain does not make negative lags."""
    events, _, _ = await watched(-0.001)

    assert [LoopLagged(0.0)] == events


async def test_the_age_of_the_beat_grows_while_the_loop_stands() -> None:
    """Whoever asks learns how long ago the last beat was."""
    _, watch, clock = await watched(0.0)
    assert 0.0 == watch.age()

    clock.now += 42.0
    assert 42.0 == watch.age()


async def test_it_beats_on_a_real_loop() -> None:
    """With the real clock the first beat comes, and cancelling ends it."""
    beats: asyncio.Queue[Event] = asyncio.Queue()
    watch = asyncio.create_task(LoopWatch(beats.put_nowait).run())

    assert isinstance(await beats.get(), LoopLagged)

    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


def test_beats_are_frequent_enough_to_be_missed() -> None:
    """A beat is far shorter than the time after which its absence is alarming."""
    assert BEAT <= 1.0
