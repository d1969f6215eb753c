"""A journal in a file when the disk is full, the file locked, or the caller gone."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from relay.journal.open import OpenJournal, open_journal
from relay.journal.sqlite.engine import Database, Worker
from relay.journal.statements import Connection
from relay.model.admin import DeadLetterQuery, MessageQuery
from relay.model.messages import Delivery
from relay.model.ports import JournalUnavailable
from tests.journal.samples import (
    CRM,
    LOG,
    NOW,
    arrival,
    dead,
    delivered,
    due,
    postponed,
    receive,
    record,
    settle,
    settle_receipts,
    uuid,
)
from tests.journal.tap import database, tapped

Act = Callable[[OpenJournal, list[Delivery]], Awaitable[Any]]

BIG = b"x" * 20_000
PATIENCE = 30.0
"""Seconds after which a thread of a test that has gone wrong gives up."""

ACTS: dict[str, Act] = {
    "record": lambda opened, _: record(
        opened.journal, [arrival(7, CRM, LOG, frame=BIG), arrival(1, CRM), arrival(8, frame=BIG)]
    ),
    "settle": lambda opened, pending: settle(
        opened.journal, [delivered(pending[0]), dead(pending[1]), postponed(pending[2], NOW)], NOW
    ),
    "settle receipts": lambda opened, _: settle_receipts(
        opened.journal, "bot", confirmed=[1], refused=[], now=NOW
    ),
    "retry": lambda opened, _: opened.admin.retry(DeadLetterQuery(), NOW),
    "discard": lambda opened, _: opened.admin.discard(DeadLetterQuery(), NOW, mark_read=True),
    "prune": lambda opened, _: opened.journal.prune(NOW * 2, limit=10),
    "start": lambda opened, _: opened.journal.start([CRM], NOW),
}


class Fault(Exception):  # noqa: N818 - it is made up
    """Whatever may go wrong between two statements."""


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """Open a journal that does not wait long for others."""
    async with open_journal(f"sqlite:///{tmp_path}/journal.db", busy_timeout=0.05) as opened:
        await opened.journal.start([CRM, LOG], NOW)
        yield opened


@pytest.fixture
async def pending(opened: OpenJournal) -> list[Delivery]:
    """Stock the journal: READ, owed, dead, and three deliveries that are under way."""
    arrivals = [arrival(number, CRM, lane=f"l{number}") for number in range(1, 7)]
    one, two, three, *rest = await receive(opened.journal, *arrivals)
    await settle(opened.journal, [delivered(one), delivered(two), dead(three)], NOW)
    await settle_receipts(opened.journal, "bot", confirmed=[2], refused=[], now=NOW)
    return rest


def writer(opened: OpenJournal) -> Worker:
    """Reach for the thread that writes."""
    return database(opened)._writer


async def everything(opened: OpenJournal) -> Any:
    """Tell all that the journal knows."""
    summaries = await opened.admin.messages(MessageQuery(limit=1000))
    return (
        summaries,
        [await opened.admin.history(summary.message_id) for summary in summaries],
        await opened.admin.endpoints(),
        await opened.journal.operator_events(0),
        (await opened.journal.census()).bots,
    )


@contextmanager
def failing_at(worker: Worker, number: int) -> Iterator[list[str]]:
    """Let the statement of this number go wrong, the commit being the last; notes what ran."""
    ran: list[str] = []

    def count(text: str, _: object) -> None:
        ran.append(text)
        if len(ran) == number:
            raise Fault(text)

    with tapped(worker, count):
        yield ran


# --- Whole or not at all ------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
async def test_a_write_that_fails_leaves_nothing_behind(
    opened: OpenJournal, pending: list[Delivery], act: str
) -> None:
    """Wherever a transaction breaks off, nothing of it is there, and it can be repeated."""
    before, number = await everything(opened), 0
    while True:
        number += 1
        with failing_at(writer(opened), number) as ran, suppress(Fault):
            await ACTS[act](opened, pending)
        if len(ran) < number:
            break
        assert before == await everything(opened)
    assert ran[-1] == "COMMIT"
    after = await everything(opened)
    assert before != after
    assert {0} == {bot.imbalance for bot in after[-1].values()}


async def test_a_group_that_failed_is_recorded_when_it_is_repeated(opened: OpenJournal) -> None:
    """A failed group has no part in a journal's numbers: the next ones ascend all the same."""
    (first,) = await receive(opened.journal, arrival(1, CRM))
    with failing_at(writer(opened), 4), pytest.raises(Fault):
        await record(opened.journal, [arrival(2, CRM), arrival(3, CRM)])
    second, third = await receive(opened.journal, arrival(2, CRM), arrival(3, CRM))
    assert first.id < second.id < third.id
    assert [first, second, third] == list((await due(opened.journal)).deliveries)


async def test_a_message_that_no_database_takes_spoils_nothing(opened: OpenJournal) -> None:
    """A lone surrogate can't be written; the error is the caller's, and the journal goes on."""
    hostile = arrival(1, CRM, lane="\ud800")
    with pytest.raises(UnicodeEncodeError):
        await record(opened.journal, [hostile, arrival(2, CRM)])
    assert [] == await opened.admin.messages(MessageQuery())
    await receive(opened.journal, arrival(2, CRM))


async def test_a_connection_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    """Whether for a transaction or for what is none: both are tried again, and end nothing."""
    closed = Database(tmp_path / "nowhere" / "journal.db")
    acts: dict[str, Callable[[], Awaitable[Any]]] = {
        "write": lambda: closed.write(lambda _: None),
        "release": lambda: closed.release(1),
        "checkpoint": closed.checkpoint,
        "copy": lambda: closed.copy(tmp_path / "copy.db"),
        "rewrite": closed.rewrite,
    }
    for act in acts.values():
        with pytest.raises(JournalUnavailable, match="unable to open"):
            await act()
    await closed.close()


async def test_nonsense_is_not_taken_for_trouble(opened: OpenJournal) -> None:
    """A statement that can never succeed is a bug and not a journal that is unavailable."""
    with pytest.raises(Exception, match="no such table") as caught:
        await database(opened).write(lambda connection: connection.run("DELETE FROM x"))
    assert not isinstance(caught.value, JournalUnavailable)


# --- A full disk --------------------------------------------------------------------------------


def set_limit(connection: Connection, more: int) -> None:
    """Let the file grow by so many pages only."""
    pages = connection.value("PRAGMA page_count")
    connection.run(f"PRAGMA max_page_count={pages + more}")


async def test_a_full_disk_is_unavailable(opened: OpenJournal, pending: list[Delivery]) -> None:
    """With no room left nothing is half-written, and with room the same call works."""
    before = await everything(opened)
    for more in range(0, 10, 3):
        await database(opened).write(set_limit, more)
        with pytest.raises(JournalUnavailable, match="full"):
            await ACTS["record"](opened, pending)
        assert before == await everything(opened)
    await database(opened).write(set_limit, 1000)
    await ACTS["record"](opened, pending)
    assert before != await everything(opened)


async def test_a_full_disk_still_reads(opened: OpenJournal, pending: list[Delivery]) -> None:
    """What is there can be delivered although nothing can be added."""
    await database(opened).write(set_limit, 0)
    with pytest.raises(JournalUnavailable):
        await ACTS["record"](opened, pending)
    assert pending == list((await due(opened.journal)).deliveries)


# --- Others on the same file --------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path, opened: OpenJournal) -> Iterator[sqlite3.Connection]:
    """Connect to the same file as another process does."""
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        yield connection


@pytest.mark.parametrize("act", ACTS)
async def test_a_locked_journal_is_unavailable(
    opened: OpenJournal, pending: list[Delivery], other: sqlite3.Connection, act: str
) -> None:
    """While somebody else writes nothing happens, if it takes too long; afterwards it does."""
    before = await everything(opened)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable, match="locked"):
        await ACTS[act](opened, pending)
    assert before == await everything(opened)
    other.rollback()
    await ACTS[act](opened, pending)
    assert before != await everything(opened)


async def test_a_reader_holds_up_no_writer(
    opened: OpenJournal, pending: list[Delivery], other: sqlite3.Connection
) -> None:
    """Somebody who reads for long, such as a backup, sees one state and stops nobody."""
    other.execute("BEGIN")
    count = "SELECT count(*) FROM messages"
    assert (6,) == other.execute(count).fetchone()
    await ACTS["record"](opened, pending)
    assert (6,) == other.execute(count).fetchone()
    other.rollback()
    assert (8,) == other.execute(count).fetchone()


# --- One write at a time, reads beside it -------------------------------------------------------


class Held:
    """A write that has begun and does not end before it is let go."""

    def __init__(self, opened: OpenJournal) -> None:
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(database(opened).write(self._write))

    def let_go(self) -> None:
        """Let it end and commit."""
        self._go.set()

    def _write(self, connection: Connection) -> None:
        connection.run("UPDATE endpoints SET last_error = 'held'")
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._go.wait(PATIENCE)


async def errors(opened: OpenJournal) -> set[str | None]:
    """Read what the endpoints' last errors are."""
    return {record.note.last_error for record in await opened.admin.endpoints()}


async def test_a_read_waits_for_no_write(opened: OpenJournal, pending: list[Delivery]) -> None:
    """While a write is under way reads see the state before it, at once."""
    held = Held(opened)
    await held.begun.wait()
    assert {None} == await errors(opened)
    assert 3 == len((await due(opened.journal)).deliveries)
    held.let_go()
    await held.task
    assert {"held"} == await errors(opened)


async def test_messages_wait_for_no_operator(opened: OpenJournal, pending: list[Delivery]) -> None:
    """However many long looks operators take at once, what is due is read beside them."""
    go, loop, begun = threading.Event(), asyncio.get_running_loop(), asyncio.Event()

    def look(_: Connection) -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go.wait(PATIENCE)

    looks = [asyncio.create_task(database(opened).browse(look)) for _ in range(4)]
    await begun.wait()
    assert 3 == len((await due(opened.journal)).deliveries)
    go.set()
    assert [True] * 4 == await asyncio.gather(*looks)


async def test_a_caller_that_is_gone_leaves_a_whole_write(opened: OpenJournal) -> None:
    """A write that has begun is committed although nobody waits for it any more."""
    held = Held(opened)
    await held.begun.wait()
    held.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held.task
    held.let_go()
    await receive(opened.journal, arrival(1, CRM))
    assert {"held"} == await errors(opened)


async def test_a_write_that_has_not_begun_never_begins(opened: OpenJournal) -> None:
    """Of writes that wait for their turn a cancelled one is left out, and the others go on."""
    held = Held(opened)
    await held.begun.wait()
    cancelled, kept = (
        asyncio.create_task(receive(opened.journal, arrival(number, CRM))) for number in (1, 2)
    )
    await asyncio.sleep(0)  # both are in line
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    held.let_go()
    await kept
    assert [uuid(2)] == [each.message_id for each in await opened.admin.messages(MessageQuery())]


async def test_a_read_that_is_cancelled_leaves_its_thread_to_others(opened: OpenJournal) -> None:
    """Cancelled reads, more than there are threads, hold up nobody afterwards."""
    reads = [asyncio.create_task(opened.journal.census()) for _ in range(10)]
    await asyncio.sleep(0)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    assert {"bot"} == (await opened.journal.census()).bots.keys()


async def test_a_close_waits_for_a_write_that_nobody_waits_for(tmp_path: Path) -> None:
    """What has begun before the end is in the journal after it."""
    location = f"sqlite:///{tmp_path}/journal.db"
    async with open_journal(location) as opened:
        await opened.journal.start([CRM], NOW)
        held = Held(opened)
        await held.begun.wait()
        held.task.cancel()
        asyncio.get_running_loop().call_soon(held.let_go)
    async with open_journal(location) as opened:
        assert {"held"} == await errors(opened)


async def test_many_callers_at_once_are_served_one_by_one(opened: OpenJournal) -> None:
    """Writes and reads from many tasks neither fail nor lose anything."""
    writes = (record(opened.journal, [arrival(number, CRM)]) for number in range(1, 31))
    reads = (opened.journal.census() for _ in range(30))
    await asyncio.gather(*writes, *reads)
    census = await opened.journal.census()
    assert (30, 0) == (census.bots["bot"].pending, census.bots["bot"].imbalance)
