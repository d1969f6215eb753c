"""Fixtures of the drivers' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.drivers.sender_adapters import AnySender, MakeSender, sender_factory


@pytest.fixture
async def make_sender() -> AsyncIterator[MakeSender]:
    """Make senders under conditions."""
    async with sender_factory() as make:
        yield make


@pytest.fixture
async def sender(make_sender: MakeSender) -> AnySender:
    """Make a sender like any other."""
    return make_sender()
