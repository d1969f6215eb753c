"""Fixtures of the drivers' tests."""

from collections.abc import AsyncIterator

import pytest

from relay.webhook.exchange import Sender
from tests.drivers.sender_adapters import ADAPTERS, MakeSender, sender_factory


@pytest.fixture(params=ADAPTERS)
async def make_sender(request: pytest.FixtureRequest) -> AsyncIterator[MakeSender]:
    """Make senders of each adapter in turn."""
    async with sender_factory(request.param) as make:
        yield make


@pytest.fixture
async def sender(make_sender: MakeSender) -> Sender:
    """Make a sender like any other."""
    return make_sender()
