"""The migrations and the tables in the code are the same schema."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from relay.journal import versions
from relay.journal.encryption.keys import Keyring
from relay.journal.engines.sqlite.lock import JournalRefused
from relay.journal.open import open_admin_store, open_journal, open_vault
from relay.journal.schema import metadata
from relay.journal.versions import require_newest, upgrade
from relay.model.replays import EndpointInfo, ReplayOrder
from tests.journal.raw import sealed_by
from tests.journal.samples import CRM, KEYS, NOW, arrival, delivered, due, receive, uuid


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Engine]:
    """Bring an empty file to the newest version, migration by migration."""
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        versions._migrate(connection, "upgrade", "head")
    yield engine
    engine.dispose()


def test_the_migrations_make_the_tables_of_the_code(migrated: Engine) -> None:
    """Alembic finds nothing to change after the last migration."""
    with migrated.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), metadata)


def test_the_migrations_make_the_details_that_alembic_overlooks(
    migrated: Engine, tmp_path: Path
) -> None:
    """Indexes have the same conditions, tables the same keys, and what is special is so in both."""
    created = create_engine(f"sqlite:///{tmp_path}/created.db")
    with created.begin() as connection:
        upgrade(connection)
        require_newest(connection)
    created.dispose()
    migrated.dispose()
    from_code = details(tmp_path / "created.db")
    assert from_code == details(tmp_path / "migrated.db")
    assert "WITHOUT ROWID" in from_code["lanes"]
    assert "AUTOINCREMENT" in from_code["notices"]


def test_the_files_names_are_the_versions() -> None:
    """Newest first, as Alembic knows them."""
    scripts = ScriptDirectory.from_config(versions._config()).walk_revisions()
    assert tuple(script.revision for script in scripts) == versions.known()


_STARTS_TWICE = """
import asyncio, sys
from relay.journal.open import open_journal

async def start():
    for _ in range(2):
        async with open_journal("sqlite:///journal.db"):
            pass

asyncio.run(start())
sys.exit("alembic" in sys.modules)
"""


def test_what_migrates_is_loaded_for_migrations_only(tmp_path: Path) -> None:
    """A relay that has nothing to migrate has 10 MiB less to carry, for as long as it runs."""
    ended = subprocess.run([sys.executable, "-c", _STARTS_TWICE], cwd=tmp_path, check=False)
    assert 0 == ended.returncode


def test_an_upgrade_of_the_newest_changes_nothing(migrated: Engine) -> None:
    """A relay that starts again finds its schema as it left it."""
    with migrated.begin() as connection:
        upgrade(connection)
        require_newest(connection)


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


@pytest.fixture
def of_0001(tmp_path: Path) -> Path:
    """Make a journal as the first release left it, with something in every table."""
    path = tmp_path / "journal.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = versions._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(OF_0001.format(id=uuid(1)))
    return path


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
    before, newest = content(of_0001), versions.known()[0]
    for opening in (open_admin_store, open_vault):
        with pytest.raises(JournalRefused, match=f"0001 and not {newest}; run the relay"):
            async with opening(f"sqlite:///{of_0001}", keys=KEYS):
                pytest.fail("opened")
    assert before == content(of_0001)


BACK_TO_0001 = """
BEGIN;
DROP INDEX deliveries_oldest;
DROP INDEX deliveries_replayed; DROP TABLE replays;
ALTER TABLE deliveries DROP COLUMN replay;
ALTER TABLE endpoints DROP COLUMN address;
DROP INDEX messages_sealed; DROP INDEX attempts_sealed; DROP INDEX unreadable_sealed;
ALTER TABLE messages DROP COLUMN sealed_by;
ALTER TABLE attempts DROP COLUMN sealed_by;
ALTER TABLE unreadable DROP COLUMN sealed_by;
ALTER TABLE endpoints DROP COLUMN sealed_by;
ALTER TABLE run DROP COLUMN seals_with;
ALTER TABLE notices DROP COLUMN actor;
ALTER TABLE notices DROP COLUMN asked;
ALTER TABLE notices DROP COLUMN acted;
UPDATE alembic_version SET version_num = '0001';
COMMIT;
"""
"""What an operator may run on a journal without seals or replays to go back to that release."""


def test_there_is_a_way_back(migrated: Engine, of_0001: Path, tmp_path: Path) -> None:
    """By hand, with the relay stopped, the schema is again that of the first release."""
    migrated.dispose()
    with closing(sqlite3.connect(tmp_path / "migrated.db")) as database:
        database.executescript(BACK_TO_0001)
        (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    assert "0001" == version
    assert details(of_0001) == details(tmp_path / "migrated.db")


async def test_known_endpoints_are_not_new_after_an_upgrade(of_0001: Path) -> None:
    """Whoever was there before gets nothing again, whatever the settings say."""
    async with open_journal(f"sqlite:///{of_0001}") as opened:
        await opened.journal.start([CRM], NOW)
        assert [] == await opened.journal.register_endpoints(
            [EndpointInfo(CRM, "x", retained=True)], NOW
        )


async def test_replays_are_over_before_the_way_back(tmp_path: Path) -> None:
    """An older relay would take one for what a message is owed: what to do is said."""
    path = tmp_path / "journal.db"
    async with open_journal(f"sqlite:///{path}") as opened:
        await opened.journal.start([CRM], NOW)
        (delivery,) = await receive(opened.journal, arrival(1, CRM))
        await opened.journal.settle([delivered(delivery)], NOW)
        await opened.admin.ask_replay(ReplayOrder(CRM), NOW)
        await opened.journal.feed_replay(CRM, lambda _: "c", NOW, most=1)
    async with open_vault(f"sqlite:///{path}", keys=None) as vault:
        with pytest.raises(JournalRefused, match=r"unfinished replays.*: relay replays cancel"):
            await vault.downgrade("0002")
    async with open_admin_store(f"sqlite:///{path}") as desk:
        await desk.cancel_replay(1, NOW)
    async with open_vault(f"sqlite:///{path}", keys=None) as vault:
        await vault.downgrade("0002")
    with closing(sqlite3.connect(path)) as database:
        assert [(1,)] == database.execute("SELECT count(*) FROM deliveries").fetchall()


def content(path: Path) -> bytes:
    """Read a file."""
    return path.read_bytes()


def details(path: Path) -> dict[str, Any]:
    """Read what tables and indexes are made of."""
    with closing(sqlite3.connect(path)) as database:
        made = database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {
            name: " ".join(sql.split()) if kind == "index" else table_details(database, name, sql)
            for kind, name, sql in made.fetchall()
            if not name.startswith("sqlite_")
        }


def table_details(database: sqlite3.Connection, name: str, sql: str) -> set[Any]:
    """Read a table's columns, keys and specialities."""
    columns = database.execute(f"PRAGMA table_xinfo({name})").fetchall()
    foreign = database.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    unique = re.findall(r"UNIQUE \([^)]*\)", sql)
    special = {word for word in ("WITHOUT ROWID", "AUTOINCREMENT") if word in sql}
    return {*columns, *(row[2:5] for row in foreign), *unique, *special}
