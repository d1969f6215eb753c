"""The log is carried into the database beside whoever writes, who hardly waits for it."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from relay.journal.sqlite.checkpoints import EVERY, LONG, Checkpoints
from relay.journal.sqlite.engine import Database
from relay.journal.statements import Connection
from relay.model.ports import JournalUnavailable

SHORT_LOG = (0, LONG, LONG)
LONG_LOG = (0, LONG + 1, LONG - 7)


class FakeThread:
    """A thread that works when it is told to, and remembers what it executed."""

    def __init__(self, answer: tuple[int, ...] | Exception = SHORT_LOG) -> None:
        self.answer = answer
        self.executed = 0
        self._waiting: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Take work."""
        self._waiting.append(work)
        return Future()

    def execute(self, statement: str) -> tuple[int, ...]:
        """Remember a checkpoint, and answer as told."""
        assert statement == "PRAGMA wal_checkpoint(PASSIVE)"
        self.executed += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def work(self) -> None:
        """Do what waits."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each()


class Rig:
    """Checkpoints on two fake threads, by a clock that is set."""

    def __init__(self, answer: tuple[int, ...] | Exception = SHORT_LOG) -> None:
        self.now = 100.0
        self.carrier, self.writer = FakeThread(answer), FakeThread()
        self.checkpoints = Checkpoints(self.carrier, self.writer, clock=lambda: self.now)

    def write(self, *, after: float = EVERY) -> None:
        """Let somebody write, so much later."""
        self.now += after
        self.checkpoints.written()

    def work(self) -> tuple[int, int]:
        """Let both threads work; answers how many checkpoints each has done in all."""
        self.carrier.work()
        self.writer.work()
        return self.carrier.executed, self.writer.executed


def test_who_writes_little_carries_nothing() -> None:
    """A command that writes once leaves the log to others."""
    rig = Rig()
    rig.write(after=0.0)
    assert (0, 0) == rig.work()


def test_it_is_carried_from_time_to_time() -> None:
    """Once in so many seconds, however often somebody writes, and by the thread beside."""
    rig = Rig()
    for _ in range(10):
        rig.write(after=EVERY / 5)
        rig.work()
    assert (2, 0) == rig.work()


def test_one_at_a_time() -> None:
    """A slow disk gets no second one while it is busy with the first."""
    rig = Rig()
    for _ in range(5):
        rig.write()
    assert (1, 0) == rig.work()
    rig.write()
    assert (2, 0) == rig.work()


def test_a_long_log_is_finished_by_the_writer() -> None:
    """Twice beside, so that little is left; what is left in a pause between two writers."""
    rig = Rig(LONG_LOG)
    rig.write()
    assert (2, 1) == rig.work()
    rig.write()
    assert (4, 2) == rig.work()


@pytest.mark.parametrize(
    "error", [JournalUnavailable("full"), sqlite3.DatabaseError("malformed")], ids=["full", "bad"]
)
def test_trouble_passes(error: Exception) -> None:
    """What can't be carried now is carried later: the writer tells of trouble, if there is any."""
    rig = Rig(error)
    rig.write()
    assert (1, 0) == rig.work()
    rig.carrier.answer = SHORT_LOG
    rig.write()
    assert (2, 0) == rig.work()


def test_none_after_the_end() -> None:
    """Threads that are being closed get nothing more to do."""
    rig = Rig()
    rig.checkpoints.end()
    rig.write()
    assert (0, 0) == rig.work()


async def test_the_log_of_a_steady_writer_begins_anew(tmp_path: Path) -> None:
    """It stays a few pages longer than what makes it long, and everything written is there."""
    database = Database(tmp_path / "journal.db")
    await database.write(_create)
    clock = count(0.0, EVERY).__next__
    for _ in range(12):
        await database.write(_fill, LONG // 10)
        checkpoints = Checkpoints(database._carrier, database._writer, clock=clock)
        checkpoints.written()
        for workers in (database._carrier, database._writer):
            await workers.call(lambda: None)
    await database.write(_fill, 1)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as stranger:
        (_busy, pages, _carried) = stranger.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        (rows,) = stranger.execute("SELECT count(*) FROM filler").fetchone()
    await database.close()
    assert 0 < pages < LONG
    assert 12 * (LONG // 10) + 1 == rows


def _create(connection: Connection) -> None:
    connection.run("CREATE TABLE filler (page BLOB)")


def _fill(connection: Connection, pages: int) -> None:
    for _ in range(pages):
        connection.run("INSERT INTO filler VALUES (zeroblob(4000))")
