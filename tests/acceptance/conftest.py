"""Fixtures of the acceptance tests: a nursery for all of them, and a house for each."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.house import House
from tests.acceptance.nursery import Nursery, opened_nursery
from tests.support.simulator import Simulator


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Have the relay imported once."""
    with opened_nursery() as nursery:
        yield nursery


@pytest.fixture
async def house(nursery: Nursery, tmp_path: Path) -> AsyncIterator[House]:
    """Build a house, and judge what happened in it: whatever the test was about, this holds."""
    async with Simulator() as simulator, aiohttp.ClientSession() as http:
        house = House(simulator, nursery, tmp_path, http)
        try:
            yield house
        finally:
            await house.close()
            for process in house.processes:
                sys.stdout.write(process.story())
    assert [] == house.judge()
