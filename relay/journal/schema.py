"""The journal's tables. Changes go through a new migration in `relay/journal/migrations`.

States are kept as the words of `relay.model.messages`. `messages.seq` and `deliveries.id` ascend
with arrival; the relay gives them out itself, since one relay at a time writes new rows.
`sealed_by` is the id of the key with which the one column that holds people's words is sealed; NULL
if it is not. `deliveries.replay` is the number of the replay that a delivery is part of; NULL if it
is owed. `endpoints.address` is a digest of where it posts to; NULL until a start has introduced it.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from relay.model.messages import DeliveryState, MessageOutcome, ReceiptState

metadata = MetaData()

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot", String, nullable=False),
    Column("name", String, nullable=False),
    Column("configured", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("state", String, nullable=False),
    Column("last_error", Text),
    Column("next_probe_at", Float),
    Column("gone_since", Float),
    Column("sealed_by", String),
    Column("address", String),
    UniqueConstraint("bot", "name"),
)

messages = Table(
    "messages",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("bot", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("conversation_id", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("category", String, nullable=False),
    Column("source", String, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("receipt", String, nullable=False),
    Column("receipt_at", Float),
    Column("outcome", String),
    Column("finished_at", Float),
    Column("size", Integer, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("sealed_by", String),
    UniqueConstraint("message_id", "bot"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, ForeignKey("messages.seq"), nullable=False),
    Column("endpoint_id", Integer, ForeignKey("endpoints.id"), nullable=False),
    Column("lane", String, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("rejections", Integer, nullable=False, default=0),
    Column("first_attempt_at", Float),
    Column("doubtful", Boolean, nullable=False, default=False),
    Column("ended_at", Float),
    Column("ended_reason", String),
    Column("replay", Integer),
)

lanes = Table(
    "lanes",
    metadata,
    Column("endpoint_id", Integer, ForeignKey("endpoints.id"), primary_key=True),
    Column("lane", String, primary_key=True),
    Column("due_at", Float, nullable=False),
    sqlite_with_rowid=False,
)
"""A row for each lane with unfinished deliveries: when its first one may be attempted."""

replays = Table(
    "replays",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("endpoint_id", Integer, ForeignKey("endpoints.id"), nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float),
    Column("asked_at", Float, nullable=False),
    Column("begin", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("upto", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("ended_at", Float),
    Column("cancelled", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
"""What is to be sent again: of the messages from `begin` to `upto` those up to `position` are."""

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("duration", Float, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Integer),
    Column("reason", String),
    Column("detail", Text, nullable=False),
    Column("sealed_by", String),
)

tallies = Table(
    "tallies",
    metadata,
    Column("bot", String, primary_key=True),
    Column("received", Integer, nullable=False),
    Column("finished", Integer, nullable=False),
)
"""Counted in the transactions that receive and finish, to be held against the rows."""

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("bot", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("count", Integer, nullable=False),
    Column("actor", String),
    Column("asked", String),
    Column("acted", Integer),
    sqlite_autoincrement=True,
)

unreadable = Table(
    "unreadable",
    metadata,
    Column("bot", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("why", String, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("sample", LargeBinary, nullable=False),
    Column("sealed_by", String),
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("clean", Boolean, nullable=False),
    Column("seals_with", String),
)
"""One row: whether the last run stopped cleanly, and by which key it sealed what it wrote."""

# Words in the SQL text and not parameters: a partial index serves no condition on a parameter.
PENDING = deliveries.c.state == literal_column(f"'{DeliveryState.PENDING}'")
DEAD = deliveries.c.state == literal_column(f"'{DeliveryState.DEAD}'")
OWED = messages.c.receipt == literal_column(f"'{ReceiptState.OWED}'")
REPLAYED = deliveries.c.replay.is_not(None)
OWED_TO_ENDPOINT = PENDING & deliveries.c.replay.is_(None)
UNFINISHED = messages.c.outcome.is_(None)
FINISHED_ALIVE = messages.c.outcome != literal_column(f"'{MessageOutcome.DEAD}'")


def _index(name: str, *columns: Column[Any], where: ColumnElement[bool]) -> None:
    """Index the rows that something is left to do with: the rest, which is most, costs nothing."""
    Index(name, *columns, sqlite_where=where)  # an option of a dialect imports all of it


_index(
    "deliveries_pending",
    deliveries.c.endpoint_id,
    deliveries.c.lane,
    deliveries.c.id,
    where=PENDING,
)
_index("deliveries_oldest", deliveries.c.endpoint_id, deliveries.c.id, where=OWED_TO_ENDPOINT)
_index("deliveries_dead", deliveries.c.endpoint_id, deliveries.c.ended_at, where=DEAD)
_index("messages_owed", messages.c.bot, messages.c.seq, where=OWED)
_index(
    "messages_pending",
    messages.c.bot,
    messages.c.receipt,
    messages.c.seq,
    where=UNFINISHED,
)
_index("messages_finished", messages.c.finished_at, where=FINISHED_ALIVE)
_index("messages_sealed", messages.c.sealed_by, where=messages.c.sealed_by.is_not(None))
_index("attempts_sealed", attempts.c.sealed_by, where=attempts.c.sealed_by.is_not(None))
_index("unreadable_sealed", unreadable.c.sealed_by, where=unreadable.c.sealed_by.is_not(None))
_index("deliveries_replayed", deliveries.c.replay, deliveries.c.state, where=REPLAYED)
Index("deliveries_of_message", deliveries.c.seq)
Index("attempts_of_delivery", attempts.c.delivery_id)
Index("unreadable_last_seen", unreadable.c.bot, unreadable.c.last_at)
Index("lanes_due", lanes.c.endpoint_id, lanes.c.due_at)
