"""A SQL journal on the caller's thread: for worlds with a clock of their own, and for speed."""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Keyring
from relay.journal.migrations import upgrade
from relay.journal.open import OpenJournal, journal_on
from relay.journal.sqlite.engine import Database, MemoryDatabase, Worker

T = TypeVar("T")


class InlineWorker(Worker):
    """Works at once, on the caller's thread."""

    async def call(self, work: Callable[[], T]) -> T:
        return work()

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        work()
        return Future()

    async def close(self) -> None:
        self.dispose()


class InlineDatabase(Database):
    """A database in a file that runs each transaction at once."""

    worker = InlineWorker

    def dispose(self) -> None:
        """Close the connections; no thread was ever started."""
        for worker in (self._reader, self._browser, self._carrier, self._writer):
            worker.dispose()


class InlineMemory(MemoryDatabase):
    """A database in memory that runs each transaction at once."""

    worker = InlineWorker

    def dispose(self) -> None:
        """Forget everything."""
        self._writer.dispose()


def open_in_memory() -> tuple[InlineMemory, OpenJournal]:
    """Open a new journal in memory, each call of which is done before it is awaited."""
    database = InlineMemory()
    at_once(database.write(upgrade))
    return database, journal_on(database, ColumnCipher())


def open_inline(path: Path, keys: Keyring | None = None) -> tuple[InlineDatabase, OpenJournal]:
    """Open a journal that exists."""
    database = InlineDatabase(path)
    return database, journal_on(database, ColumnCipher(keys))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise AssertionError(work)
