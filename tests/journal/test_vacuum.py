"""What pruning frees goes back to the disk."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relay.journal.open import open_file_tools, open_journal
from relay.journal.sqlite.lock import JournalRefused
from relay.journal.sqlite.vacuum import KEPT_BYTES, STEP_BYTES
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    NOW,
    arrival,
    delivered,
    receive,
    settle,
    settle_receipts,
)

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Say where the journal is."""
    return tmp_path / "journal.db"


@pytest.fixture
async def without_map(path: Path) -> Path:
    """Make a file as earlier releases did."""
    async with open_journal(f"sqlite:///{path}"):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("PRAGMA auto_vacuum=NONE")
        database.execute("VACUUM")
    assert 0 == ask(path, "auto_vacuum")
    return path


def ask(path: Path, pragma: str) -> int:
    """Ask SQLite about the file."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute(f"PRAGMA {pragma}").fetchone()[0])


def ballast(path: Path, size: int) -> None:
    """Make the file larger, and leave the room free."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE ballast AS SELECT zeroblob({size}) AS words")
        database.execute("DROP TABLE ballast")


async def work_off(journal: Journal, count: int, size: int) -> None:
    """Take large messages in, deliver them, have them READ, and prune them."""
    for number in range(1, count + 1):
        (delivery,) = await receive(journal, arrival(number, CRM, frame=b"x" * size))
        await settle(journal, [delivered(delivery)], NOW)
        await settle_receipts(journal, "bot", confirmed=[number], refused=[], now=NOW)
    assert count == await journal.prune(LATER, limit=count)


async def test_the_file_shrinks_after_a_backlog(path: Path) -> None:
    """In short steps, down to some room that is kept for the next day."""
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM], NOW)
        await work_off(opened.journal, 40, MIB)
        steps = []
        while step := await opened.journal.shrink():
            steps.append(step)
        assert {STEP_BYTES} == {*steps[:-1]}
        assert steps[-1] <= STEP_BYTES
    assert 40 * MIB - KEPT_BYTES <= sum(steps)
    assert size(path) <= KEPT_BYTES + MIB
    assert "ok" == check(path)


async def test_a_small_file_keeps_its_room(path: Path) -> None:
    """It would only grow again tomorrow."""
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM], NOW)
        await work_off(opened.journal, 5, MIB)
        assert 0 == await opened.journal.shrink()


async def test_memory_has_no_disk() -> None:
    """The journal in memory has nothing to give back."""
    async with open_journal("memory:") as opened:
        assert 0 == await opened.journal.shrink()


async def test_a_small_file_of_an_earlier_release_learns_it(without_map: Path) -> None:
    """The next start writes it anew."""
    async with open_journal(f"sqlite:///{without_map}"):
        pass
    assert 2 == ask(without_map, "auto_vacuum")


async def test_a_large_file_waits_for_its_operator(without_map: Path) -> None:
    """A start never takes minutes for it; until it is compacted, nothing is given back."""
    ballast(without_map, 70 * MIB)
    async with open_journal(f"sqlite:///{without_map}") as opened:
        await opened.journal.start([CRM], NOW)
        assert 0 == await opened.journal.shrink()
        async with open_file_tools(f"sqlite:///{without_map}", keys=None) as tools:
            with pytest.raises(JournalRefused, match="another relay runs"):
                await tools.compact()
        await work_off(opened.journal, 1, MIB)
        assert 0 == await opened.journal.shrink()
    assert 0 == ask(without_map, "auto_vacuum")
    async with open_file_tools(f"sqlite:///{without_map}", keys=None) as tools:
        await tools.compact()
    assert 2 == ask(without_map, "auto_vacuum")
    assert size(without_map) < MIB


def size(path: Path) -> int:
    """Measure the file."""
    return path.stat().st_size


def check(path: Path) -> str:
    """Let SQLite look through the file."""
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])
