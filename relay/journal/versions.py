"""Brings a journal's schema to this version, from an empty file or any earlier one."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

_SCRIPTS = Path(__file__).parent / "migrations"


class WrongVersion(Exception):  # noqa: N818 - said to an operator, who did nothing wrong
    """The journal has a schema that this relay does not know, or not yet."""


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version.

    Raises `WrongVersion` if it is newer than that, or no journal's at all.
    """
    found = _found(connection)
    if found is None and inspect(connection).get_table_names():
        raise WrongVersion("it is a database, but not a relay's journal")
    if found is not None and found not in known():
        raise WrongVersion(f"its schema {found} is newer than this relay; upgrade the relay")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def downgrade(connection: Connection, version: str) -> None:
    """Take the schema back to an earlier version, for the relay that had it.

    Raises `WrongVersion` if there is none, or if the journal holds what can't be said in it.
    """
    newest, *earlier = known()
    if version not in earlier:
        expected = ", ".join(earlier) or "none: this is the first"
        raise WrongVersion(f"its schema {newest} can't go to {version!r}; expected {expected}")
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, version)


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


def _found(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@cache
def known() -> tuple[str, ...]:
    """All versions, newest first."""
    scripts = ScriptDirectory.from_config(_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
