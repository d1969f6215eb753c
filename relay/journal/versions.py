"""Brings a journal's schema to this version, from an empty file or any earlier one.

Alembic is loaded only when there is something to migrate: it takes 10 MiB, for as long as the
process lives.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from relay.journal.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"
_VERSION_TABLE_MADE = text(
    f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
    f" CONSTRAINT {_VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)
_STAMP = text(f"INSERT INTO {_VERSION_TABLE} VALUES (:version)")  # noqa: S608 - a constant
_VERSION = text(f"SELECT version_num FROM {_VERSION_TABLE}")  # noqa: S608 - a constant


class WrongVersion(Exception):  # noqa: N818 - said to an operator, who did nothing wrong
    """The journal has a schema that this relay does not know, or not yet."""


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version.

    Raises `WrongVersion` if it is newer than that, or no journal's at all.
    """
    found, newest = _found(connection), known()[0]
    if found is None:
        if inspect(connection).get_table_names():
            raise WrongVersion("it is a database, but not a relay's journal")
        _create(connection, newest)
    elif found not in known():
        raise WrongVersion(f"its schema {found} is newer than this relay; upgrade the relay")
    elif found != newest:
        _migrate(connection, "upgrade", newest)


def downgrade(connection: Connection, version: str) -> None:
    """Take the schema back to an earlier version, for the relay that had it.

    Raises `WrongVersion` if there is none, or if the journal holds what can't be said in it.
    """
    newest, *earlier = known()
    if version not in earlier:
        expected = ", ".join(earlier) or "none: this is the first"
        raise WrongVersion(f"its schema {newest} can't go to {version!r}; expected {expected}")
    _migrate(connection, "downgrade", version)


def require_known(connection: Connection) -> None:
    """Raise `WrongVersion` unless this relay knows the schema, however old it is."""
    found = _found(connection)
    if found not in known():
        raise WrongVersion(f"its schema is {found or 'none'}, which this relay doesn't know")


def require_newest(connection: Connection) -> None:
    """Raise `WrongVersion` unless the schema is of the newest version."""
    found, newest = _found(connection), known()[0]
    if found != newest:
        raise WrongVersion(f"its schema is {found or 'none'} and not {newest}; run the relay once")


@cache
def known() -> tuple[str, ...]:
    """All versions, newest first, by the files' names."""
    files = (_SCRIPTS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    return tuple(sorted((file.name[:4] for file in files), reverse=True))


def _found(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found: str | None = connection.scalar(_VERSION)
    return found


def _create(connection: Connection, version: str) -> None:
    """Make a fresh journal as all migrations one after the other would have."""
    metadata.create_all(connection)
    connection.execute(_VERSION_TABLE_MADE)
    connection.execute(_STAMP, {"version": version})


def _migrate(connection: Connection, way: str, version: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    getattr(import_module("alembic.command"), way)(config, version)


def _config() -> "Config":
    config: Config = import_module("alembic.config").Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
