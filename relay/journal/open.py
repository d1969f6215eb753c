"""Opens a journal: for the one relay that runs on it, or for an operator's command."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.file_tools import FileTools
from relay.journal.encryption.keys import Keyring
from relay.journal.encryption.rotation import require_keys
from relay.journal.history import SqlAdminStore
from relay.journal.journal import SqlJournal
from relay.journal.migrations import require_known, require_newest, upgrade
from relay.journal.sqlite.engine import BUSY_TIMEOUT, Database, MemoryDatabase
from relay.journal.sqlite.integrity import LONGEST_LOOK, require_sound
from relay.journal.sqlite.lock import JournalRefused, Lock, is_held, refusals
from relay.journal.sqlite.quarantine import Quarantine
from relay.journal.sqlite.vacuum import can_shrink, is_small
from relay.model.admin import AdminStore
from relay.model.ports import Journal, JournalDamaged, JournalUnavailable, Recovery, find_damage
from relay.telemetry.events import DamageFound, JournalUnchecked, Telemetry

MEMORY = "memory:"
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class OpenJournal:
    """An open journal, as the relay and as the operator see it."""

    journal: Journal
    admin: AdminStore


@asynccontextmanager
async def open_journal(
    location: str,
    *,
    keys: Keyring | None = None,
    recovery: Recovery = Recovery.REFUSE,
    telemetry: Telemetry = lambda _: None,
    busy_timeout: float = BUSY_TIMEOUT,
) -> AsyncIterator[OpenJournal]:
    """Open the journal for a relay, alone, its schema brought to this version.

    `location` is `memory:` or `sqlite:///PATH`; what people wrote is sealed with the first of
    `keys`, if there are any; a write waits at most `busy_timeout` seconds for another process's.
    A damaged journal is set aside before a fresh one is begun if `recovery` says so, and also at
    the end, if the damage shows only then. Raises `JournalRefused`, also if rows are sealed with a
    key that is not there, and for the `JournalDamaged` that the run ends with.
    """
    if location == MEMORY:
        async with _closing(MemoryDatabase()) as database:
            await database.write(upgrade)
            yield journal_on(database, ColumnCipher())
        return
    path = _path(location)
    quarantine = Quarantine(path, recovery, telemetry)
    with _alone(path):
        try:
            async with _closing(await _begin(path, keys, busy_timeout, quarantine)) as database:
                yield journal_on(database, ColumnCipher(keys))
        except JournalDamaged as damage:
            raise quarantine.after_the_run(damage) from damage


def journal_on(database: Database, cipher: ColumnCipher) -> OpenJournal:
    """Give the journal in an open database, with what operators may do to it by the admin API."""
    return OpenJournal(SqlJournal(database, cipher), SqlAdminStore(database, cipher, actor="api"))


@contextmanager
def damage_told(telemetry: Telemetry) -> Iterator[None]:
    """Tell a damage that has ended a group of tasks, and raise it alone: `JournalDamaged`."""
    try:
        yield
    except BaseExceptionGroup as several:
        damage = find_damage(several)
        if damage is None:
            raise
        telemetry(DamageFound(str(damage)))
        raise damage from None


async def _begin(
    path: Path, keys: Keyring | None, busy_timeout: float, quarantine: Quarantine
) -> Database:
    """Open a sound journal, or a fresh one in the place of a damaged one."""
    opening = partial(_open_sound, path, keys, busy_timeout, quarantine.telemetry)
    with refusals(path):
        try:
            return await opening()
        except JournalDamaged as damage:
            quarantine.before_the_run(damage)
        return await opening()


async def _open_sound(
    path: Path, keys: Keyring | None, busy_timeout: float, telemetry: Telemetry
) -> Database:
    if not await asyncio.to_thread(_look_and_touch, path):
        telemetry(JournalUnchecked(LONGEST_LOOK))
    database = Database(path, busy_timeout=busy_timeout, wipes=keys is not None)
    try:
        await database.write(upgrade)
        await database.read(require_keys, keys)
        await _let_it_shrink(database)
        database.stay()
    except BaseException:
        await database.close()
        raise
    return database


def _look_and_touch(path: Path) -> bool:
    seen_all = require_sound(path)
    path.touch(mode=0o600)  # it will hold what people wrote to each other
    return seen_all


@asynccontextmanager
async def open_admin_store(
    location: str, *, keys: Keyring | None = None, busy_timeout: float = BUSY_TIMEOUT
) -> AsyncIterator[AdminStore]:
    """Open the journal for an operator's command, beside a relay or without one.

    Never makes or changes a journal's schema. Raises `JournalRefused` as `open_journal` does.
    """
    async with _opened_for_operators(location, keys, busy_timeout) as database:
        with refusals(database.path):
            await database.read(require_keys, keys)
        yield SqlAdminStore(database, ColumnCipher(keys))


@asynccontextmanager
async def open_file_tools(
    location: str,
    *,
    keys: Keyring | None,
    outdated: bool = False,
    busy_timeout: float = BUSY_TIMEOUT,
) -> AsyncIterator[FileTools]:
    """Open the journal for those who mind its file, whether all of its keys are there or not.

    Never makes or changes a journal's schema, and with `outdated` takes that of an earlier relay,
    for a copy before an upgrade. Raises `JournalRefused`.
    """
    opening = _opened_for_operators(location, keys, busy_timeout, outdated=outdated)
    async with opening as database:
        yield FileTools(database, keys)


@asynccontextmanager
async def _opened_for_operators(
    location: str, keys: Keyring | None, busy_timeout: float, *, outdated: bool = False
) -> AsyncIterator[Database]:
    if location == MEMORY:
        raise JournalRefused(f"{MEMORY} is inside the running relay only: ask its admin API")
    path = _path(location)
    with refusals(path):
        if not path.is_file():
            raise JournalRefused(f"{path}: there is no such journal")
    database = Database(path, busy_timeout=busy_timeout, wipes=keys is not None)
    async with _closing(database):
        with refusals(path):
            await database.read(require_known if outdated else require_newest)
        yield database


def is_relayed(location: str) -> bool:
    """Say whether a relay runs on a journal that was opened for an operator; if in doubt, one does.

    Without one, nothing of what the journal says is still to come happens.
    """
    return location == MEMORY or is_held(_path(location))


def _path(location: str) -> Path:
    path = location.removeprefix(_SQLITE)
    if path in (location, ""):
        raise JournalRefused(f"{location}: expected {MEMORY} or {_SQLITE}PATH")
    return Path(path).resolve()  # a link and what it points to are one journal, with one lock


async def _let_it_shrink(database: Database) -> None:
    """Write a small file anew that was made before files could shrink.

    It can wait for another start, and a large one does for `relay journal compact`.
    """
    with suppress(JournalUnavailable):
        able, small = await database.read(lambda at: (can_shrink(at), is_small(at)))
        if small and not able:
            await database.rewrite()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the journal for one relay: two would deliver everything twice."""
    lock = Lock(path)
    with refusals(path):
        if path.is_dir():
            raise JournalRefused(f"{path}: is a directory; expected a file in one")
        if not path.parent.is_dir():
            raise JournalRefused(f"{path}: there is no directory {path.parent}")
        lock.wait()
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def _closing(database: Database) -> AsyncIterator[Database]:
    try:
        yield database
    finally:
        await database.close()
