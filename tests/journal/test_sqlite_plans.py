"""SQLite finds what the journal asks for by an index, however much there is."""

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay.journal import lanes, retention
from relay.journal.encryption.rotation import keys_in_use
from relay.journal.open import OpenJournal, open_journal
from relay.model.admin import DeadLetterQuery, MessageQuery
from relay.model.messages import Delivery
from relay.model.replays import ReplayOrder, Survey
from tests.journal.samples import (
    CRM,
    LATER,
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

Statement = tuple[str, Any]
Act = Callable[[OpenJournal, list[Delivery]], Awaitable[Any]]

LARGE = {
    "messages",
    "deliveries",
    "lanes",
    "attempts",
    "notices",
    "unreadable",
}

ALIASES = {"d": "deliveries", "m": "messages", "a": "attempts"}


async def _prune(opened: OpenJournal, _: list[Delivery]) -> None:
    """Prune, when no replay holds anything back any more."""
    await opened.journal.feed_replay(CRM, lambda _: None, NOW, most=2)
    assert 0 < await opened.journal.prune(LATER, limit=10)


ACTS: dict[str, tuple[Act, set[str]]] = {
    "record": (
        lambda opened, _: record(opened.journal, [arrival(1, CRM), arrival(99, CRM)]),
        {"messages sqlite_autoindex_messages_1", "lanes PRIMARY KEY"},
    ),
    "due": (
        lambda opened, _: due(opened.journal, skip=["l9"]),
        {"lanes lanes_due", "deliveries deliveries_pending"},
    ),
    "settle": (
        lambda opened, pending: settle(
            opened.journal,
            [delivered(pending[0]), postponed(pending[2], LATER), dead(pending[4])],
            NOW,
        ),
        {"deliveries deliveries_pending", "messages INTEGER PRIMARY KEY"},
    ),
    "owed receipts": (
        lambda opened, _: opened.journal.owed_receipts("bot", after=0, limit=10),
        {"messages messages_owed"},
    ),
    "settle receipts": (
        lambda opened, _: settle_receipts(
            opened.journal, "bot", confirmed=[7], refused=[], now=NOW
        ),
        {"messages messages_owed"},
    ),
    "census": (
        lambda opened, _: opened.journal.census(),
        {
            *("messages messages_unfinished", "messages messages_owed"),
            *("deliveries deliveries_dead", "deliveries deliveries_oldest"),
        },
    ),
    "prune": (
        _prune,
        {"messages messages_finished", "attempts attempts_of_delivery"},
    ),
    "notices": (
        lambda opened, _: opened.journal.operator_events(0),
        {"notices INTEGER PRIMARY KEY"},
    ),
    "list endpoints": (
        lambda opened, _: opened.admin.endpoints(),
        {
            "deliveries deliveries_oldest",
            "deliveries deliveries_dead",
            "deliveries deliveries_replayed",
        },
    ),
    "show a message": (
        lambda opened, _: opened.admin.history(uuid(1)),
        {"messages sqlite_autoindex_messages_1", "attempts attempts_of_delivery"},
    ),
    "feed a replay": (
        lambda opened, _: opened.journal.feed_replay(CRM, lambda _: "c", NOW, most=2),
        {"messages INTEGER PRIMARY KEY", "deliveries deliveries_of_message"},
    ),
    "look for replays": (
        lambda opened, _: opened.journal.replays_under_way(),
        {"deliveries deliveries_replayed"},
    ),
    "ask for a replay": (
        lambda opened, _: opened.admin.ask_replay(ReplayOrder(LOG), NOW),
        set(),
    ),
    "count for a replay": (
        lambda opened, _: opened.admin.survey_replay(ReplayOrder(CRM), lambda _: "c", Survey()),
        {"messages INTEGER PRIMARY KEY", "deliveries deliveries_of_message"},
    ),
    "cancel a replay": (
        lambda opened, _: opened.admin.cancel_replay(1, NOW),
        {"deliveries deliveries_replayed", "deliveries INTEGER PRIMARY KEY"},
    ),
    "list replays": (
        lambda opened, _: opened.admin.replays(),
        {"deliveries deliveries_replayed"},
    ),
    "find the keys in use": (
        lambda opened, _: database(opened).read(keys_in_use),
        {
            "messages messages_sealed",
            "attempts attempts_sealed",
            "unreadable unreadable_sealed",
        },
    ),
    "retry": (
        lambda opened, _: opened.admin.retry(DeadLetterQuery(), NOW),
        {"deliveries deliveries_dead", "deliveries deliveries_of_message"},
    ),
    "discard": (
        lambda opened, _: opened.admin.discard(DeadLetterQuery(), NOW, mark_read=True),
        {"deliveries deliveries_dead", "messages INTEGER PRIMARY KEY"},
    ),
}


@pytest.fixture
async def stocked(tmp_path: Path) -> AsyncIterator[tuple[OpenJournal, list[Delivery]]]:
    """Open a journal with something of everything; gives what is pending."""
    async with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        journal = opened.journal
        await journal.start([CRM, LOG], NOW)
        arrivals = [arrival(number, CRM, LOG, lane=f"l{number}") for number in range(1, 9)]
        deliveries = await receive(journal, *arrivals)
        ended = [delivered(each) for each in deliveries[:4]]
        await settle(journal, [*ended, dead(deliveries[4]), dead(deliveries[5])], NOW)
        await settle_receipts(journal, "bot", confirmed=[1], refused=[], now=NOW)
        await opened.admin.ask_replay(ReplayOrder(CRM, LATER), NOW)
        yield opened, deliveries[6:]


@pytest.mark.parametrize("act", ACTS)
async def test_nothing_large_is_read_from_end_to_end(
    stocked: tuple[OpenJournal, list[Delivery]], act: str, tmp_path: Path
) -> None:
    """Every statement reaches its rows by an index, the partial ones where they are meant."""
    opened, pending = stocked
    perform, indexes = ACTS[act]
    with listening(opened) as statements:
        await perform(opened, pending)
    lines = [line for each in statements for line in plan(tmp_path / "journal.db", *each)]
    assert [] == [line for line in lines if scans(line)]
    assert set() == indexes - {used(line) for line in lines}


@contextmanager
def listening(opened: OpenJournal) -> Iterator[list[Statement]]:
    """Note every statement that is run."""
    statements: list[Statement] = []
    behind = database(opened)

    def note(text: str, values: Any) -> None:
        if text != lanes.ANY and text.split(maxsplit=1)[0] in {
            "SELECT",
            "UPDATE",
            "DELETE",
            "INSERT",
        }:
            statements.append((text, values))

    with ExitStack() as stack:
        for worker in (behind._writer, behind._reader, behind._browser):
            stack.enter_context(tapped(worker, note))
        yield statements


def plan(path: Path, text: str, values: Any) -> list[str]:
    """Ask SQLite how it goes about a statement."""
    with closing(sqlite3.connect(path)) as database:
        return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", values)]


def scans(line: str) -> bool:
    """Say whether a step goes through all of a table, or all lanes of an endpoint."""
    found = re.match(r"SCAN (\S+)(?: USING (?:COVERING )?INDEX (\S+))?", line)
    table = ALIASES.get(found[1], found[1]) if found else ""
    whole = found is not None and table in LARGE and found[2] != "deliveries_dead"
    return whole or line.endswith("lanes_due (endpoint_id=?)")


def used(line: str) -> str:
    """Name the table of a step and the index that leads to its rows."""
    index = r"(?:COVERING )?(?:INDEX (\S+)|((?:INTEGER )?PRIMARY KEY))"
    found = re.match(rf"(?:SEARCH|SCAN) (\S+) USING {index}", line)
    return f"{ALIASES.get(found[1], found[1])} {found[2] or found[3]}" if found else ""


async def test_what_is_old_is_found_beside_the_writer(tmp_path: Path) -> None:
    """Many dead letters that are kept make it long: the writer gets numbers, a few at a time."""
    async with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        journal, count = opened.journal, 250
        await journal.start([CRM], NOW)
        await receive(journal, *(arrival(number) for number in range(1, count + 1)))
        await settle_receipts(journal, "bot", confirmed=range(1, count + 1), refused=[], now=NOW)
        written: list[str] = []
        with tapped(database(opened)._writer, lambda text, _: written.append(text)):
            assert count == await journal.prune(LATER, limit=count + 1)
        assert 3 == sum(text.startswith("DELETE FROM messages") for text in written)
        assert [] == [text for text in written if "LIMIT" in text]


async def test_what_has_become_unfinished_meanwhile_is_not_pruned(tmp_path: Path) -> None:
    """Between the look and the removal an operator may have revived it."""
    async with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        await opened.journal.start([CRM], NOW)
        await receive(opened.journal, arrival(1, CRM))
        assert 0 == await database(opened).write(retention.forget, [1], LATER)
        assert 1 == len(await opened.admin.messages(MessageQuery()))
