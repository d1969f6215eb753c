"""Names are looked up in few threads, and one that nobody answers for keeps no other waiting."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from relay.net.lookups import Lookups

PATIENCE = 30.0


class StuckNames:
    """A resolver that answers for `well.test`, and for no other name until it is released."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.somebody_asked = threading.Semaphore(0)
        self.released = threading.Event()
        self._really = socket.getaddrinfo

    def __call__(self, host: str, *arguments: Any, **options: Any) -> Any:
        """Look a name up as `socket.getaddrinfo` does."""
        self.asked[host] += 1
        if host == "well.test":
            return self._really("127.0.0.1", *arguments, **options)
        self.somebody_asked.release()
        self.released.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckNames]:
    """Give the process a resolver of ours."""
    stuck = StuckNames()
    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    yield stuck
    stuck.released.set()


async def test_a_name_that_hangs_takes_no_thread_from_another(names: StuckNames) -> None:
    """Dead names, be they more than threads, keep nobody waiting whose name answered before."""
    lookups = Lookups(threads=2, kept=0.0)
    well = await lookups("well.test", 80)
    dead = [asyncio.create_task(lookups(f"dead{number % 5}.test", 80)) for number in range(20)]
    await asyncio.to_thread(names.somebody_asked.acquire, timeout=PATIENCE)
    for attempt in dead[:10]:
        attempt.cancel()
    assert well == await lookups("well.test", 80)
    assert 2 >= sum(count for name, count in names.asked.items() if name != "well.test")
    names.released.set()
    got = await asyncio.gather(*dead, return_exceptions=True)
    assert {asyncio.CancelledError, socket.gaierror} == {type(each) for each in got}
    assert [1] * 5 == [names.asked[f"dead{number}.test"] for number in range(5)]


async def test_an_answer_is_used_again_for_a_while(names: StuckNames) -> None:
    """A receiver that closes after each answer costs no lookup each."""
    lookups = Lookups()
    assert await lookups("well.test", 80) == await lookups("well.test", 80)
    assert 1 == names.asked["well.test"]


async def test_an_address_is_no_name(names: StuckNames) -> None:
    """What is an address already takes no thread."""
    lookups = Lookups()
    found = [*await lookups("127.0.0.1", 80), *await lookups("::1", 80)]
    assert [("127.0.0.1", 80), ("::1", 80, 0, 0)] == [info[4] for info in found]
    assert not names.asked


async def test_a_name_that_is_none_is_not_found() -> None:
    """What can't even be asked for is told like any other name that is not there."""
    with pytest.raises(socket.gaierror):
        await Lookups()("x" * 64 + ".test", 80)
