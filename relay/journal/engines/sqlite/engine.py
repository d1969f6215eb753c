"""One SQL database behind the journal: a writer, readers, and errors mapped where they come in.

SQLAlchemy runs in threads of its own, a transaction at a time. An asynchronous driver hops
between threads several times for each statement, which costs more than the statements do
(docs/adr/002-the-journal-in-threads.md).
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, exc

from relay.journal.engines.sqlite.checkpoints import BACKSTOP, Checkpoints
from relay.journal.engines.sqlite.file_identity import FileIdentity
from relay.journal.engines.sqlite.integrity import DAMAGE, code_of, damaged
from relay.journal.schema import metadata
from relay.model.ports import JournalDamaged, JournalUnavailable

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT = 5.0
"""Seconds that a write waits for another process's, such as an operator's command."""

_READERS = 2

_NO_TABLE = re.compile(r"no such table: (?:main\.)?(\w+)")
_NO_TEXT = "Could not decode to UTF-8"
"""What the driver says of an id or a name that is no text any more."""

_PRAGMAS = (
    # Power loss may take the last commits: Mixin still holds what is unread (W8).
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-4096",
)
_WRITER_PRAGMAS = (
    *_PRAGMAS,
    "PRAGMA cache_size=-8192",
    # Before the first table, and before WAL: what is pruned can be given back to the disk.
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    BACKSTOP,
    "PRAGMA journal_size_limit=67108864",
)
_WIPING_PRAGMAS = (
    # What is deleted is overwritten with zeros, and does not stay in free pages.
    "PRAGMA secure_delete=ON",
)


class Database:
    """Runs functions on a connection, each in one transaction; `wipes` what it deletes.

    Whoever is cancelled while waiting leaves a transaction that has begun to end by itself: it is
    committed whole, or not at all.
    """

    def __init__(
        self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT, wipes: bool = False
    ) -> None:
        self.path = path
        pragmas = (*_WRITER_PRAGMAS, *_WIPING_PRAGMAS) if wipes else _WRITER_PRAGMAS
        # One writer at a time, and no reader that becomes one: SQLite would answer "locked".
        writer = _engine(path, busy_timeout, begin="BEGIN IMMEDIATE", pragmas=pragmas)
        self._file_identity = FileIdentity(path)
        self._writer = _Workers(writer, self._file_identity, threads=1)
        readers = _engine(path, busy_timeout, begin="BEGIN", pragmas=_PRAGMAS)
        self._readers = _Workers(readers, self._file_identity, threads=_READERS)
        browsers = _engine(path, busy_timeout, begin="BEGIN", pragmas=_PRAGMAS)
        self._browsers = _Workers(browsers, self._file_identity, threads=1)
        carrier = _engine(path, busy_timeout, begin="BEGIN", pragmas=_PRAGMAS)
        self._carrier = _Workers(carrier, self._file_identity, threads=1)
        self._checkpoints = Checkpoints(self._carrier, self._writer)
        self._damage: JournalDamaged | None = None

    def stay(self) -> None:
        """From now on its files have to stay where they are; there is a connection."""
        self._file_identity.note()

    async def write(
        self, change: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction of its own and commit it."""
        answer = await self._run(self._writer, lambda conn: change(conn, *args, **kwargs))
        self._checkpoints.written()
        return answer

    async def read(
        self, look: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function that sees one consistent state."""
        return await self._run(self._readers, lambda conn: look(conn, *args, **kwargs))

    async def browse(
        self, look: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Read as an operator does, for whom messages don't wait: it may take seconds."""
        return await self._run(self._browsers, lambda conn: look(conn, *args, **kwargs))

    async def _run(self, workers: "_Workers", work: Callable[[Connection], R]) -> R:
        """Let nothing work on what was once seen to be damaged."""
        if self._damage is not None:
            raise type(self._damage)(str(self._damage))
        try:
            return await workers.run(work)
        except JournalDamaged as damage:
            self._damage = damage
            raise

    async def rewrite(self) -> bool:
        """Write the whole database anew, so that nothing is left of what it once held.

        It needs as much room again, and everybody else waits; False if somebody who reads keeps
        the log from being emptied.
        """
        return await self._writer.call(self._rewrite)

    async def release(self, pages: int) -> None:
        """Give so many free pages back to the disk."""
        await self._writer.run_script(f"PRAGMA incremental_vacuum({pages})")
        self._checkpoints.written()

    async def checkpoint(self) -> None:
        """Take into the database what is in the log, as far as nobody is in the way."""
        await self._writer.call(self._checkpoint)

    async def copy(self, path: Path) -> None:
        """Write all of it into an empty file, as it is at one moment, beside whoever works on it.

        Raises `JournalUnavailable`.
        """
        await self._readers.call(lambda: self._readers.execute("VACUUM INTO ?", str(path)))

    async def close(self) -> None:
        """Let what runs end, and close every connection."""
        self._checkpoints.end()
        await self._readers.close()
        await self._browsers.close()
        await self._carrier.close()  # before the writer, which it may leave something to do
        await self._writer.close()  # the last to close takes the WAL into the database

    def size_bytes(self) -> int:
        """Measure the files."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _checkpoint(self) -> None:
        with self._checkpoints.alone:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _rewrite(self) -> bool:
        with self._checkpoints.alone:
            try:
                self._writer.execute("VACUUM")
            finally:  # also without room: what it has written so far must not fill the disk
                (busy, *_) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy


class MemoryDatabase(Database):
    """A database that is gone with the process: one connection and one thread for everybody."""

    def __init__(self) -> None:
        self.path = Path(":memory:")
        engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        _prepare(engine, begin="BEGIN", pragmas=("PRAGMA foreign_keys=ON",))
        workers = _Workers(engine, FileIdentity(self.path), threads=1)
        self._writer = self._readers = self._browsers = workers
        self._damage = None

    async def write(
        self, change: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction of its own and commit it."""
        return await self._run(self._writer, lambda conn: change(conn, *args, **kwargs))

    async def checkpoint(self) -> None:
        """Do nothing: there is no log."""

    async def close(self) -> None:
        """Forget everything."""
        await self._writer.close()

    def size_bytes(self) -> int:
        """Take no disk space."""
        return 0


class _Workers:
    """Threads that work on the database, a connection for each."""

    def __init__(self, engine: Engine, whereabouts: FileIdentity, *, threads: int) -> None:
        self._engine = engine
        self._file_identity = whereabouts
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="journal")

    async def run(self, work: Callable[[Connection], R]) -> R:
        """Do work in a transaction on one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transact, work)

    async def call(self, work: Callable[[], R]) -> R:
        """Do what is no transaction on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Do something on one of the threads, after what is waiting there."""
        return self._threads.submit(work)

    async def run_script(self, script: str) -> None:
        """Execute what has to be stepped through to its end, in a transaction of its own."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._run_script, script)

    async def close(self) -> None:
        """Let what runs end, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], R]) -> R:
        with _mapped_errors(), self._engine.begin() as connection:
            done = work(connection)
            self._file_identity.require()  # before the commit: it would be to nowhere
            return done

    def execute(self, statement: str, *arguments: str) -> Any:
        """Execute what is refused in a transaction, on this thread; answers with its first row."""
        with self._raw_cursor() as cursor:
            return cursor.execute(statement, arguments).fetchone()

    def _run_script(self, script: str) -> None:
        with self._raw_cursor() as cursor:
            cursor.executescript(script)  # `execute` stops at a first row, even one of no columns

    @contextmanager
    def _raw_cursor(self) -> Iterator[Any]:
        """Go below SQLAlchemy, which would begin a transaction."""
        with _mapped_errors(), closing(self._engine.raw_connection()) as connection:
            yield connection.cursor()


def _engine(path: Path, busy_timeout: float, *, begin: str, pragmas: tuple[str, ...]) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": busy_timeout})
    _prepare(engine, begin=begin, pragmas=pragmas)
    return engine


def _prepare(engine: Engine, *, begin: str, pragmas: tuple[str, ...]) -> None:
    """Let an engine begin transactions itself: the driver would do so too late."""

    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma).close()

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Tell what may pass, such as a full disk or a lock, from damage and from what is a bug."""
    try:
        yield
    except (exc.DatabaseError, sqlite3.DatabaseError) as error:
        cause = error.orig if isinstance(error, exc.DatabaseError) else error
        if _is_damage(cause):
            raise damaged(cause) from error
        if not isinstance(cause, sqlite3.OperationalError):
            raise
        if code_of(cause) == sqlite3.SQLITE_ERROR:  # SQL that makes no sense
            raise
        raise JournalUnavailable(f"{type(cause).__name__}: {cause}") from error


def _is_damage(error: BaseException | None) -> bool:
    if code_of(error) in DAMAGE:
        return True
    missing = _NO_TABLE.fullmatch(str(error))
    if missing is not None:
        return missing[1] in metadata.tables  # the schema's, and there when the journal was opened
    return str(error).startswith(_NO_TEXT)
