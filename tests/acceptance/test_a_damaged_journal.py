"""A damaged journal: refused, or set aside whole; and nothing READ that is not written down."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relay.model.ports import Recovery
from tests.acceptance.damages import DAMAGES, Damage, broken_header, broken_log
from tests.acceptance.house import BOT, House
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Hang, Receiver

SET_ASIDE = "relay_journal_set_aside_timestamp_seconds"

InTheRun = Callable[[Path], None]


def each(*all_of_them: Any, at_once: set[Any]) -> list[Any]:
    """Try each; all but a few only with the proof, since each takes its second or two."""
    return [
        pytest.param(one, id=one.__name__, marks=() if one in at_once else pytest.mark.prove)
        for one in all_of_them
    ]


each_damage = pytest.mark.parametrize("damage", each(*DAMAGES, at_once={broken_header, broken_log}))


def fresh(house: House) -> None:
    """Let relays begin anew; what was delivered and not yet READ may come again then (W8)."""
    house.settings["journal_recovery"] = str(Recovery.START_FRESH)
    house.one_journal = False


def contents(house: House) -> dict[str, bytes]:
    """Read the journal's files and what was made of them, but for what any reader writes anew."""
    files = house.directory.glob("journal.db*")
    passing = (".lock", "-shm")
    return {file.name: file.read_bytes() for file in files if not file.name.endswith(passing)}


def mode_of(house: House, name: str) -> int:
    """Tell who may read a file."""
    return (house.directory / name).stat().st_mode


async def killed(house: House, receiver: Receiver) -> list[str]:
    """Let a relay be killed that has delivered some, and owes others; answers with the latter."""
    relay = await house.relay()
    await house.read(house.push(5))
    receiver.default = Hang()
    ids = house.push(5)
    await house.until(lambda: len(receiver.hanging) > 0, "a request")
    await relay.kill()
    receiver.default = OK
    receiver.release()
    return ids


async def refused(house: House) -> str:
    """Expect a relay to end by itself with one line; gives the line."""
    relay = await house.start()
    assert 1 == await relay.ended()
    (line,) = (line for line in relay.err.lines if line.startswith("relay: "))
    return line


# --- At the start ---------------------------------------------------------------------------------


@each_damage
async def test_a_damaged_journal_is_refused(house: House, damage: Damage) -> None:
    """The relay says which file, why, and what to do, and leaves every byte where it is."""
    await killed(house, await house.receiver())
    damage(house.journal, random.Random(1))
    before = contents(house)
    line = await refused(house)
    assert line.startswith(f"relay: journal {house.journal}: ")
    assert "journal_recovery: start_fresh" in line
    after = contents(house)
    assert before == {name: after[name] for name in before}
    assert {"journal.db-wal"} >= after.keys() - before.keys()


@each_damage
async def test_w8_a_damaged_journal_is_set_aside(house: House, damage: Damage) -> None:
    """With start_fresh it is kept whole under a dated name, and all that was unread is READ."""
    receiver = await house.receiver()
    fresh(house)
    ids = await killed(house, receiver)
    damage(house.journal, random.Random(2))
    before, mode = contents(house), mode_of(house, "journal.db")
    relay = await house.relay()
    await house.read([*ids, *house.push(3)])
    (said,) = relay.events("journal.set_aside")
    assert ("error", str(house.journal)) == (said["level"], said["journal"])
    name_of = Path(said["kept_as"]).name
    assert name_of.startswith("journal.db.corrupt-20")
    assert mode == mode_of(house, name_of)
    after = contents(house)
    for name, content in before.items():
        assert content == after[name.replace("journal.db", name_of)]
    assert 0 < (await relay.metrics()).value(SET_ASIDE)
    assert 0 == await relay.stop()


async def test_a_sound_journal_stays(house: House) -> None:
    """With start_fresh a relay that was killed goes on with its journal like any other."""
    receiver = await house.receiver()
    house.settings["journal_recovery"] = "start_fresh"
    ids = await killed(house, receiver)
    relay = await house.relay()
    await house.read(ids)
    assert [] == relay.events("journal.set_aside")
    assert 0 == (await relay.metrics()).value(SET_ASIDE)
    assert [] == [name for name in contents(house) if "corrupt" in name]


# --- In the run -----------------------------------------------------------------------------------


def deleted(journal: Path) -> None:
    """Take the file away."""
    journal.unlink()


def log_deleted(journal: Path) -> None:
    """Take its log away."""
    journal.with_name("journal.db-wal").unlink()


def all_deleted(journal: Path) -> None:
    """Take everything away."""
    for file in journal.parent.glob("journal.db*"):
        file.unlink()


def replaced(journal: Path) -> None:
    """Put a copy of it in its place, as who restores a backup without a stop."""
    other = journal.with_name("other")
    with closing(sqlite3.connect(journal)) as ours, closing(sqlite3.connect(other)) as copy:
        ours.backup(copy)
    other.rename(journal)


def cut(journal: Path) -> None:
    """Cut it short, and what is in its log."""
    os.truncate(journal, 4096)
    os.truncate(journal.with_name("journal.db-wal"), 0)


def overwritten(journal: Path) -> None:
    """Write another file over it, and over its log."""
    size = journal.stat().st_size
    with journal.open("r+b") as file:
        file.write(random.Random(3).randbytes(size))
    shutil.copyfile(journal, journal.with_name("journal.db-wal"))


each_end = pytest.mark.parametrize(
    "happens",
    each(
        *(deleted, log_deleted, all_deleted, replaced, cut, overwritten),
        at_once={replaced, overwritten},
    ),
)


async def settled(house: House) -> RelayProcess:
    """Start a relay that has written everything into the database once, and holds READ of none."""
    relay = await house.relay()
    await house.read(house.push(200))
    with closing(sqlite3.connect(house.journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return relay


@each_end
async def test_damage_in_the_run_ends_it(house: House, happens: InTheRun) -> None:
    """The relay says so and ends; the next one refuses, or goes on: nothing is lost either way."""
    receiver = await house.receiver()
    fresh(house)
    relay = await settled(house)
    happens(house.journal)
    ids = house.push(5)
    assert 1 == await relay.ended()
    assert 1 == len(relay.events("journal.damaged"))
    assert relay.err.lines[-1].startswith(f"relay: journal {house.journal}: ")
    again = await house.relay()
    await house.read(ids)
    assert set(ids) <= set(receiver.taken)
    assert 0 == (await again.metrics()).value("relay_conservation_imbalance", bot=BOT)
    assert 0 == await again.stop()


async def test_an_idle_relay_notices_as_well(house: House) -> None:
    """Nobody writes, nothing comes, and within seconds it is noticed that the journal is gone."""
    await house.receiver()
    relay = await house.relay()
    deleted(house.journal)
    assert 1 == await relay.ended()
    assert "journal.db is gone" in relay.err.lines[-1]


async def test_what_was_not_written_down_is_not_read(house: House) -> None:
    """A 2xx whose outcome finds no journal any more leaves the message unread."""
    receiver = await house.receiver()
    fresh(house)
    receiver.next(Hang())
    relay = await house.relay()
    (message_id,) = house.push()
    await house.until(lambda: receiver.hanging == [message_id], "the request")
    deleted(house.journal)
    receiver.release(OK)
    assert 1 == await relay.ended()
    assert 0 == house.acks_of(message_id)
    await house.relay()
    await house.read([message_id])
    assert [message_id] * 2 == receiver.taken


async def test_damage_in_the_run_is_no_loop(house: House) -> None:
    """With start_fresh the relay that ends sets it aside itself: the next one begins at once."""
    await house.receiver()
    fresh(house)
    relay = await settled(house)
    broken_header(house.journal, random.Random(4))
    overwritten(house.journal)
    ids = house.push(5)
    assert 1 == await relay.ended()
    (said,) = relay.events("journal.set_aside")
    assert {Path(said["kept_as"]).name} <= contents(house).keys()
    assert "journal.db" not in contents(house)
    again = await house.relay()
    assert [] == again.events("journal.set_aside")
    await house.read(ids)


async def test_without_start_fresh_damage_in_the_run_stays_where_it_is(house: House) -> None:
    """The relay ends, every later start refuses, and only a person touches the file."""
    await house.receiver()
    relay = await settled(house)
    overwritten(house.journal)
    house.push(5)
    assert 1 == await relay.ended()
    assert "journal_recovery: start_fresh" in relay.err.lines[-1]
    assert "journal_recovery: start_fresh" in await refused(house)
    assert [] == [name for name in contents(house) if "corrupt" in name]
