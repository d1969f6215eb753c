"""Opens a journal: for the one relay that runs on it, or for an operator's command."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import exc

from relay.desk import Desk
from relay.journal.database import Database
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
async def open_journal(location: str) -> AsyncIterator[OpenJournal]:
    """Open the journal for a relay, alone, its schema brought to this version.

    `location` is `memory:` or `sqlite:///PATH`. Raises `JournalRefused`.
    """
    if location == MEMORY:
        journal = MemoryJournal()
        yield OpenJournal(journal, MemoryDesk(journal.store))
        return
    path = _path(location)
    _require_writable(path)
    with _alone(path):
        async with _opened(path) as database:
            with _refusals(path):
                await database.write(upgrade)
            yield OpenJournal(SqlJournal(database), SqlDesk(database))


@asynccontextmanager
async def open_desk(location: str) -> AsyncIterator[Desk]:
    """Open the journal for an operator's command, beside a relay or without one.

    Never makes or changes a journal's schema. Raises `JournalRefused`.
    """
    if location == MEMORY:
        raise JournalRefused(f"{MEMORY} is inside the running relay only: ask its admin API")
    path = _path(location)
    if not path.is_file():
        raise JournalRefused(f"{path}: there is no such journal")
    async with _opened(path) as database:
        with _refusals(path):
            await database.read(require_newest)
        yield SqlDesk(database)


def _path(location: str) -> Path:
    if not location.startswith(_SQLITE):
        raise JournalRefused(f"{location}: expected {MEMORY} or {_SQLITE}PATH")
    return Path(location.removeprefix(_SQLITE))


def _require_writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise JournalRefused(f"{path}: there is no directory {path.parent}")
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK) or path.is_dir():
        raise JournalRefused(f"{path}: can't be written by this user")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the journal for one relay: two would deliver everything twice."""
    try:
        with FileLock(f"{path}.lock", blocking=False):
            yield
    except Timeout as error:
        raise JournalRefused(f"{path}: another relay runs on this journal") from error


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[Database]:
    database = Database(path)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except WrongVersion as error:
        raise JournalRefused(f"{path}: {error}") from error
    except JournalUnavailable as error:
        raise JournalRefused(f"{path}: {error}") from error
    except exc.DatabaseError as error:
        raise JournalRefused(f"{path}: not a journal, or damaged ({error.orig})") from error
