"""Every engine that must keep the contract."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.journal.migrations import upgrade
from relay.journal.open import OpenJournal, open_journal
from relay.journal.sqlite.engine import Database
from relay.model.admin import AdminStore
from relay.model.ports import Journal
from tests.journal.samples import CRM, KEYS, LOG, NOW


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a journal to copy: to make each anew would take longer than most tests."""
    path = tmp_path_factory.mktemp("journal") / "empty.db"
    database = Database(path)
    database._writer._transact(upgrade)
    database._writer.dispose()
    return path


@pytest.fixture(params=["memory", "sqlite", "sealed sqlite"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, empty: Path
) -> AsyncIterator[OpenJournal]:
    """Open a new journal of each engine in turn."""
    shutil.copy(empty, tmp_path / "journal.db")
    location = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/journal.db"
    keys = KEYS if request.param == "sealed sqlite" else None
    async with open_journal(location, keys=keys) as journal:
        yield journal


@pytest.fixture
async def journal(opened: OpenJournal) -> Journal:
    """Start a run with two endpoints."""
    assert await opened.journal.start([CRM, LOG], NOW)
    return opened.journal


@pytest.fixture
def desk(opened: OpenJournal) -> AdminStore:
    """Give the operator's desk of the same journal."""
    return opened.admin
