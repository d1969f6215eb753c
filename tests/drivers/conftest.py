"""Fixtures of the drivers' tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from relay.process import new_loop
from tests.drivers.sender_adapters import AnySender, MakeSender, sender_factory


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Have these tests run on the loop that the process runs on, and the sender's on asyncio's."""
    if "test_sender_contract" in item.nodeid:
        return {"process": new_loop, "asyncio": asyncio.new_event_loop}
    return {"process": new_loop}


@pytest.fixture
async def make_sender() -> AsyncIterator[MakeSender]:
    """Make senders under conditions."""
    async with sender_factory() as make:
        yield make


@pytest.fixture
async def sender(make_sender: MakeSender) -> AnySender:
    """Make a sender like any other."""
    return make_sender()
