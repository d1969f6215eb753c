"""One SQL database behind the journal: a writer, readers, and errors mapped where they come in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, event, exc
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relay.ports import JournalUnavailable

P = ParamSpec("P")
R = TypeVar("R")

_BUSY_TIMEOUT_MS = 5000
"""How long a write waits for another process's, such as an operator's command."""

_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode=WAL",
    # Power loss may take the last commits: Mixin still holds what is unread (design.md 6, W8).
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA journal_size_limit=67108864",
)


class Database:
    """Runs functions on a connection, each in one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        url = f"sqlite+aiosqlite:///{path}"
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0)
        self._readers = create_async_engine(url, pool_size=3, max_overflow=0)
        # One writer at a time, and no reader that becomes one: SQLite would answer "locked".
        self._turn = asyncio.Lock()
        _prepare(self._writer, begin="BEGIN IMMEDIATE")
        _prepare(self._readers, begin="BEGIN")

    async def write(
        self, change: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction of its own and commit it."""
        async with self._turn, _mapped_errors(), self._writer.begin() as connection:
            return await connection.run_sync(change, *args, **kwargs)

    async def read(
        self, look: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function that sees one consistent state."""
        async with _mapped_errors(), self._readers.begin() as connection:
            return await connection.run_sync(look, *args, **kwargs)

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._readers.dispose()

    def size_bytes(self) -> int:
        """Measure the files."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _prepare(engine: AsyncEngine, *, begin: str) -> None:
    """Let SQLAlchemy begin transactions, which the driver would otherwise do too late."""

    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    event.listen(engine.sync_engine, "connect", connect)
    event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin))


@asynccontextmanager
async def _mapped_errors() -> AsyncIterator[None]:
    """Tell what may pass, such as a full disk or a lock, from what is a bug."""
    try:
        yield
    except (exc.OperationalError, exc.TimeoutError) as error:
        reason = getattr(error, "orig", None) or error
        raise JournalUnavailable(f"{type(reason).__name__}: {reason}") from error
