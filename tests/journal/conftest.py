"""Every engine that must keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.desk import Desk
from relay.journal import OpenJournal, open_journal
from relay.ports import Journal
from tests.journal.samples import CRM, LOG, NOW


@pytest.fixture(params=["memory", "sqlite"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """Open a new journal of each engine in turn."""
    location = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/journal.db"}
    async with open_journal(location[request.param]) as journal:
        yield journal


@pytest.fixture
async def journal(opened: OpenJournal) -> Journal:
    """Start a run with two endpoints."""
    assert await opened.journal.start([CRM, LOG], NOW)
    return opened.journal


@pytest.fixture
def desk(opened: OpenJournal) -> Desk:
    """Give the operator's desk of the same journal."""
    return opened.desk
