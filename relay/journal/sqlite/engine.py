"""A SQLite database behind the journal: its threads, and errors mapped where they come in.

Each connection has a thread of its own, on which a transaction runs as a whole: the event loop
never waits for the disk (docs/adr/002-the-journal-in-threads.md).
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from relay.journal.schema import TABLES
from relay.journal.sqlite.checkpoints import BACKSTOP, Checkpoints
from relay.journal.sqlite.integrity import DAMAGE, FileIdentity, code_of, damaged
from relay.journal.statements import Connection
from relay.model.ports import JournalDamaged, JournalUnavailable

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT = 5.0
"""Seconds that a write waits for another process's, such as an operator's command."""

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
_WIPING_PRAGMA = "PRAGMA secure_delete=ON"
"""What is deleted is overwritten with zeros, and does not stay in free pages."""

_STATEMENTS = 256
"""So many prepared ones each connection keeps: more than there are on a message's way."""


def _connect(where: str, timeout: float, pragmas: Sequence[str]) -> sqlite3.Connection:
    driver = sqlite3.connect(
        where,
        timeout=timeout,
        isolation_level=None,  # we begin transactions; the driver would do so too late
        check_same_thread=False,  # it is closed by another
        cached_statements=_STATEMENTS,
    )
    try:
        for pragma in pragmas:
            driver.execute(pragma).close()
    except BaseException:
        driver.close()
        raise
    return driver


class Worker:
    """A thread with a connection, which is opened when it is first needed."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], begin: str, files: FileIdentity
    ) -> None:
        self._connect = connect
        self._begin = begin
        self._files = files
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._opened: Connection | None = None

    async def transact(self, work: Callable[[Connection], R]) -> R:
        """Do work in a transaction on the thread."""
        return await self.call(lambda: self._transact(work))

    async def call(self, work: Callable[[], R]) -> R:
        """Do what is no transaction on the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Do something on the thread, after what is waiting there."""
        return self._thread.submit(work)

    def execute(self, statement: str, *values: str) -> Any:
        """Execute what is refused in a transaction, on this thread; answers with its first row."""
        with _mapped_errors():
            return self._connection().driver.execute(statement, values).fetchone()

    def script(self, script: str) -> None:
        """Execute what has to be stepped through to its end, on this thread."""
        with _mapped_errors():
            self._connection().driver.executescript(script)

    async def close(self) -> None:
        """Let what runs end, and close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        self.dispose()

    def dispose(self) -> None:
        """Close the connection, when nothing runs any more."""
        if self._opened is not None:
            self._opened.driver.close()

    def _transact(self, work: Callable[[Connection], R]) -> R:
        try:
            connection = self._connection()
            execute = connection.driver.execute
            execute(self._begin)
            try:
                done = work(connection)
                self._files.require()  # before the commit: it would be to nowhere
                execute("COMMIT")
            except BaseException:
                if connection.driver.in_transaction:
                    execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            _map(error)
            raise
        return done

    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = Connection(self._connect())
        return self._opened


class Database:
    """Runs functions on a connection, each in one transaction; `wipes` what it deletes.

    Whoever is cancelled while waiting leaves a transaction that has begun to end by itself: it is
    committed whole, or not at all.
    """

    worker = Worker

    def __init__(
        self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT, wipes: bool = False
    ) -> None:
        self.path = path
        self._files = FileIdentity(path)
        self._damage: JournalDamaged | None = None

        def worker(begin: str, *pragmas: str) -> Worker:
            return self.worker(
                partial(_connect, str(path), busy_timeout, pragmas), begin, self._files
            )

        # One writer at a time, and no reader that becomes one: SQLite would answer "locked".
        wiping = [_WIPING_PRAGMA] if wipes else []
        self._writer = worker("BEGIN IMMEDIATE", *_WRITER_PRAGMAS, *wiping)
        self._reader, self._browser, self._carrier = (worker("BEGIN", *_PRAGMAS) for _ in range(3))
        self._checkpoints = Checkpoints(self._carrier, self._writer)

    def stay(self) -> None:
        """From now on its files have to stay where they are; there is a connection."""
        self._files.note()

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
        return await self._run(self._reader, lambda conn: look(conn, *args, **kwargs))

    async def browse(
        self, look: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Read what no message waits for, such as an operator's list: it may take seconds."""
        return await self._run(self._browser, lambda conn: look(conn, *args, **kwargs))

    async def _run(self, worker: Worker, work: Callable[[Connection], R]) -> R:
        """Let nothing work on what was once seen to be damaged."""
        if self._damage is not None:
            raise type(self._damage)(str(self._damage))
        try:
            return await worker.transact(work)
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
        # By a script: `execute` stops at a first row, even one of no columns.
        script = f"PRAGMA incremental_vacuum({pages})"
        await self._writer.call(lambda: self._writer.script(script))
        self._checkpoints.written()

    async def checkpoint(self) -> None:
        """Take into the database what is in the log, as far as nobody is in the way."""
        await self._writer.call(self._checkpoint)

    async def copy(self, path: Path) -> None:
        """Write all of it into an empty file, as it is at one moment, beside whoever works on it.

        Raises `JournalUnavailable`.
        """
        await self._browser.call(lambda: self._browser.execute("VACUUM INTO ?", str(path)))

    async def close(self) -> None:
        """Let what runs end, and close every connection."""
        self._checkpoints.end()
        await self._reader.close()
        await self._browser.close()
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
        self._damage = None
        connect = partial(_connect, ":memory:", BUSY_TIMEOUT, ["PRAGMA foreign_keys=ON"])
        self._writer = self.worker(connect, "BEGIN", FileIdentity(self.path))
        self._reader = self._browser = self._carrier = self._writer
        self._checkpoints = Checkpoints(self._carrier, self._writer)
        self._checkpoints.end()  # there is no log

    async def checkpoint(self) -> None:
        """Do nothing: there is no log."""

    async def close(self) -> None:
        """Forget everything."""
        await self._writer.close()

    def size_bytes(self) -> int:
        """Take no disk space."""
        return 0


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        _map(error)
        raise


def _map(error: sqlite3.DatabaseError) -> None:
    """Raise what may pass, such as a full disk or a lock, and damage as such, but not a bug."""
    if _is_damage(error):
        raise damaged(error) from error
    senseless = code_of(error) == sqlite3.SQLITE_ERROR  # SQL that makes no sense
    if isinstance(error, sqlite3.OperationalError) and not senseless:
        raise JournalUnavailable(f"{type(error).__name__}: {error}") from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    if code_of(error) in DAMAGE:
        return True
    missing = _NO_TABLE.fullmatch(str(error))
    if missing is not None:
        return missing[1] in TABLES  # the schema's, and there when the journal was opened
    return str(error).startswith(_NO_TEXT)
