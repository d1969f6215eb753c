"""Opens a journal: for the one relay that runs on it, or for an operator's command."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import exc

from relay.desk import Desk
from relay.journal.database import BUSY_TIMEOUT, Database
from relay.journal.memory import MemoryJournal
from relay.journal.memory_desk import MemoryDesk
from relay.journal.sql import SqlJournal
from relay.journal.sql_desk import SqlDesk
from relay.journal.versions import WrongVersion, require_newest, upgrade
from relay.ports import Journal, JournalUnavailable

MEMORY = "memory:"
_SQLITE = "sqlite:///"


class JournalRefused(Exception):  # noqa: N818 - said to an operator, who can mend it
    """The journal can't be opened; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class OpenJournal:
    """An open journal, as the relay and as the operator see it."""

    journal: Journal
    desk: Desk


@asynccontextmanager
async def open_journal(
    location: str, *, busy_timeout: float = BUSY_TIMEOUT
) -> AsyncIterator[OpenJournal]:
    """Open the journal for a relay, alone, its schema brought to this version.

    `location` is `memory:` or `sqlite:///PATH`; a write waits at most `busy_timeout` seconds for
    another process's. Raises `JournalRefused`.
    """
    if location == MEMORY:
        journal = MemoryJournal()
        yield OpenJournal(journal, MemoryDesk(journal.store))
        return
    path = _path(location)
    with _alone(path):
        async with _opened(path, busy_timeout) as database:
            with _refusals(path):
                await database.write(upgrade)
            yield OpenJournal(SqlJournal(database), SqlDesk(database))


@asynccontextmanager
async def open_desk(location: str, *, busy_timeout: float = BUSY_TIMEOUT) -> AsyncIterator[Desk]:
    """Open the journal for an operator's command, beside a relay or without one.

    Never makes or changes a journal's schema. Raises `JournalRefused`.
    """
    if location == MEMORY:
        raise JournalRefused(f"{MEMORY} is inside the running relay only: ask its admin API")
    path = _path(location)
    with _refusals(path):
        if not path.is_file():
            raise JournalRefused(f"{path}: there is no such journal")
    async with _opened(path, busy_timeout) as database:
        with _refusals(path):
            await database.read(require_newest)
        yield SqlDesk(database)


def _path(location: str) -> Path:
    path = location.removeprefix(_SQLITE)
    if path in (location, ""):
        raise JournalRefused(f"{location}: expected {MEMORY} or {_SQLITE}PATH")
    return Path(path).resolve()  # a link and what it points to are one journal, with one lock


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the journal for one relay: two would deliver everything twice."""
    lock = FileLock(f"{path}.lock", blocking=False)
    with _refusals(path):
        if path.is_dir():
            raise JournalRefused(f"{path}: is a directory; expected a file in one")
        if not path.parent.is_dir():
            raise JournalRefused(f"{path}: there is no directory {path.parent}")
        lock.acquire()
        path.touch(mode=0o600)  # it will hold what people wrote to each other
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def _opened(path: Path, busy_timeout: float) -> AsyncIterator[Database]:
    database = Database(path, busy_timeout=busy_timeout)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Say what can't be opened, and why, in words for an operator."""
    try:
        yield
    except Timeout as error:
        raise JournalRefused(f"{path}: another relay runs on this journal") from error
    except OSError as error:
        raise JournalRefused(f"{path}: {error.strerror}") from error
    except (WrongVersion, JournalUnavailable) as error:
        raise JournalRefused(f"{path}: {error}") from error
    except exc.DatabaseError as error:
        raise JournalRefused(f"{path}: not a journal, or damaged ({error.orig})") from error
