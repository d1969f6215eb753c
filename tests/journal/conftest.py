"""Every engine that must keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.journal import OpenJournal, open_journal


@pytest.fixture(params=["memory", "sqlite"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """Open a new journal of each engine in turn."""
    location = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/journal.db"}
    async with open_journal(location[request.param]) as journal:
        yield journal
