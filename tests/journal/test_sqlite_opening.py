"""A journal in a file: who may open it, and what is said to whoever may not."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from relay.journal.open import is_relayed, open_admin_store, open_journal
from relay.journal.sqlite import lock as refusing
from relay.journal.sqlite.lock import JournalRefused
from relay.journal.statements import Connection
from relay.model.admin import MessageQuery
from relay.model.journal import OperatorEventKind
from tests.journal.relay_process import relay_process
from tests.journal.samples import (
    CRM,
    LOG,
    NOW,
    arrival,
    confirm,
    dead,
    delivered,
    due,
    ids,
    postponed,
    receive,
    settle,
    uuid,
)

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "journal.db"


@pytest.fixture
def location(path: Path) -> str:
    """Name it as the settings do."""
    return f"sqlite:///{path}"


async def make(location: str) -> None:
    """Let a relay make the journal and stop cleanly."""
    async with open_journal(location) as opened:
        await opened.journal.start([CRM, LOG], NOW)
        await opened.journal.stop()


@contextmanager
def looking_at_the_lock(path: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock as one who only looks does; gives what ends that."""
    with Path(f"{path}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read(path: Path) -> bytes:
    return path.read_bytes()


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def pragmas(connection: Connection, *wanted: str) -> list[Any]:
    return [connection.value(f"PRAGMA {name}") for name in wanted]


async def refused(location: str) -> str:
    """Expect a relay to be refused; gives the reason."""
    with pytest.raises(JournalRefused) as caught:
        async with open_journal(location):
            pytest.fail("opened")
    return str(caught.value)


async def desk_refused(location: str) -> str:
    """Expect an operator's command to be refused; gives the reason."""
    with pytest.raises(JournalRefused) as caught:
        async with open_admin_store(location):
            pytest.fail("opened")
    return str(caught.value)


# --- Opening again ------------------------------------------------------------------------------


async def test_a_journal_keeps_everything(location: str) -> None:
    """Whatever was written down before a stop is there after the next start."""
    async with open_journal(location) as opened:
        journal = opened.journal
        assert await journal.start([CRM, LOG], NOW)
        arrivals = (arrival(number, CRM, lane=f"l{number}") for number in range(1, 6))
        one, two, three, four, _ = await receive(journal, *arrivals)
        await settle(journal, [delivered(one)], NOW)
        await confirm(journal)
        await settle(journal, [delivered(two), postponed(three, NOW + 60), dead(four)], NOW)
        await opened.admin.pause(LOG)
        await journal.stop()
        census = await journal.census()
        histories = [await opened.admin.history(uuid(number)) for number in range(1, 6)]
        standing = await opened.admin.endpoints()
    async with open_journal(location) as opened:
        journal = opened.journal
        assert await journal.start([CRM, LOG], NOW + 10)
        again = await journal.census()
        assert (census.bots, census.dead_letters) == (again.bots, again.dead_letters)
        assert histories == [await opened.admin.history(uuid(number)) for number in range(1, 6)]
        assert standing == await opened.admin.endpoints()
        assert [uuid(5), uuid(3)] == ids(await due(journal))
        assert [OperatorEventKind.PAUSED] == [
            notice.kind for notice in await journal.operator_events(0)
        ]


async def test_a_closed_journal_is_one_file(location: str, path: Path) -> None:
    """A clean end takes everything into the database, so that a copy of it is a backup."""
    await make(location)
    assert {"journal.db", "journal.db.lock"} == names(path.parent)


async def test_a_journal_is_its_owners_only(location: str, path: Path) -> None:
    """What people wrote to each other can't be read by every user of the machine."""
    await make(location)
    assert 0o600 == mode(path)


@pytest.mark.parametrize("name", ["a b.db", "50%20.db", "what?mode=ro", "a#b", "über.db"])
async def test_a_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    """Whatever a file is called, it is that file that is opened."""
    await make(f"sqlite:///{tmp_path}/{name}")
    async with open_admin_store(f"sqlite:///{tmp_path}/{name}") as desk:
        assert [CRM, LOG] == [record.endpoint for record in await desk.endpoints()]
    assert {name, f"{name}.lock"} == names(tmp_path)


async def test_the_database_is_set_up_as_designed(location: str) -> None:
    """Every connection keeps foreign keys and the durability of W8."""
    async with open_journal(location) as opened:
        database = opened.journal._database  # type: ignore[attr-defined]
        for run in (database.read, database.write):
            assert ["wal", 1, 1] == await run(
                pragmas, "journal_mode", "synchronous", "foreign_keys"
            )


# --- Refusing -----------------------------------------------------------------------------------


async def test_a_directory_is_no_journal(tmp_path: Path) -> None:
    """A path that is a directory is said to be one."""
    assert f"{tmp_path}: is a directory" in await refused(f"sqlite:///{tmp_path}")
    assert f"{tmp_path}: there is no such journal" in await desk_refused(f"sqlite:///{tmp_path}")


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A relay makes a file, but no directory."""
    path = tmp_path / "missing" / "journal.db"
    assert f"{path}: there is no directory {path.parent}" == await refused(f"sqlite:///{path}")


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    """Make a directory that this user may not write to, whoever it is."""
    directory = tmp_path / "forbidden"
    directory.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield directory
    os.seteuid(user)


async def test_a_directory_that_may_not_be_written_is_named(forbidden: Path) -> None:
    """Where a relay may not write, it says so in a line."""
    path = forbidden / "journal.db"
    assert f"{path}: Permission denied" == await refused(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "content", [b"this is a letter, and no database", b"SQLite format 3\0" * 9]
)
async def test_a_file_that_is_no_database_is_refused(
    location: str, path: Path, content: bytes
) -> None:
    """Another file is named, and left as it is."""
    write(path, content)
    assert f"{path}: not a journal, or damaged" in await refused(location)
    assert f"{path}: not a journal, or damaged" in await desk_refused(location)
    assert content == read(path)


async def test_another_programs_database_is_refused(location: str, path: Path) -> None:
    """A database with other tables is left alone."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    expected = f"{path}: it is a database, but not a relay's journal"
    assert expected in await refused(location)
    with closing(sqlite3.connect(path)) as database:
        assert [("songs",)] == database.execute("SELECT name FROM sqlite_master").fetchall()


async def test_a_newer_schema_is_refused(location: str, path: Path) -> None:
    """A journal that a newer relay has changed is not touched by an older one."""
    await make(location)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    said = await refused(location)
    assert f"{path}: its schema 9999 is newer than this relay; upgrade the relay" == said
    assert f"{path}: its schema is 9999 and not" in await desk_refused(location)


@pytest.mark.parametrize("location", ["postgresql://localhost/relay", "relay.db", "sqlite:///"])
async def test_another_location_is_refused(location: str) -> None:
    """A location of an unknown kind is named, with what is expected."""
    expected = f"{location}: expected memory: or sqlite:///PATH"
    assert [expected] * 2 == [await refused(location), await desk_refused(location)]


async def test_a_relay_does_not_wait_for_ever(location: str, path: Path) -> None:
    """A journal that something else holds is refused at the start, in words."""
    await make(location)
    with closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalRefused, match="database is locked"):
            async with open_journal(location, busy_timeout=0.01):
                pytest.fail("opened")


# --- The desk's own -----------------------------------------------------------------------------


async def test_a_desk_makes_no_journal(location: str, path: Path) -> None:
    """An operator's command on a file that is missing, or empty, changes nothing."""
    assert f"{path}: there is no such journal" == await desk_refused(location)
    assert set() == names(path.parent)
    write(path, b"")
    assert f"{path}: its schema is none and not" in await desk_refused(location)
    assert b"" == read(path)


async def test_a_desk_has_no_memory() -> None:
    """A journal in memory belongs to its process."""
    assert "ask its admin API" in await desk_refused("memory:")


# --- One relay at a time ------------------------------------------------------------------------


async def test_a_second_relay_is_refused(location: str, path: Path) -> None:
    """Of two relays in one process the second is refused, under any name; a desk never is."""
    link = path.with_name("link.db")
    async with open_journal(location):
        link.symlink_to(path)
        expected = f"{path}: another relay runs on this journal, or `relay journal reseal` does"
        assert [expected] * 2 == [await refused(location), await refused(f"sqlite:///{link}")]
        async with open_admin_store(location) as desk:
            assert [] == await desk.messages(MessageQuery())
    await make(location)


async def test_a_second_process_is_refused(location: str, path: Path) -> None:
    """Of two relays in two processes the second is refused, either way round."""
    async with relay_process(location) as first:
        assert "started True" == await first.hear()
        assert "another relay runs on this journal" in await refused(location)
    async with open_journal(location), relay_process(location) as second:
        assert f"refused {path}: another relay runs on this journal" in await second.hear()


async def test_whether_a_relay_runs(location: str) -> None:
    """One in this process or in another is seen, none after a crash or where none ever was."""
    assert not is_relayed(location)
    async with open_journal(location):
        assert is_relayed(location)
    assert not is_relayed(location)
    async with relay_process(location) as relay:
        await relay.hear()
        assert is_relayed(location)
        await relay.kill()
    assert not is_relayed(location)
    assert is_relayed("memory:")


async def test_whoever_looks_keeps_no_relay_from_starting(
    location: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that starts while a command looks at the lock waits for that instant."""
    monkeypatch.setattr(refusing, "PATIENCE", 60.0)
    await make(location)
    with looking_at_the_lock(path) as look_away:
        looks = Timer(0.05, look_away)
        looks.start()
        await make(location)
        looks.join()


async def test_a_killed_relay_holds_nothing(location: str) -> None:
    """After a crash the next relay opens the journal, finds all, and knows that it was one."""
    async with relay_process(location) as relay:
        await relay.hear()
        await relay.tell("record 1")
        await relay.kill()
    async with open_journal(location) as opened:
        assert not await opened.journal.start([CRM], NOW)
        (delivery,) = (await due(opened.journal)).deliveries
        assert (uuid(1), True) == (delivery.message.message_id, delivery.doubtful)


async def test_a_desk_works_beside_a_running_relay(location: str) -> None:
    """A relay that records and an operator who pauses and looks don't lose each other's work."""
    count = 20
    async with relay_process(location) as relay:
        await relay.hear()
        async with open_admin_store(location) as desk:
            for number in range(1, count + 1):
                answer = relay.tell(f"record {number}")
                assert await desk.pause(CRM)
                await answer
                assert number == len(await desk.messages(MessageQuery()))
        assert "stop" == await relay.tell("stop")
    async with open_journal(location) as opened:
        assert await opened.journal.start([CRM], NOW)
        assert count == len(await opened.journal.operator_events(0))
