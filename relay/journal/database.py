"""One SQL database behind the journal: a writer, readers, and errors mapped where they come in.

SQLAlchemy runs in threads of its own, a transaction at a time. An asynchronous driver hops
between threads several times for each statement, which costs more than the statements do
(docs/adr/002-the-journal-in-threads.md).
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from relay.ports import JournalUnavailable

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT = 5.0
"""Seconds that a write waits for another process's, such as an operator's command."""

_READERS = 2
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # Power loss may take the last commits: Mixin still holds what is unread (design.md 6, W8).
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA journal_size_limit=67108864",
)


class Database:
    """Runs functions on a connection, each in one transaction.

    Whoever is cancelled while waiting leaves a transaction that has begun to end by itself: it is
    committed whole, or not at all.
    """

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path
        # One writer at a time, and no reader that becomes one: SQLite would answer "locked".
        self._writer = _Lane(path, busy_timeout, begin="BEGIN IMMEDIATE", threads=1)
        self._readers = _Lane(path, busy_timeout, begin="BEGIN", threads=_READERS)

    async def write(
        self, change: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction of its own and commit it."""
        return await self._writer.run(lambda connection: change(connection, *args, **kwargs))

    async def read(
        self, look: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function that sees one consistent state."""
        return await self._readers.run(lambda connection: look(connection, *args, **kwargs))

    async def close(self) -> None:
        """Let what runs end, and close every connection."""
        await self._writer.close()
        await self._readers.close()

    def size_bytes(self) -> int:
        """Measure the files."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


class _Lane:
    """Threads that work on the database, a connection for each."""

    def __init__(self, path: Path, busy_timeout: float, *, begin: str, threads: int) -> None:
        self._engine = create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=threads,
            max_overflow=0,
            connect_args={"timeout": busy_timeout, "check_same_thread": False},
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="journal")
        _prepare(self._engine, begin=begin)

    async def run(self, work: Callable[[Connection], R]) -> R:
        """Do work in a transaction on one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transact, work)

    async def close(self) -> None:
        """Let what runs end, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], R]) -> R:
        with _mapped_errors(), self._engine.begin() as connection:
            return work(connection)


def _prepare(engine: Engine, *, begin: str) -> None:
    """Let SQLAlchemy begin transactions, which the driver would otherwise do too late."""

    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma).close()

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Tell what may pass, such as a full disk or a lock, from what is a bug."""
    try:
        yield
    except (exc.OperationalError, exc.TimeoutError) as error:
        reason = getattr(error, "orig", None) or error
        raise JournalUnavailable(f"{type(reason).__name__}: {reason}") from error
