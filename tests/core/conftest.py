"""Every test of the core runs in virtual time."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.core.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give each test a loop of which the time leaps."""
    return {"virtual": VirtualLoop}
