"""Journals of every release are brought to this schema, lose nothing by it, and can go back."""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from relay.journal import migrations
from relay.journal.encryption.keys import Keyring
from relay.journal.migrations import KNOWN, NEWEST, require_newest, upgrade
from relay.journal.open import OpenJournal, open_admin_store, open_file_tools, open_journal
from relay.journal.schema import SCHEMA
from relay.journal.sqlite.lock import JournalRefused
from relay.journal.statements import Connection
from relay.model.admin import DeadLetterQuery, MessageQuery
from relay.model.messages import EndpointKey, MessageOutcome
from relay.model.replays import EndpointInfo, ReplayOrder
from tests.journal.raw import miscounted, rows, sealed_by
from tests.journal.samples import (
    CRM,
    KEYS,
    LATER,
    LOG,
    NOW,
    arrival,
    delivered,
    due,
    receive,
    settle,
    settle_receipts,
    uuid,
)
from tests.journal.tap import database

RELEASED = Path(__file__).parent / "released"
PREVIOUS = "0005"
OTHER = EndpointKey("other", "crm")
NUMBERS = (*range(1, 22), 30, 31)
"""The messages of the journal with everything in it, which the release before has made and told."""


def sql_of(version: str) -> str:
    """Read what a release left behind."""
    return (RELEASED / f"schema_{version}.sql").read_text()


def make(path: Path, script: str) -> Path:
    """Make a journal of statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.fixture
def of_0001(tmp_path: Path) -> Path:
    """Make a journal as the first release left it, with something in every table."""
    return make(tmp_path / "journal.db", sql_of("0001") + OF_0001.format(id=uuid(1)))


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Make the journal of the release before, with everything in it, as a crash left it."""
    return make(tmp_path / "journal.db", sql_of(PREVIOUS))


# --- The same schema ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0001", PREVIOUS])
def test_an_upgraded_schema_is_that_of_a_fresh_journal(tmp_path: Path, version: str) -> None:
    """Tables have the same columns and keys, indexes the same conditions."""
    old = make(tmp_path / "old.db", sql_of(version))
    changed(old, upgrade)
    changed(old, require_newest)
    assert details(make(tmp_path / "fresh.db", SCHEMA)) == details(old)


def test_the_steps_of_earlier_releases_made_what_they_made(tmp_path: Path) -> None:
    """From the first schema to the one before, it is what Alembic's migrations had made."""
    path = make(tmp_path / "journal.db", sql_of("0001"))
    for step in migrations.STEPS[:-1]:
        make(path, step.up)
    assert details(make(tmp_path / "released.db", sql_of(PREVIOUS))) == details(path)


@pytest.mark.parametrize("version", KNOWN[:-1])
def test_there_is_a_way_back_to_every_version(tmp_path: Path, version: str) -> None:
    """A schema that was taken back is what it was, and may be upgraded again."""
    path = make(tmp_path / "journal.db", sql_of("0001"))
    for step in migrations.STEPS[: KNOWN.index(version)]:
        make(path, step.up)
    before = details(path)
    make(path, f"UPDATE alembic_version SET version_num = '{version}'")
    changed(path, upgrade)
    changed(path, lambda connection: migrations.downgrade(connection, version))
    assert before == details(path)
    assert [(version,)] == rows(path, "SELECT version_num FROM alembic_version")


def test_an_upgrade_of_the_newest_changes_nothing(tmp_path: Path) -> None:
    """A relay that starts again finds its schema as it left it."""
    path = tmp_path / "journal.db"
    changed(path, upgrade)
    before = content(path)
    changed(path, upgrade)
    assert before == content(path)


# --- Everything in it -----------------------------------------------------------------------------


async def test_a_journal_with_everything_in_it_tells_the_same(previous: Path) -> None:
    """Whatever the release before told of its journal, this one tells of it as well."""
    told = json.loads((RELEASED / f"schema_{PREVIOUS}.json").read_text())
    async with open_journal(f"sqlite:///{previous}", keys=KEYS) as opened:
        assert await tell(opened) == told
        assert [] == await database(opened).read(miscounted)


async def test_a_journal_with_everything_in_it_goes_on(previous: Path) -> None:
    """What was under way when the release before crashed comes to its end, and books balance."""
    endpoints = [CRM, LOG, OTHER, EndpointKey("bot", "old")]
    async with open_journal(f"sqlite:///{previous}", keys=KEYS) as opened:
        journal, desk = opened.journal, opened.admin
        assert not await journal.start(endpoints, LATER)
        assert {True} == {each.doubtful for each in (await due(journal, LOG, now=LATER)).deliveries}
        await desk.retry(DeadLetterQuery(), LATER)
        for key in endpoints:
            while deliveries := (await due(journal, key, now=LATER * 2)).deliveries:
                await settle(journal, [delivered(each) for each in deliveries], LATER)
        for bot in ("bot", "other"):
            seqs = [each.seq for each in await journal.owed_receipts(bot, after=0, limit=99)]
            await settle_receipts(journal, bot, confirmed=seqs, refused=[], now=LATER)
        bots = (await journal.census()).bots.values()
        assert {(0, 0, 0)} == {(bot.pending, bot.receipts_pending, bot.imbalance) for bot in bots}
        ends = await desk.messages(MessageQuery(outcome=MessageOutcome.DISCARDED))
        assert [uuid(n) for n in (12, 10, 9, 8)] == [each.message_id for each in ends]
        assert [] == await database(opened).read(miscounted)


async def test_the_way_there_and_back_loses_nothing(previous: Path, tmp_path: Path) -> None:
    """A journal that was upgraded and taken back holds the very rows of before."""
    changed(previous, upgrade)
    async with open_file_tools(f"sqlite:///{previous}", keys=KEYS) as tools:
        await tools.downgrade(PREVIOUS)
    before = make(tmp_path / "before.db", sql_of(PREVIOUS))
    assert everything(before) == everything(previous)
    assert details(before) == details(previous)


async def test_what_is_written_leaner_is_written_out_on_the_way_back(tmp_path: Path) -> None:
    """The release before finds every attempt, and a lane for all that is unfinished alone."""
    path = tmp_path / "journal.db"
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM], NOW)
        one, _ = await receive(
            opened.journal, arrival(1, CRM, lane="l1"), arrival(2, CRM, lane="l2")
        )
        await settle(opened.journal, [delivered(one)], NOW)
        await opened.journal.stop()
    changed(path, lambda connection: connection.run("DELETE FROM lanes WHERE lane = 'l2'"))
    async with open_file_tools(f"sqlite:///{path}", keys=None) as tools:
        await tools.downgrade(PREVIOUS)
    assert [(one.id, 1, "success", 200, None, "")] == rows(
        path, "SELECT delivery_id, number, outcome, status, reason, detail FROM attempts"
    )
    assert [("l2",)] == rows(path, "SELECT lane FROM lanes")


async def tell(opened: OpenJournal) -> dict[str, Any]:
    """Tell all that operators may ask a journal, as plain values."""
    journal, desk = opened.journal, opened.admin
    return {
        "histories": {str(n): plain(await desk.history(uuid(n))) for n in NUMBERS},
        "messages": plain(await desk.messages(MessageQuery(limit=100))),
        "dead_letters": plain(await desk.dead_letters(DeadLetterQuery())),
        "endpoints": plain(await desk.endpoints()),
        "replays": plain(await desk.replays()),
        "unreadable": plain(await desk.unreadable(None, 10)),
        "events": [
            [
                event.id,
                event.kind.value,
                [*event.endpoint],
                event.count,
                event.audit.actor,
                event.audit.target,
                event.audit.count,
            ]
            for event in await journal.operator_events(0)
        ],
        "owed": [each.message_id for each in await journal.owed_receipts("bot", after=0, limit=99)],
        "census": plain((await journal.census()).bots),
    }


def plain(value: Any) -> Any:
    """Make of a record what JSON holds: its values, since their names may change."""
    match value:
        case Enum():
            return value.value
        case bytes():
            return value.decode("latin-1")
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _ if is_dataclass(value):
            return [plain(getattr(value, name)) for name in value.__dataclass_fields__]
        case _:
            return value


def everything(path: Path) -> dict[str, Any]:
    """Read every row of every table."""
    tables = [name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: sorted(map(repr, rows(path, f"SELECT * FROM {name}")))
        for name in tables
        if not name.startswith("sqlite_stat")
    }


# --- From the first release -----------------------------------------------------------------------


OF_0001 = """
INSERT INTO endpoints VALUES (1, 'bot', 'crm', 1, 0, 'open', 'http_5xx', 1.0, NULL);
INSERT INTO messages VALUES (1, 'bot', '{id}', 'c', 'u', 'PLAIN_TEXT', 'live', 1.0,
  'none', NULL, NULL, NULL, 2, x'7b7d');
INSERT INTO deliveries VALUES (1, 1, 1, 'c', 1, 'pending', 1, 1, 0, 1.0, 0, NULL, NULL);
INSERT INTO lanes VALUES (1, 'c', 1.0);
INSERT INTO attempts VALUES (1, 1, 1, 1.0, 0.5, 'transient', 500, 'http_5xx', 'oops');
INSERT INTO unreadable VALUES ('bot', 'digest', 'not gzip', 1, 1.0, 1.0, x'00');
INSERT INTO tallies VALUES ('bot', 1, 0);
INSERT INTO run VALUES (1, 1);
"""


@pytest.mark.parametrize("keys", [None, KEYS])
async def test_a_journal_of_the_first_release_goes_on(of_0001: Path, keys: Keyring | None) -> None:
    """All that it holds is there, plain as it was, whether a key is set with the upgrade or not."""
    location = f"sqlite:///{of_0001}"
    async with open_journal(location, keys=keys) as opened:
        assert await opened.journal.start([CRM], NOW)
        (delivery,) = (await due(opened.journal)).deliveries
        (history,) = await opened.admin.history(uuid(1))
        (frame,) = await opened.admin.unreadable(None, 10)
        note = await opened.journal.endpoint_note(CRM)
        await receive(opened.journal, arrival(2, CRM, lane="d"))
    assert (b"{}", b"{}", b"\x00") == (delivery.message.frame, history.frame, frame.sample)
    assert ["oops"] == [a.detail for each in history.deliveries for a in each.attempts]
    assert "http_5xx" == note.last_error
    assert [None, keys and keys.first.id] == sealed_by(of_0001, "messages")


async def test_an_operator_does_not_upgrade(of_0001: Path) -> None:
    """A command on an older journal says what to do, and changes nothing."""
    before = content(of_0001)
    for opening in (open_admin_store, open_file_tools):
        with pytest.raises(JournalRefused, match=f"0001 and not {NEWEST}; run the relay"):
            async with opening(f"sqlite:///{of_0001}", keys=KEYS):
                pytest.fail("opened")
    assert before == content(of_0001)


async def test_known_endpoints_are_not_new_after_an_upgrade(of_0001: Path) -> None:
    """Whoever was there before gets nothing again, whatever the settings say."""
    async with open_journal(f"sqlite:///{of_0001}") as opened:
        await opened.journal.start([CRM], NOW)
        assert [] == await opened.journal.register_endpoints(
            [EndpointInfo(CRM, "x", retained=True)], NOW
        )


# --- What bars the way back -----------------------------------------------------------------------


async def test_replays_are_over_before_the_way_back(tmp_path: Path) -> None:
    """An older relay would take one for what a message is owed: what to do is said."""
    path = tmp_path / "journal.db"
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM], NOW)
        (delivery,) = await receive(opened.journal, arrival(1, CRM))
        await settle(opened.journal, [delivered(delivery)], NOW)
        await opened.admin.ask_replay(ReplayOrder(CRM), NOW)
        await opened.journal.feed_replay(CRM, lambda _: "c", NOW, most=1)
    async with open_file_tools(f"sqlite:///{path}", keys=None) as tools:
        with pytest.raises(JournalRefused, match=r"unfinished replays.*: relay replays cancel"):
            await tools.downgrade("0002")
    async with open_admin_store(f"sqlite:///{path}") as desk:
        await desk.cancel_replay(1, NOW)
    async with open_file_tools(f"sqlite:///{path}", keys=None) as tools:
        await tools.downgrade("0002")
    assert [(1,)] == rows(path, "SELECT count(*) FROM deliveries")


# --- Files ----------------------------------------------------------------------------------------


def changed(path: Path, change: Any) -> None:
    """Change a journal in one transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("BEGIN")
        change(Connection(driver))
        driver.execute("COMMIT")


def content(path: Path) -> bytes:
    """Read a file."""
    return path.read_bytes()


def details(path: Path) -> dict[str, Any]:
    """Read what tables and indexes are made of."""
    with closing(sqlite3.connect(path)) as database:
        made = database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {
            name: index_details(sql) if kind == "index" else table_details(database, name, sql)
            for kind, name, sql in made.fetchall()
            if not name.startswith("sqlite_")
        }


def index_details(sql: str) -> str:
    """Read an index's columns and condition, however they are set."""
    return re.sub(r"\s+", " ", sql.replace('"', ""))


def table_details(database: sqlite3.Connection, name: str, sql: str) -> set[Any]:
    """Read a table's columns, keys and specialities."""
    columns = database.execute(f"PRAGMA table_xinfo({name})").fetchall()
    foreign = database.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    unique = re.findall(r"UNIQUE \([^)]*\)", sql)
    special = {word for word in ("WITHOUT ROWID", "AUTOINCREMENT") if word in sql}
    return {*columns, *(row[2:5] for row in foreign), *unique, *special}
