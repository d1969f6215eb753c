"""Whoever reads the disk of a journal with a key reads no message: every byte of every file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relay.journal.encryption.keys import Keyring
from relay.model.admin import DeadLetterQuery
from relay.model.journal import EndpointNote, UnreadableFrame
from relay.model.messages import BreakerState, Reason, Rejected
from tests.journal.raw import on_disk
from tests.journal.samples import (
    CRM,
    KEYS,
    LATER,
    NOW,
    ROTATED,
    arrival,
    confirm,
    dead,
    delivered,
    due,
    keep_unreadable,
    note_endpoint,
    postponed,
    receive,
    settle,
)
from tests.journal.sealed import running, tools

FRAME, DETAIL, SAMPLE, ERROR = b"frame-of-ann", b"detail-of-ann", b"sample-of-ann", b"error-of-ann"
WORDS = (FRAME, DETAIL, SAMPLE, ERROR)
COUNT = 150


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "journal.db"


async def work(path: Path, keys: Keyring | None, first: int = 1) -> set[tuple[str, bytes]]:
    """Do all that a relay and operators do; answers with what is on the disk before the stop."""
    async with running(path, keys) as opened:
        journal = opened.journal
        said = Rejected(Reason.HTTP_4XX, 400, DETAIL.decode())
        arrivals = (
            arrival(number, CRM, lane=f"l{number}", frame=FRAME * (number % 60))
            for number in range(first, first + COUNT)
        )
        deliveries = await receive(journal, *arrivals)
        await settle(journal, [postponed(each, NOW, said) for each in deliveries], NOW)
        await settle(journal, [delivered(each) for each in deliveries[::3]], NOW)
        await settle(journal, [dead(each, said) for each in deliveries[1::3]], NOW)
        await opened.admin.retry(DeadLetterQuery(limit=10), NOW)
        await opened.admin.discard(DeadLetterQuery(limit=10), NOW, mark_read=False)
        await confirm(journal)
        for number in range(20):
            frame = UnreadableFrame(f"{first} {number}", "no", SAMPLE * 50)
            await keep_unreadable(journal, "bot", frame, NOW)
        await note_endpoint(journal, CRM, EndpointNote(BreakerState.OPEN, ERROR.decode()))
        await due(journal)
        await journal.prune(LATER, limit=20)
        return on_disk(path, *WORDS)


async def test_a_journal_with_a_key_never_holds_a_word(path: Path) -> None:
    """Neither while it runs, the log included, nor after a stop."""
    assert set() == await work(path, KEYS)
    assert set() == on_disk(path, *WORDS)


async def test_without_a_key_words_are_there_to_be_found(path: Path) -> None:
    """What these tests look for would be found."""
    await work(path, None)
    assert {(path.name, word) for word in WORDS} == on_disk(path, *WORDS)


def forget(path: Path) -> None:
    """Delete rows as a relay without a key does where SQLite does not wipe by itself."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA secure_delete=OFF")
        database.execute("DELETE FROM unreadable")


async def test_nothing_is_left_of_a_journal_that_was_plain(path: Path) -> None:
    """Sealed anew without a relay, its free pages hold nothing of what was there before."""
    await work(path, None)
    forget(path)
    assert (path.name, SAMPLE) in on_disk(path, *WORDS)
    async with tools(path, KEYS) as opened:
        resealed = await opened.reseal()
        assert not resealed.lingering
        assert set() == on_disk(path, *WORDS)
    assert set() == on_disk(path, *WORDS)


async def test_a_key_set_beside_plain_rows_needs_the_file_written_anew(path: Path) -> None:
    """Sealed beside a relay it may linger until it is done again without one."""
    await work(path, None)
    async with running(path, KEYS), tools(path, KEYS) as opened:
        assert (await opened.reseal()).beside_a_relay
    async with tools(path, KEYS) as opened:
        assert 0 == (await opened.reseal()).rows
    assert set() == on_disk(path, *WORDS)


async def test_rotation_never_writes_a_word(path: Path) -> None:
    """From key to key nothing is plain in between."""
    await work(path, KEYS)
    async with tools(path, ROTATED) as opened:
        found: list[set[tuple[str, bytes]]] = []
        await opened.reseal(advance=lambda _: found.append(on_disk(path, *WORDS)))
    assert {frozenset()} == {frozenset(each) for each in found}
    assert set() == on_disk(path, *WORDS)
