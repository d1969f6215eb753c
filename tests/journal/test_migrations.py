"""The migrations and the tables in the code are the same schema."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine

from relay.journal.schema import metadata
from relay.journal.versions import require_newest, upgrade


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Engine]:
    """Bring an empty file to the newest version."""
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        upgrade(connection)
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
    metadata.create_all(created)
    created.dispose()
    migrated.dispose()
    from_code = details(tmp_path / "created.db")
    from_migrations = details(tmp_path / "migrated.db")
    del from_migrations["alembic_version"]
    assert from_code == from_migrations
    assert "WITHOUT ROWID" in from_code["lanes"]
    assert "AUTOINCREMENT" in from_code["notices"]


def test_an_upgrade_of_the_newest_changes_nothing(migrated: Engine) -> None:
    """A relay that starts again finds its schema as it left it."""
    with migrated.begin() as connection:
        upgrade(connection)
        require_newest(connection)


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
