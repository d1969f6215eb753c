"""Sealing anew: everything under one key, or none, whatever happens meanwhile."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from relay.journal.encryption import rotation as resealing
from relay.journal.encryption.file_tools import Resealed
from relay.journal.encryption.keys import Keyring
from relay.journal.encryption.rotation import KeyUse
from relay.journal.open import open_journal
from relay.journal.sqlite.lock import JournalRefused, Lock, LockHeld
from tests.journal.raw import change, rows, sealed_by
from tests.journal.samples import (
    CRM,
    KEYS,
    NEW,
    OTHER,
    ROTATED,
    arrival,
    receive,
    uuid,
)
from tests.journal.sealed import BODY, TABLES, running, stock, told, tools

OLD_ID, NEW_ID = KEYS.first.id, NEW.first.id
COUNT = 7
ALL = COUNT * 3 + 1
"""Messages, attempts, frames, and one endpoint's last error."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it many batches."""
    monkeypatch.setattr(resealing, "BATCH", 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "journal.db"


async def fill(path: Path, keys: Keyring | None) -> None:
    """Let a relay write down some of everything."""
    async with running(path, keys) as opened:
        for number in range(1, COUNT + 1):
            await stock(opened, number)


async def reseal(
    path: Path,
    keys: Keyring,
    *,
    plain: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Resealed:
    """Seal anew."""
    async with tools(path, keys) as opened:
        return await opened.reseal(plain=plain, advance=advance)


def seals(path: Path) -> set[str | None]:
    """Name the keys that rows with something in them are sealed with."""
    found = {key for table in TABLES[:3] for key in sealed_by(path, table)}
    errors = "SELECT sealed_by FROM endpoints WHERE last_error IS NOT NULL"
    return found | {row[0] for row in rows(path, errors)}


# --- What comes of it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "keys", "plain", "after", "unneeded"),
    [
        (None, KEYS, False, OLD_ID, ()),
        (KEYS, ROTATED, False, NEW_ID, (OLD_ID,)),
        (KEYS, KEYS, True, None, (OLD_ID,)),
        (KEYS, ROTATED, True, None, (NEW_ID, OLD_ID)),
    ],
)
async def test_everything_is_sealed_with_one_key(
    path: Path,
    before: Keyring | None,
    keys: Keyring,
    after: str | None,
    unneeded: tuple[str, ...],
    *,
    plain: bool,
) -> None:
    """Set, rotated or taken off: every row is alike, says the same, and no old key is needed."""
    await fill(path, before)
    async with running(path, before) as opened:
        said = await told(opened, *range(1, COUNT + 1))
    assert Resealed(ALL, [], unneeded) == await reseal(path, keys, plain=plain)
    assert {after} == seals(path)
    left = None if plain else Keyring([keys.first])
    async with running(path, left) as opened:
        assert said == await told(opened, *range(1, COUNT + 1))


async def test_what_is_as_it_shall_be_is_left_alone(path: Path) -> None:
    """A second time there is nothing to do, and no row has another seal."""
    await fill(path, KEYS)
    frames = rows(path, "SELECT frame FROM messages")
    assert Resealed(0) == await reseal(path, KEYS)
    assert frames == rows(path, "SELECT frame FROM messages")


async def test_the_keys_are_counted(path: Path) -> None:
    """Each key with its rows, whether it is there or not; last what is not sealed."""
    await fill(path, None)
    async with running(path, KEYS) as opened:
        await stock(opened, COUNT + 1)
    async with running(path, ROTATED) as opened:
        for number in (COUNT + 2, COUNT + 3):
            await receive(opened.journal, arrival(number, CRM, frame=BODY))
    counted = {OLD_ID: (1, 1, 1, 1), NEW_ID: (2, 0, 0, 0)}
    expected = [KeyUse(key, *counted[key]) for key in sorted(counted)]
    async with tools(path, OTHER) as opened_vault:
        uses = await opened_vault.uses()
    assert [*expected, KeyUse(None, COUNT, COUNT, COUNT, 0)] == uses
    assert {4, 2, 3 * COUNT} == {use.rows for use in uses}


async def test_progress_is_told(path: Path) -> None:
    """How many there are, then how many are done, adds up."""
    await fill(path, None)
    totals: list[int] = []
    steps: list[int] = []
    async with tools(path, KEYS) as opened:
        await opened.reseal(begin=totals.append, advance=steps.append)
    assert ([ALL], ALL) == (totals, sum(steps))
    assert 2 == max(steps)


async def test_large_rows_make_small_batches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded in bytes too, but a row beyond the bound is one."""
    monkeypatch.setattr(resealing, "BATCH", 100)
    monkeypatch.setattr(resealing, "BATCH_BYTES", 250)
    async with running(path, None) as opened:
        arrivals = (arrival(n, CRM, frame=b"x" * (300 if n == 1 else 100)) for n in range(1, 7))
        await receive(opened.journal, *arrivals)
    steps: list[int] = []
    await reseal(path, KEYS, advance=steps.append)
    assert [1, 2, 2, 1] == steps


# --- Broken off -----------------------------------------------------------------------------------


class Enough(Exception):  # noqa: N818 - it is made up
    """Somebody pressed Ctrl-C."""


async def test_what_was_broken_off_goes_on(path: Path) -> None:
    """What is done stays done, the rest is done by the next call, and the lock is free."""
    await fill(path, None)

    def stop(_: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        await reseal(path, KEYS, advance=stop)
    assert {None, OLD_ID} == seals(path)
    assert Resealed(ALL - 2) == await reseal(path, KEYS)
    assert {OLD_ID} == seals(path)


_KILLED = """
import asyncio, os, sys
from relay.journal.open import open_file_tools
from relay.journal.encryption import rotation as resealing
from tests.journal.samples import KEYS
resealing.BATCH = 2
done = []

def advance(rows):
    done.append(rows)
    if len(done) == 5:
        os.kill(os.getpid(), 9)

async def main():
    async with open_file_tools(sys.argv[1], keys=KEYS) as tools:
        await tools.reseal(advance=advance)

asyncio.run(main())
"""


async def test_what_was_killed_goes_on(path: Path) -> None:
    """After kill -9 every row opens, and the next call does the rest."""
    await fill(path, None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, f"sqlite:///{path}"
    )
    assert -9 == await process.wait()
    async with running(path, KEYS) as opened:
        frames, *_ = await told(opened)
    assert [BODY] * COUNT == frames
    assert Resealed(ALL - 9) == await reseal(path, KEYS)  # the fourth batch was the odd message


async def test_what_cannot_be_opened_stays_as_it_is(path: Path) -> None:
    """It is named, its key is still needed, and nothing else waits for it."""
    await fill(path, KEYS)
    change(path, "UPDATE messages SET frame = x'01' WHERE seq = 3")
    change(path, "UPDATE attempts SET detail = 'AQ==' WHERE id = 4")
    resealed = await reseal(path, ROTATED)
    damaged = [f"frame of bot/{uuid(3)}", f"detail of bot/{uuid(4)}/crm/1"]
    assert Resealed(ALL - 2, damaged) == resealed
    assert [(b"\x01", OLD_ID)] == rows(path, "SELECT frame, sealed_by FROM messages WHERE seq = 3")
    assert {NEW_ID, OLD_ID} == seals(path)


@pytest.mark.parametrize("keys", [NEW, OTHER])
async def test_nothing_is_sealed_anew_without_every_key(path: Path, keys: Keyring) -> None:
    """A key that is missing is told at once, before anything is changed."""
    await fill(path, KEYS)
    with pytest.raises(JournalRefused, match=f"sealed with key {OLD_ID}; expected"):
        await reseal(path, keys)
    assert {OLD_ID} == seals(path)


# --- Beside a relay, and instead of one -----------------------------------------------------------


async def test_it_works_beside_a_relay(path: Path) -> None:
    """What a relay records meanwhile is sealed as well, and it reads what was sealed anew."""
    await fill(path, None)
    async with running(path, KEYS) as opened:
        recording = [
            asyncio.create_task(receive(opened.journal, arrival(number, CRM, frame=BODY)))
            for number in range(COUNT + 1, COUNT + 11)
        ]
        resealed = await reseal(path, KEYS)
        await asyncio.gather(*recording)
        frames, *_ = await told(opened)
    assert Resealed(ALL, beside_a_relay=True) == resealed
    assert [BODY] * (COUNT + 10) == frames
    assert {OLD_ID} == seals(path)


@pytest.mark.parametrize(
    ("relay", "keys", "plain", "why"),
    [
        (None, KEYS, False, f"the running relay seals nothing, and not with key {OLD_ID}; restart"),
        (KEYS, ROTATED, False, f"seals with key {OLD_ID}, and not with key {NEW_ID}; restart it"),
        (KEYS, KEYS, True, f"the running relay seals with key {OLD_ID}; stop it first"),
    ],
)
async def test_a_relay_that_seals_otherwise_is_named(
    path: Path, relay: Keyring | None, keys: Keyring, why: str, *, plain: bool
) -> None:
    """It could not open what is sealed with a key that it has not read: nothing is changed."""
    await fill(path, relay)
    async with running(path, relay):
        before = seals(path)
        with pytest.raises(JournalRefused, match=why):
            await reseal(path, keys, plain=plain)
        assert before == seals(path)


async def test_a_relay_that_is_restarted_with_another_key_ends_it(path: Path) -> None:
    """Each batch looks by which key the relay seals."""
    await fill(path, None)
    async with running(path, KEYS):
        with pytest.raises(JournalRefused, match=f"the running relay seals with key {NEW_ID}, and"):
            await reseal(
                path,
                KEYS,
                advance=lambda _: change(path, "UPDATE run SET seals_with = ?", NEW_ID),
            )
    assert {None, OLD_ID} == seals(path)


async def test_no_relay_starts_meanwhile(path: Path) -> None:
    """Without a relay it holds the journal as one does, and gives it back."""
    await fill(path, None)
    refused: list[bool] = []

    def start(_: int) -> None:
        with pytest.raises(LockHeld):
            Lock(path).take()
        refused.append(True)

    await reseal(path, KEYS, advance=start)
    assert refused
    async with open_journal(f"sqlite:///{path}", keys=KEYS):
        pass


async def test_a_reader_that_stays_is_told(path: Path) -> None:
    """As long as somebody reads, the log can't be emptied: it is said, and done the next time."""
    await fill(path, None)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
        async with tools(path, KEYS, busy_timeout=0.01) as opened:
            resealed = await opened.reseal()
        reader.rollback()
    assert Resealed(ALL, lingering="somebody else reads it") == resealed
    assert Resealed(0) == await reseal(path, KEYS)


async def test_a_journal_that_is_locked_is_refused_in_words(path: Path) -> None:
    """Somebody who writes for too long is no reason for a traceback."""
    await fill(path, None)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        async with tools(path, KEYS, busy_timeout=0.01) as opened:
            with pytest.raises(JournalRefused, match="database is locked"):
                await opened.reseal()
