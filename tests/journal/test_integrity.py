"""A damaged journal is told from a sound one, and from what only looks like trouble."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from relay.journal.encryption.keys import Keyring
from relay.journal.migrations import WrongVersion
from relay.journal.open import open_journal
from relay.journal.sqlite.engine import Database
from relay.journal.sqlite.integrity import require_sound
from relay.journal.sqlite.lock import JournalRefused
from relay.model.ports import JournalDamaged, JournalGone, JournalUnavailable, Recovery
from relay.telemetry.events import Event, JournalSetAside, JournalUnchecked
from tests.acceptance.damages import DAMAGES, Damage, emptied
from tests.journal.relay_process import relay_process
from tests.journal.samples import CRM, KEYS, LOG, NOW, arrival, delivered, receive, settle

PAGE = 4096
NOBODY = 65534

Act = Callable[[sqlite3.Connection], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "journal.db"


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@contextmanager
def nobody(modes: dict[Path, int]) -> Iterator[None]:
    """Be a user who may do no more than the modes say, whoever it is."""
    for path, mode in modes.items():
        path.chmod(mode)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def public() -> Iterator[Path]:
    """Make a folder that every user gets to."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
        Path(folder).chmod(0o777)


async def make(path: Path, *, clean: bool = True, keys: Keyring | None = None) -> None:
    """Let a relay make a journal with something in it."""
    async with open_journal(f"sqlite:///{path}", keys=keys) as opened:
        await opened.journal.start([CRM, LOG], NOW)
        arrivals = (arrival(number, CRM, lane=f"l{number}") for number in range(1, 60))
        one, *_ = await receive(opened.journal, *arrivals)
        await settle(opened.journal, [delivered(one)], NOW)
        if clean:
            await opened.journal.stop()


def change(path: Path, *statements: str) -> None:
    """Do to a journal what only a hand does."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            connection.execute(statement)


def names(directory: Path) -> set[str]:
    """List what is there but the lock and what a reader leaves."""
    passing = (".lock", "-shm", "-wal")
    return {file.name for file in directory.iterdir() if not file.name.endswith(passing)}


async def opened_afresh(path: Path) -> list[Event]:
    """Open it with start_fresh; gives the events that were told."""
    events: list[Event] = []
    recovery = Recovery.START_FRESH
    location = f"sqlite:///{path}"
    async with open_journal(location, recovery=recovery, telemetry=events.append) as opened:
        await opened.journal.start([CRM, LOG], NOW)
        assert {0} == {bot.imbalance for bot in (await opened.journal.census()).bots.values()}
        await opened.journal.stop()
    return events


async def refused(path: Path) -> str:
    """Expect it to be refused; gives the reason."""
    with pytest.raises(JournalRefused) as caught:
        async with open_journal(f"sqlite:///{path}"):
            pytest.fail("opened")
    return str(caught.value)


# --- Sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
async def test_a_journal_is_sound(path: Path, *, clean: bool) -> None:
    """What a relay leaves, cleanly or not, is sound, and nothing of it is moved."""
    await make(path, clean=clean)
    assert require_sound(path)
    assert [] == await opened_afresh(path)
    assert {"journal.db"} == names(path.parent)


@pytest.mark.parametrize("content", [None, b""])
def test_nothing_is_a_fresh_journal(path: Path, content: bytes | None) -> None:
    """A file that is not there, or empty, is one that begins."""
    if content is not None:
        path.write_bytes(content)
    assert require_sound(path)


async def test_a_killed_relay_s_journal_is_sound(path: Path) -> None:
    """So is one with its log, of a process that was killed; and looking leaves it as it is."""
    async with relay_process(f"sqlite:///{path}") as relay:
        await relay.hear()
        await relay.tell("record 1")
        await relay.kill()
    log = path.with_name("journal.db-wal")
    before = read(path), read(log)
    assert before[1]
    assert require_sound(path)
    assert before == (read(path), read(log))


async def test_a_log_that_a_power_cut_took_is_no_damage(path: Path) -> None:
    """A log of zeros holds what the disk never got: the last commits, which Mixin still has."""
    async with relay_process(f"sqlite:///{path}") as relay:
        await relay.hear()
        await relay.tell("record 1")
        await relay.kill()
    log = path.with_name("journal.db-wal")
    log.write_bytes(bytes(log.stat().st_size))
    assert require_sound(path)


async def test_a_log_that_sqlite_would_ignore_is_damage(path: Path) -> None:
    """A log whose header is spoilt holds commits that SQLite would leave out without a word."""
    async with relay_process(f"sqlite:///{path}") as relay:
        await relay.hear()
        await relay.tell("record 1")
        await relay.kill()
    log = path.with_name("journal.db-wal")
    sound = read(log)
    for spoilt in (b"x" + sound[1:], sound[:8] + b"spoilt" + sound[14:]):
        write(log, spoilt)
        with pytest.raises(JournalDamaged, match="no header of a log"):
            require_sound(path)


async def test_looking_ends_in_time(path: Path) -> None:
    """What takes too long is broken off: told after a crash, and nothing special otherwise."""
    await make(path, clean=False)
    assert not require_sound(path, longest=0)
    change(path, "UPDATE run SET clean = 1")
    assert require_sound(path, brief=0)


@pytest.mark.parametrize("clean", [True, False])
async def test_no_process_is_no_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, clean: bool
) -> None:
    """Where no more may begin, all but the front is unseen, and the journal is not refused."""
    await make(path, clean=clean)
    monkeypatch.setattr("sys.executable", str(path.with_name("no-python")))
    assert clean is require_sound(path)


async def test_what_was_not_seen_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that could not look at all of it says so, and goes on."""
    await make(path, clean=False)
    monkeypatch.setattr("relay.journal.open.require_sound", lambda _: False)
    assert [JournalUnchecked] == [type(event) for event in await opened_afresh(path)]


# --- Damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
async def test_damage_is_noticed(path: Path, damage: Damage) -> None:
    """Each kind is refused with what to do, or, if so told, set aside before a fresh one begins."""
    await make(path)
    damage(path, random.Random(5))
    damaged = read(path)
    assert f"{path}: " in (said := await refused(path))
    assert "journal_recovery: start_fresh" in said
    assert damaged == read(path)
    (event,) = await opened_afresh(path)
    assert isinstance(event, JournalSetAside)
    assert (str(path), damaged) == (event.journal, read(Path(event.kept_as)))
    assert {"journal.db", Path(event.kept_as).name} == names(path.parent)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE alembic_version SET version_num = x'ff00'",
        "INSERT INTO alembic_version VALUES ('0001')",
        "DELETE FROM alembic_version",
        "DROP TABLE run",
        "ALTER TABLE messages RENAME COLUMN frame TO flame",
        "ALTER TABLE alembic_version RENAME COLUMN version_num TO number",
        "UPDATE deliveries SET state = 'lost' WHERE id = 7",
        "UPDATE messages SET source = 'nowhere' WHERE seq = 7",
        "UPDATE messages SET received_at = 'yesterday' WHERE seq = 7",
        "UPDATE lanes SET due_at = x'00'",
        "UPDATE sqlite_master SET rootpage = 10000 WHERE name = 'deliveries'",
        "UPDATE sqlite_master SET sql = 'CREATE NONSENSE' WHERE name = 'deliveries'",
    ],
)
async def test_senseless_content_is_damage(path: Path, statement: str) -> None:
    """So is a version that never was, a table or column that is missing, a value of no relay's."""
    await make(path)
    change(path, statement)
    with pytest.raises(JournalDamaged):
        require_sound(path)


@pytest.mark.parametrize("offset", [18, 19])
async def test_a_format_that_there_is_not_is_damage(path: Path, offset: int) -> None:
    """SQLite would take it for a database that it can read only."""
    await make(path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x4d")
    assert "a format that there is not" in await refused(path)


async def test_every_page_that_matters_is_looked_at(path: Path) -> None:
    """Whichever page is spoilt, a relay refuses it, unless there was nothing on it."""
    await make(path)
    sound = read(path)
    with closing(sqlite3.connect(path)) as connection:
        assert (0,) == connection.execute("PRAGMA freelist_count").fetchone()
    for page in range(len(sound) // PAGE):
        spoilt = random.Random(page).randbytes(PAGE)
        write(path, sound[: page * PAGE] + spoilt + sound[(page + 1) * PAGE :])
        with pytest.raises(JournalDamaged):
            require_sound(path)


async def test_a_database_without_its_log_is_what_a_log_without_its_database_is(
    path: Path,
) -> None:
    """A log whose database is gone is kept, since what it holds may be all that there is."""
    await make(path)
    emptied(path, random.Random(6))
    os.unlink(path)  # noqa: PTH108 - in a coroutine
    assert "journal.db is empty or gone" in await refused(path)
    (event,) = await opened_afresh(path)
    assert isinstance(event, JournalSetAside)
    assert read(Path(f"{event.kept_as}-wal"))


# --- Trouble of another kind ----------------------------------------------------------------------


async def start_fresh_refused(path: Path, *, busy_timeout: float = 1.0) -> str:
    """Expect start_fresh to leave it alone and refuse; gives the reason."""
    before = names(path.parent)
    with pytest.raises(JournalRefused) as caught:
        async with open_journal(
            f"sqlite:///{path}", recovery=Recovery.START_FRESH, busy_timeout=busy_timeout
        ):
            pytest.fail("opened")
    assert before == names(path.parent)
    return str(caught.value)


async def test_a_newer_journal_is_not_set_aside(path: Path) -> None:
    """An older relay leaves it to a newer one, however it is told to recover."""
    await make(path)
    change(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(WrongVersion):
        require_sound(path)
    assert "upgrade the relay" in await start_fresh_refused(path)


async def test_a_locked_journal_is_not_set_aside(path: Path) -> None:
    """Nor is one that another program holds, or another relay."""
    await make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in await start_fresh_refused(path, busy_timeout=0.01)
    async with relay_process(f"sqlite:///{path}") as relay:
        await relay.hear()
        assert "another relay runs" in await start_fresh_refused(path)


async def test_a_journal_without_its_key_is_not_set_aside(path: Path) -> None:
    """Nor is one that is sealed with a key that is missing."""
    await make(path, keys=KEYS)
    assert "sealed with key" in await start_fresh_refused(path)


async def test_a_journal_that_may_not_be_read_is_not_set_aside(public: Path) -> None:
    """Nor is one of another user's."""
    path = public / "journal.db"
    await make(path)
    with nobody({path: 0, lock_of(path): 0o666}):
        assert "Permission denied" in await start_fresh_refused(path)


async def test_a_directory_that_takes_nothing_is_said_to(public: Path) -> None:
    """Where nothing may be moved, that is said, and the journal stays where it is."""
    path = public / "journal.db"
    await make(path)
    write(path, b"this is a letter, and no database")
    with nobody({path: 0o666, lock_of(path): 0o666, public: 0o555}):
        assert "it can't be set aside: Permission denied" in await start_fresh_refused(path)


# --- In the run -----------------------------------------------------------------------------------


async def test_what_is_damaged_once_is_not_worked_on(path: Path) -> None:
    """After the first sign of damage every call fails alike, whatever it asks for."""
    await make(path)
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM, LOG], NOW)
        change(path, "DROP TABLE lanes")
        for _ in range(2):
            with pytest.raises(JournalDamaged, match="no such table: lanes"):
                await receive(opened.journal, arrival(100, CRM))
        with pytest.raises(JournalDamaged, match="no such table: lanes"):
            await opened.journal.operator_events(0)


@pytest.mark.parametrize(
    ("recovery", "damage", "said", "moved"),
    [
        (Recovery.REFUSE, JournalDamaged("spoilt"), "spoilt; move it and its -wal aside", False),
        (Recovery.START_FRESH, JournalDamaged("spoilt"), "the next start begins a fresh", True),
        (Recovery.START_FRESH, JournalGone("gone"), "looks at what is there", False),
    ],
)
async def test_a_run_that_ends_with_damage(
    path: Path, recovery: Recovery, damage: JournalDamaged, said: str, *, moved: bool
) -> None:
    """What the next start would meet again is set aside, if so told; what replaced it never is."""
    await make(path)
    events: list[Event] = []
    location = f"sqlite:///{path}"
    with pytest.raises(JournalRefused, match=said):
        async with open_journal(location, recovery=recovery, telemetry=events.append):
            raise damage
    assert moved == (path.name not in names(path.parent))
    assert [JournalSetAside] * moved == [type(event) for event in events]


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm"])
async def test_files_have_to_stay(path: Path, name: str) -> None:
    """A file that is gone or another one is noticed before a commit would go to nowhere."""
    database = Database(path)
    await database.write(lambda connection: connection.run("CREATE TABLE a (b)"))
    database.stay()
    path.with_name(name).rename(path.with_name("elsewhere"))
    with pytest.raises(JournalGone, match=f"{name} is gone"):
        await database.write(lambda connection: connection.run("DELETE FROM a"))
    path.with_name(name).write_bytes(b"")
    with pytest.raises(JournalGone, match=f"{name} is gone"):
        await database.read(lambda connection: connection.run("SELECT * FROM a"))
    await database.close()


async def test_files_that_can_t_be_looked_for_are_not_gone(public: Path) -> None:
    """A folder that is closed to the relay is trouble that may pass, as a full disk is."""
    database = Database(public / "journal.db")
    await database.write(lambda connection: connection.run("CREATE TABLE a (b)"))
    database.stay()
    with nobody({public: 0}), pytest.raises(JournalUnavailable, match="Permission denied"):
        await database.write(lambda connection: connection.run("DELETE FROM a"))
    with nobody({public: 0o777}):
        await database.write(lambda connection: connection.run("DELETE FROM a"))
    await database.close()
