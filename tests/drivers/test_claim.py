"""The claim on a session: a second relay on one machine is told of, and nothing else happens."""

import asyncio
from uuid import uuid4

import pytest

from relay.blaze.session_claim import Claim
from relay.telemetry.events import Event, SessionShared


class Ears:
    """Remembers events, and lets a test wait for them."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Event] = asyncio.Queue()

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        self.heard.put_nowait(event)


@pytest.fixture
def session() -> str:
    """Make up a session."""
    return str(uuid4())


async def test_one_relay_hears_nothing(session: str) -> None:
    """Alone with its session, and beside a relay of another one."""
    ears = Ears()
    one, other = Claim("one", session, ears), Claim("other", str(uuid4()), ears)
    await one.run()
    await other.run()
    assert ears.heard.empty()
    one.release()
    other.release()


async def test_a_second_one_is_told_and_takes_over(session: str) -> None:
    """It says so once, waits for the first to go, and then holds the claim itself."""
    ears = Ears()
    first, second = Claim("bot", session, ears), Claim("bot", session, ears, every=0.001)
    await first.run()
    waiting = asyncio.create_task(second.run())
    assert SessionShared("bot", shared=True) == await ears.heard.get()
    first.release()
    assert SessionShared("bot", shared=False) == await ears.heard.get()
    await waiting
    third = Claim("bot", session, ears)
    waiting = asyncio.create_task(third.run())
    assert SessionShared("bot", shared=True) == await ears.heard.get()
    waiting.cancel()
    second.release()
