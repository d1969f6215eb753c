"""A name that nobody answers for is looked up in a thread, and takes none from other endpoints."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relay.process import lookup_threads
from relay.webhook.exchange import Answer, Failure, Sent
from relay.webhook.sender import AiohttpSender
from tests.drivers.scripted_server import ScriptedServer, answer, answering
from tests.drivers.sender_adapters import Conditions, outcome, post

ENDPOINTS = 5
CONNECTIONS = 16
PATIENCE = 30.0


class StuckNames:
    """A resolver that answers for addresses, and for no name until it is released."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.somebody_asked = threading.Semaphore(0)
        self.released = threading.Event()
        self._really = socket.getaddrinfo

    def __call__(self, host: str, *arguments: Any, **options: Any) -> Any:
        """Look a name up as `socket.getaddrinfo` does."""
        if host == "well.test":
            return self._really("127.0.0.1", *arguments, **options)
        self.asked[host] += 1
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


@pytest.fixture
async def threads() -> AsyncIterator[None]:
    """Give the loop as many threads as a relay with so many endpoints."""
    pool = ThreadPoolExecutor(lookup_threads(ENDPOINTS))
    asyncio.get_running_loop().set_default_executor(pool)
    yield
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.usefixtures("threads")
async def test_a_name_that_hangs_takes_no_thread_from_another(names: StuckNames) -> None:
    """Each dead name has one thread, however many requests wait for it and however often."""
    async with AsyncExitStack() as closing:
        hanging = [
            attempt
            for number in range(ENDPOINTS - 1)
            for attempt in await _hanging(_sender(closing), f"dead{number}.test", names)
        ]
        server = await closing.enter_async_context(ScriptedServer(answering(answer())))
        got = await _sender(closing).send(post(server.port, host="well.test"))
        assert (200, None, Sent.YES) == outcome(got)
        assert [1] * (ENDPOINTS - 1) == list(names.asked.values())
        names.released.set()
        assert {Failure.DNS} == {answer.failure for answer in await asyncio.gather(*hanging)}


async def _hanging(
    sender: AiohttpSender, host: str, names: StuckNames
) -> list["asyncio.Task[Answer]"]:
    """Have as many requests as there may be given up once, and under way anew."""
    given_up = _attempts(sender, host)
    await asyncio.to_thread(names.somebody_asked.acquire, timeout=PATIENCE)
    for attempt in given_up:
        attempt.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    return _attempts(sender, host)


def _attempts(sender: AiohttpSender, host: str) -> list["asyncio.Task[Answer]"]:
    return [asyncio.create_task(sender.send(post(9, host=host))) for _ in range(CONNECTIONS)]


def _sender(closing: AsyncExitStack) -> AiohttpSender:
    sender = AiohttpSender(Conditions().guard, connections=CONNECTIONS)
    closing.push_async_callback(sender.close)
    return sender
