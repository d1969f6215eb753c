"""`relay journal`."""

import asyncio
import re
import resource
import sqlite3
import stat
from contextlib import closing

import pytest

from relay.journal.migrations import KNOWN
from relay.journal.open import OpenJournal
from tests.commands.stage import CRM, NOW, SALES, Stage, frame, uuid
from tests.journal.raw import change, on_disk, sealed_by
from tests.journal.samples import NEW_KEY, OLD_KEY, OTHER_KEY

PATH = "journal.db"

NEWEST, *EARLIER = reversed(KNOWN)


def use(stage: Stage) -> list[list[str]]:
    """List the keys."""
    said = stage.relay("journal", "keys")
    assert (0, "") == (said.code, said.err)
    return said.rows


# --- keys -----------------------------------------------------------------------------------------


def test_keys_without_any(stage: Stage) -> None:
    """Without a key everything is plain, and counted."""
    stage.bury(1, CRM)
    assert [["plain", "-", "1", "1", "0", "0"]] == use(stage)


def test_keys_with_their_rows(stage: Stage) -> None:
    """The key that seals comes first, then those that open; last what is not sealed."""
    stage.receive(1, CRM)
    stage.set_keys(OLD_KEY)
    stage.bury(2, CRM)
    new, old = stage.set_keys(NEW_KEY, OLD_KEY)
    assert [
        [new, "seals", "0", "0", "0", "0"],
        [old, "opens", "1", "1", "0", "0"],
        ["plain", "-", "1", "0", "0", "0"],
    ] == use(stage)


def test_keys_for_programs(stage: Stage) -> None:
    """--json gives one document."""
    (key,) = stage.set_keys(OLD_KEY)
    stage.receive(1, CRM)
    none = {"messages": 0, "attempts": 0, "unreadable": 0, "endpoints": 0}
    assert {
        "keys": [
            none | {"key_id": key, "use": "seals", "messages": 1},
            none | {"key_id": None, "use": "-"},
        ]
    } == stage.relay("journal", "keys", "--json").document


@pytest.mark.parametrize("keys", [(), (OTHER_KEY,)])
def test_a_missing_key_is_a_failure(stage: Stage, keys: tuple[str, ...]) -> None:
    """The list shows what is missing, and a line says so; every other command is refused."""
    (missing,) = stage.set_keys(OLD_KEY)
    stage.receive(1, CRM)
    if keys:
        stage.set_keys(*keys)
    else:
        stage.write_settings()
    said = stage.relay("journal", "keys")
    text = f"expected the keys that rows are sealed with; not there: {missing}"
    assert (1, f"relay: journal_key_file: {text}\n") == (said.code, said.err)
    assert [missing, "missing", "1", "0", "0", "0"] in said.rows
    for command in ("messages list", "dead-letters list", "endpoints list"):
        said = stage.relay(*command.split())
        path = stage.folder / PATH
        beginning = f"relay: journal {path}: has rows sealed with key {missing}; expected"
        assert (1, "") == (said.code, said.out)
        assert said.err.startswith(beginning)


# --- reseal ---------------------------------------------------------------------------------------


def test_turning_it_on_rotating_and_turning_it_off(stage: Stage) -> None:
    """The whole life of a key, by the commands that an operator types."""
    path, body = stage.folder / PATH, frame(1)
    stage.receive(1, CRM)
    assert on_disk(path, body)
    (old,) = stage.set_keys(OLD_KEY)
    assert [[f"1 rows sealed with key {old}"]] == stage.relay("journal", "reseal").rows
    assert not on_disk(path, body)
    new, _ = stage.set_keys(NEW_KEY, OLD_KEY)
    assert [
        [f"1 rows sealed with key {new}"],
        [f"key {old} seals nothing any more: it can be taken out of journal_key_file"],
    ] == stage.relay("journal", "reseal").rows
    stage.set_keys(NEW_KEY)
    assert "hello" in stage.relay("messages", "show", uuid(1), "--content").out
    assert [
        ["1 rows unsealed"],
        [f"key {new} seals nothing any more: it can be taken out of journal_key_file"],
    ] == stage.relay("journal", "reseal", "--plain").rows
    stage.write_settings()
    assert "hello" in stage.relay("messages", "show", uuid(1), "--content").out


def test_reseal_for_programs(stage: Stage) -> None:
    """--json says what came of it."""
    (key,) = stage.set_keys(OLD_KEY)
    stage.receive(1, CRM)
    assert {
        "key": key,
        "rows": 0,
        "damaged": [],
        "unneeded": [],
        "beside_a_relay": False,
        "lingering": "",
    } == stage.relay("journal", "reseal", "--json").document


def test_reseal_beside_a_relay(stage: Stage) -> None:
    """It works, and says what is left to do once no relay runs."""
    stage.receive(1, CRM)
    (key,) = stage.set_keys(OLD_KEY)

    async def reseal(_: OpenJournal) -> list[list[str]]:
        return await asyncio.to_thread(lambda: stage.relay("journal", "reseal").rows)

    assert [
        [f"1 rows sealed with key {key}"],
        ["a relay runs, so the file's free pages may hold what was there before:"],
        ["do this again once while none does, and nothing is left of it"],
    ] == stage.at_journal(reseal)


def test_reseal_needs_a_key(stage: Stage) -> None:
    """Without one there is nothing to seal with, and nothing to open with."""
    stage.receive(1, CRM)
    said = stage.relay("journal", "reseal", "--plain")
    text = "journal_key_file: missing; expected the file with the journal's keys"
    assert (2, "", f"relay: {text}\n") == (said.code, said.out, said.err)


def test_what_cannot_be_opened_is_named(stage: Stage) -> None:
    """The rest is sealed anew, and the failure says what is not; only so many are named."""
    _, old = stage.set_keys(NEW_KEY, OLD_KEY)
    for number in range(1, 4):
        stage.receive(number, CRM)
    change(stage.folder / PATH, "UPDATE messages SET frame = x'00' WHERE seq = 2")
    new, _ = stage.set_keys(OTHER_KEY, NEW_KEY)
    said = stage.relay("journal", "reseal")
    damaged = f"frame of support/{uuid(2)}"
    assert (1, [[f"2 rows sealed with key {new}"]]) == (said.code, said.rows)
    assert f"relay: journal: {damaged}: can't be opened, and stays as it is\n" == said.err
    assert old not in sealed_by(stage.folder / PATH, "messages")


def test_a_journal_in_memory_has_no_vault(stage: Stage) -> None:
    """It belongs to its process."""
    stage.write_settings(journal="memory:")
    said = stage.relay("journal", "keys")
    assert (1, "") == (said.code, said.out)
    assert "memory: is inside the running relay only" in said.err


def test_no_key_is_ever_printed(stage: Stage) -> None:
    """Commands speak of keys by their ids, whatever goes wrong."""
    stage.set_keys(NEW_KEY, OLD_KEY)
    stage.receive(1, SALES)
    said = [
        stage.relay(*command.split())
        for command in ("check", "check --json", "journal keys", "journal keys --json")
    ]
    stage.set_keys(OTHER_KEY)
    said += [stage.relay("journal", "keys"), stage.relay("messages", "list")]
    for key in (OLD_KEY, NEW_KEY, OTHER_KEY):
        assert not [each for each in said if key.removeprefix("rjk_")[:10] in each.out + each.err]


# --- backup and downgrade -------------------------------------------------------------------------


def test_a_backup_is_the_journal_as_it_was(stage: Stage) -> None:
    """It is whole, for its owner only, and what is unfinished in it is as after a crash."""
    stage.receive(1, CRM)
    said = stage.relay("journal", "backup", str(stage.folder / "copy.db"))
    copy = stage.folder / "copy.db"
    assert (0, "", f"{copy}: {copy.stat().st_size} bytes\n") == (said.code, said.err, said.out)
    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    stage.deliver(2, CRM)
    stage.write_settings(journal=f"sqlite:///{copy}")
    stage.location = f"sqlite:///{copy}"
    listed = stage.relay("messages", "list").out
    assert (True, False) == (uuid(1) in listed, uuid(2) in listed)

    async def due(opened: OpenJournal) -> bool:
        found = await opened.journal.due(CRM, NOW + 9, skip=(), limit=9, max_bytes=1 << 20)
        return found.deliveries[0].doubtful

    assert stage.at_journal(due)


def test_a_backup_beside_a_relay(stage: Stage) -> None:
    """A relay that runs is no hindrance, and goes on."""
    stage.receive(1, CRM)

    async def backup(opened: OpenJournal) -> int:
        said = await asyncio.to_thread(lambda: stage.relay("journal", "backup", "copy.db"))
        await opened.journal.stop()
        return said.code

    assert 0 == stage.at_journal(backup)


def test_a_backup_overwrites_nothing(stage: Stage) -> None:
    """A file that is there stays as it is."""
    stage.receive(1, CRM)
    (stage.folder / "copy.db").write_text("precious")
    said = stage.relay("journal", "backup", "copy.db")
    assert (1, "relay: journal copy.db: File exists\n") == (said.code, said.err)
    assert "precious" == (stage.folder / "copy.db").read_text()


def test_a_backup_that_fails_leaves_nothing(stage: Stage) -> None:
    """Half a copy would be taken for one."""
    stage.receive(1, CRM)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, most))
    try:
        said = stage.relay("journal", "backup", str(stage.folder / "copy.db"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert 1 == said.code
    assert said.err.startswith(f"relay: journal {stage.folder}/copy.db: OperationalError")
    assert not (stage.folder / "copy.db").exists()


def test_the_way_back_to_the_first_release(stage: Stage) -> None:
    """The schema goes back, and this relay's commands refuse it until a relay has run."""
    stage.receive(1, CRM)
    said = stage.relay("journal", "downgrade", "0001")
    told = "the journal's schema is 0001: start the relay that had it\n"
    assert (0, told, "") == (said.code, said.out, said.err)
    assert f"its schema is 0001 and not {NEWEST}" in stage.relay("messages", "list").err
    stage.at_journal(_nothing)
    assert uuid(1) in stage.relay("messages", "list").out


def test_the_way_back_to_the_version_before(stage: Stage) -> None:
    """Without a version it is one step; what is under way goes back with it."""
    stage.receive(1, CRM)
    said = stage.relay("journal", "downgrade")
    told = f"the journal's schema is {EARLIER[0]}: start the relay that had it\n"
    assert (0, told, "") == (said.code, said.out, said.err)


def test_a_backup_before_an_upgrade(stage: Stage) -> None:
    """The copy is taken of an earlier relay's journal as it is; other commands refuse that."""
    stage.receive(1, CRM)
    assert 0 == stage.relay("journal", "downgrade", "0001").code
    assert 0 == stage.relay("journal", "backup", str(stage.folder / "copy.db")).code
    stage.write_settings(journal=f"sqlite:///{stage.folder}/copy.db")
    assert f"its schema is 0001 and not {NEWEST}" in stage.relay("journal", "keys").err


def test_what_the_first_release_cannot_hold(stage: Stage) -> None:
    """With sealed rows there is no way back, and what to do is said."""
    stage.set_keys(OLD_KEY)
    stage.receive(1, CRM)
    said = stage.relay("journal", "downgrade", "0001")
    assert 1 == said.code
    assert said.err.endswith("it has sealed rows; first: relay journal reseal --plain\n")
    assert 0 == stage.relay("journal", "reseal", "--plain").code
    assert 0 == stage.relay("journal", "downgrade", "0001").code


def test_no_way_back_while_a_relay_runs(stage: Stage) -> None:
    """It would pull the tables from under its feet; and a version must be one."""
    stage.receive(1, CRM)

    async def downgrade(_: OpenJournal) -> str:
        return (await asyncio.to_thread(lambda: stage.relay("journal", "downgrade", "0001"))).err

    assert "another relay runs on this journal" in stage.at_journal(downgrade)
    said = stage.relay("journal", "downgrade", "0007")
    earlier = ", ".join(EARLIER)
    assert (1, True) == (said.code, said.err.endswith(f"'0007'; expected {earlier}\n"))


def test_a_file_is_written_anew(stage: Stage) -> None:
    """The free room in it goes back to the disk, and it says how much it was."""
    stage.receive(1, CRM)
    with closing(sqlite3.connect(stage.folder / PATH)) as database:
        database.executescript(
            "CREATE TABLE ballast AS SELECT zeroblob(1000000) AS words; DROP TABLE ballast;"
        )
    said = stage.relay("journal", "compact")
    before, after = (int(number) for number in re.findall(r"(\d+) bytes", said.out))
    assert (0, "") == (said.code, said.err)
    assert before > 1_000_000 > after == (stage.folder / PATH).stat().st_size
    assert uuid(1) in stage.relay("messages", "list").out


async def _nothing(_: OpenJournal) -> None:
    pass


# --- What doesn't open, shown ---------------------------------------------------------------------


@pytest.mark.parametrize("family", ["messages", "dead-letters"])
def test_a_damaged_message_is_said_to_be(stage: Stage, family: str) -> None:
    """Its story is told all the same; only its content is not there, and that is a failure."""
    stage.set_keys(OLD_KEY)
    stage.bury(1, CRM)
    change(stage.folder / PATH, "UPDATE messages SET frame = x'00'")
    said = stage.relay(family, "show", uuid(1))
    assert (0, "") == (said.code, said.err)
    for form in ([], ["--json"]):
        said = stage.relay(family, "show", uuid(1), "--content", *form)
        assert "no thanks" in said.out
        text = f"ID: '{uuid(1)}': its copy in the journal can't be opened: too short"
        assert 1 == said.code
        assert said.err.startswith(f"relay: {text}")
