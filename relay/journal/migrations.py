"""Brings a journal's schema to this version, from an empty file or any earlier one, and back.

A step is some statements of SQL and the way back. The version stands where Alembic kept it, which
releases up to 0.2.0 used and look for (docs/adr/013-the-journal-speaks-sql.md).
"""

import re
from dataclasses import dataclass

from relay.journal.schema import SCHEMA
from relay.journal.statements import Connection

_COMMENT = re.compile(r"--[^\n]*")


class WrongVersion(Exception):  # noqa: N818 - said to an operator, who did nothing wrong
    """The journal has a schema that this relay does not know, or not yet."""


@dataclass(frozen=True, slots=True)
class Step:
    """The way from the version before to `version`, and back.

    The way back is barred while a query in `bars` finds anything; its text says what to do first.
    """

    version: str
    up: str
    down: str
    bars: tuple[tuple[str, str], ...] = ()


FIRST = "0001"
_REPLAYS = "it has unfinished replays, or dead letters of one"

STEPS = (
    # Rows say by which key what people wrote in them is sealed.
    Step(
        "0002",
        up="""
        ALTER TABLE endpoints ADD COLUMN sealed_by VARCHAR;
        ALTER TABLE messages ADD COLUMN sealed_by VARCHAR;
        ALTER TABLE attempts ADD COLUMN sealed_by VARCHAR;
        ALTER TABLE unreadable ADD COLUMN sealed_by VARCHAR;
        ALTER TABLE run ADD COLUMN seals_with VARCHAR;
        CREATE INDEX messages_sealed ON messages (sealed_by) WHERE sealed_by IS NOT NULL;
        CREATE INDEX attempts_sealed ON attempts (sealed_by) WHERE sealed_by IS NOT NULL;
        CREATE INDEX unreadable_sealed ON unreadable (sealed_by) WHERE sealed_by IS NOT NULL;
        """,
        down="""
        DROP INDEX messages_sealed; DROP INDEX attempts_sealed; DROP INDEX unreadable_sealed;
        ALTER TABLE endpoints DROP COLUMN sealed_by;
        ALTER TABLE messages DROP COLUMN sealed_by;
        ALTER TABLE attempts DROP COLUMN sealed_by;
        ALTER TABLE unreadable DROP COLUMN sealed_by;
        ALTER TABLE run DROP COLUMN seals_with;
        """,
        bars=tuple(
            (
                f"SELECT 1 FROM {table} WHERE sealed_by IS NOT NULL LIMIT 1",
                "it has sealed rows; first: relay journal reseal --plain",
            )
            for table in ("endpoints", "messages", "attempts", "unreadable")
        ),
    ),
    # Finished messages can be sent again. Endpoints that are there already are not new ones to
    # whoever counts: their address is known to be unknown.
    Step(
        "0003",
        up="""
        ALTER TABLE endpoints ADD COLUMN address VARCHAR;
        UPDATE endpoints SET address = '';
        CREATE TABLE replays (
          id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
          endpoint_id INTEGER NOT NULL,
          since FLOAT NOT NULL,
          until FLOAT,
          asked_at FLOAT NOT NULL,
          "begin" INTEGER NOT NULL,
          position INTEGER NOT NULL,
          upto INTEGER NOT NULL,
          queued INTEGER NOT NULL,
          ended_at FLOAT,
          cancelled BOOLEAN NOT NULL,
          FOREIGN KEY (endpoint_id) REFERENCES endpoints (id)
        );
        ALTER TABLE deliveries ADD COLUMN replay INTEGER;
        CREATE INDEX deliveries_replayed ON deliveries (replay, state) WHERE replay IS NOT NULL;
        """,
        down="""
        DELETE FROM attempts WHERE delivery_id IN
          (SELECT id FROM deliveries WHERE replay IS NOT NULL);
        DELETE FROM deliveries WHERE replay IS NOT NULL;
        DROP INDEX deliveries_replayed;
        ALTER TABLE deliveries DROP COLUMN replay;
        DROP TABLE replays;
        ALTER TABLE endpoints DROP COLUMN address;
        """,
        bars=(
            (
                """
                SELECT 1 FROM replays WHERE ended_at IS NULL UNION ALL
                SELECT 1 FROM deliveries WHERE replay IS NOT NULL AND state IN ('pending', 'dead')
                LIMIT 1
                """,
                f"{_REPLAYS}; first: relay replays cancel, relay dead-letters discard",
            ),
        ),
    ),
    # What operators did says who did it, what was asked and to how many it was done.
    Step(
        "0004",
        up="""
        ALTER TABLE notices ADD COLUMN actor VARCHAR;
        ALTER TABLE notices ADD COLUMN asked VARCHAR;
        ALTER TABLE notices ADD COLUMN acted INTEGER;
        """,
        down="""
        ALTER TABLE notices DROP COLUMN actor;
        ALTER TABLE notices DROP COLUMN asked;
        ALTER TABLE notices DROP COLUMN acted;
        """,
    ),
    # The oldest delivery that an endpoint is owed is found at once.
    Step(
        "0005",
        up="""
        CREATE INDEX deliveries_oldest ON deliveries (endpoint_id, id)
          WHERE state = 'pending' AND replay IS NULL;
        """,
        down="DROP INDEX deliveries_oldest;",
    ),
    # Messages count what is open and what holds READ back; lanes have a row, and attempts that
    # succeed, only where that says something. What is finished and has no dead letter that could be
    # revived is never counted again, and keeps the columns' defaults.
    Step(
        "0006",
        up="""
        ALTER TABLE messages ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE messages ADD COLUMN holding INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE messages ADD COLUMN ends_as VARCHAR NOT NULL DEFAULT 'read';
        ALTER TABLE deliveries ADD COLUMN started_at FLOAT;
        ALTER TABLE deliveries ADD COLUMN duration FLOAT;
        ALTER TABLE deliveries ADD COLUMN status INTEGER;
        DROP INDEX messages_pending;
        DROP INDEX deliveries_oldest;
        CREATE INDEX deliveries_oldest ON deliveries (endpoint_id, required, id)
          WHERE state = 'pending' AND replay IS NULL;
        CREATE INDEX messages_unfinished ON messages (bot, seq) WHERE outcome IS NULL;
        UPDATE messages SET (open, holding, ends_as) = (
          SELECT
            coalesce(sum(state = 'pending'), 0),
            coalesce(sum(required AND state NOT IN ('delivered', 'waived')), 0),
            CASE
              WHEN max(required AND state = 'dead') THEN 'dead'
              WHEN max(required AND state = 'discarded') THEN 'discarded'
              WHEN max(required AND state = 'waived') THEN 'waived'
              WHEN count(*) THEN 'read'
              ELSE 'unwanted'
            END
          FROM deliveries WHERE deliveries.seq = messages.seq AND replay IS NULL
        ) WHERE outcome IS NULL OR seq IN (SELECT seq FROM deliveries WHERE state = 'dead');
        """,
        down="""
        INSERT INTO attempts (delivery_id, number, started_at, duration, outcome, status, detail)
          SELECT id, attempts, started_at, duration, 'success', status, ''
          FROM deliveries WHERE started_at IS NOT NULL;
        INSERT INTO lanes (endpoint_id, lane, due_at)
          SELECT endpoint_id, lane, 0 FROM deliveries WHERE state = 'pending'
          GROUP BY endpoint_id, lane ON CONFLICT DO NOTHING;
        DELETE FROM lanes WHERE NOT EXISTS (
          SELECT 1 FROM deliveries
          WHERE endpoint_id = lanes.endpoint_id AND lane = lanes.lane AND state = 'pending'
        );
        DROP INDEX messages_unfinished;
        DROP INDEX deliveries_oldest;
        CREATE INDEX deliveries_oldest ON deliveries (endpoint_id, id)
          WHERE state = 'pending' AND replay IS NULL;
        CREATE INDEX messages_pending ON messages (bot, receipt, seq) WHERE outcome IS NULL;
        ALTER TABLE messages DROP COLUMN open;
        ALTER TABLE messages DROP COLUMN holding;
        ALTER TABLE messages DROP COLUMN ends_as;
        ALTER TABLE deliveries DROP COLUMN started_at;
        ALTER TABLE deliveries DROP COLUMN duration;
        ALTER TABLE deliveries DROP COLUMN status;
        """,
    ),
)

KNOWN = (FIRST, *(step.version for step in STEPS))
"""All versions, oldest first."""

PREVIOUS, NEWEST = KNOWN[-2:]


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version.

    Raises `WrongVersion` if it is newer than that, or no journal's at all.
    """
    found = _found(connection)
    if found is None:
        if connection.value("SELECT count(*) FROM sqlite_master"):
            raise WrongVersion("it is a database, but not a relay's journal")
        _execute(connection, SCHEMA)
        connection.run("INSERT INTO alembic_version VALUES (:version)", version=NEWEST)
        return
    if found not in KNOWN:
        raise WrongVersion(f"its schema {found} is newer than this relay; upgrade the relay")
    for step in STEPS[KNOWN.index(found) :]:
        _execute(connection, step.up)
        _stamp(connection, step.version)


def downgrade(connection: Connection, version: str) -> None:
    """Take the schema back to an earlier version, for the relay that had it.

    Raises `WrongVersion` if there is none, or if the journal holds what can't be said in it.
    """
    if version not in KNOWN[:-1]:
        expected = ", ".join(reversed(KNOWN[:-1]))
        raise WrongVersion(f"its schema {NEWEST} can't go to {version!r}; expected {expected}")
    steps = STEPS[KNOWN.index(version) :]
    for query, what_first in (bar for step in steps for bar in step.bars):
        if connection.value(query) is not None:
            raise WrongVersion(what_first)
    for step in reversed(steps):
        _execute(connection, step.down)
    _stamp(connection, version)


def require_known(connection: Connection) -> None:
    """Raise `WrongVersion` unless this relay knows the schema, however old it is."""
    if (found := _found(connection)) not in KNOWN:
        raise WrongVersion(f"its schema is {found or 'none'}, which this relay doesn't know")


def require_newest(connection: Connection) -> None:
    """Raise `WrongVersion` unless the schema is this version's."""
    if (found := _found(connection)) != NEWEST:
        raise WrongVersion(f"its schema is {found or 'none'} and not {NEWEST}; run the relay once")


def _found(connection: Connection) -> str | None:
    there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if connection.value(there) is None:
        return None
    found: str | None = connection.value("SELECT version_num FROM alembic_version")
    return found


def _stamp(connection: Connection, version: str) -> None:
    connection.run("UPDATE alembic_version SET version_num = :version", version=version)


def _execute(connection: Connection, script: str) -> None:
    """Execute statements one by one: the driver's own way would commit first."""
    for statement in _COMMENT.sub("", script).split(";"):
        if statement.strip():
            connection.run(statement)
