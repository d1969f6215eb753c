"""The SQL journal on the caller's thread: for many short calls, whose hops would take longest."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from relay.journal.encryption.columns import Bodies
from relay.journal.encryption.keys import Keyring
from relay.journal.engines.sqlite.engine import Database, MemoryDatabase
from relay.journal.history import SqlAdminStore
from relay.journal.journal import SqlJournal
from relay.journal.open import OpenJournal, journal_on
from relay.journal.versions import upgrade

P = ParamSpec("P")
T = TypeVar("T")


class InlineDatabase(Database):
    """Runs each transaction at once."""

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write on this thread."""
        return self._writer._transact(lambda connection: change(connection, *args, **kwargs))

    async def read(
        self, look: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read on this thread."""
        return self._readers._transact(lambda connection: look(connection, *args, **kwargs))

    async def browse(
        self, look: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read on this thread, as an operator."""
        return await self.read(look, *args, **kwargs)

    async def checkpoint(self) -> None:
        """Take the log in on this thread."""
        self._checkpoint()

    def dispose(self) -> None:
        """Close the connections; no thread was ever started."""
        self._writer._engine.dispose()
        self._readers._engine.dispose()


class InlineMemory(MemoryDatabase):
    """A database in memory that runs each transaction at once."""

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write on this thread."""
        return self._writer._transact(lambda connection: change(connection, *args, **kwargs))

    async def read(
        self, look: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read on this thread."""
        return await self.write(look, *args, **kwargs)

    async def browse(
        self, look: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read on this thread, as an operator."""
        return await self.write(look, *args, **kwargs)

    def dispose(self) -> None:
        """Forget everything."""
        self._writer._engine.dispose()


def open_in_memory() -> tuple[InlineMemory, OpenJournal]:
    """Open a new journal in memory, each call of which is done before it is awaited."""
    database = InlineMemory()
    at_once(database.write(upgrade))
    return database, journal_on(database, Bodies())


def open_inline(path: Path, keys: Keyring | None = None) -> tuple[InlineDatabase, OpenJournal]:
    """Open a journal that exists."""
    database = InlineDatabase(path)
    bodies = Bodies(keys)
    return database, OpenJournal(SqlJournal(database, bodies), SqlAdminStore(database, bodies))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise AssertionError(work)
