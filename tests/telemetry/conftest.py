"""A voice whose every word is kept."""

import logging
from collections.abc import Iterator

import pytest

from relay.telemetry.logs import Route
from tests.telemetry.listening import Listening


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Undo what `configure_logging` does to the process."""
    root = logging.getLogger()
    level = root.level
    yield
    for route in [handler for handler in root.handlers if isinstance(handler, Route)]:
        root.removeHandler(route)
    root.setLevel(level)
    for name in ("aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
