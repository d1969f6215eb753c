"""The journal's transactions that only read, as functions on a connection."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, func, select

from relay.delivery.lanes import LANE_DEPTH
from relay.journal.encryption.columns import Bodies
from relay.journal.engines.sqlite.vacuum import pages_bytes
from relay.journal.lane_terms import IN_LANE
from relay.journal.parameters import is_in, padded
from relay.journal.rows import (
    ENDPOINT,
    ENDPOINT_KEY,
    endpoint_of,
    is_endpoint,
    read_delivery,
    read_note,
    select_deliveries,
)
from relay.journal.rules import NOTICES_AT_ONCE
from relay.journal.schema import (
    DEAD,
    OWED,
    OWED_TO_ENDPOINT,
    PENDING,
    UNFINISHED,
    deliveries,
    lanes,
    messages,
    notices,
    tallies,
)
from relay.journal.window import fit
from relay.model.journal import (
    AuditEntry,
    BotCensus,
    Due,
    EndpointNote,
    OperatorEvent,
    OperatorEventKind,
    OwedReceipt,
    Stats,
)
from relay.model.messages import BreakerState, Delivery, DeliveryState, EndpointKey, ReceiptState

_AT_ENDPOINT = lanes.c.endpoint_id == bindparam("at")
_DUE_LANES = (
    _AT_ENDPOINT,
    lanes.c.due_at <= bindparam("now"),
    lanes.c.lane.not_in(bindparam("skip", expanding=True)),
)
_ONE = deliveries.alias()
_FRONT = (
    select(deliveries.c.id)
    .where(IN_LANE, PENDING)
    .order_by(deliveries.c.id)
    .limit(LANE_DEPTH + 1)
    .correlate(lanes)
)
_FRONTS = (
    select(lanes.c.lane, _ONE.c.id, messages.c.size)
    .join_from(lanes, _ONE, _ONE.c.id.in_(_FRONT))
    .join(messages, messages.c.seq == _ONE.c.seq)
    .where(*_DUE_LANES)
    .order_by(lanes.c.due_at, lanes.c.lane, _ONE.c.id)
    .limit(bindparam("limit"))
)
_DELIVERIES = select_deliveries().where(is_in(deliveries.c.id, "ids"))
_ANY_DUE_LANE = select(exists().where(*_DUE_LANES))
_NEXT_DUE_AT = select(func.min(lanes.c.due_at)).where(
    _AT_ENDPOINT, lanes.c.due_at > bindparam("now")
)


def due(
    connection: Connection,
    endpoint: EndpointKey,
    endpoint_id: int,
    now: float,
    bodies: Bodies,
    *,
    skip: Collection[str],
    limit: int,
    max_bytes: int,
) -> Due:
    """Read what is due, lane by lane: first what there is and its size, then what fits."""
    asked = {"at": endpoint_id, "now": now, "skip": padded(skip), "limit": limit + 1}
    window = fit(connection.execute(_FRONTS, asked).all(), limit, max_bytes)
    asked["skip"] = padded([*skip, *window.lanes])
    return Due(
        _deliveries(connection, endpoint, window.taken, bodies),
        frozenset(window.whole),
        bool(connection.scalar(_ANY_DUE_LANE, asked)),
        connection.scalar(_NEXT_DUE_AT, asked),
    )


def _deliveries(
    connection: Connection, endpoint: EndpointKey, ids: Sequence[int], bodies: Bodies
) -> tuple[Delivery, ...]:
    """Read deliveries with their frames, in the given order."""
    rows = connection.execute(_DELIVERIES, {"ids": ids})
    found = {row.id: read_delivery(endpoint, row, bodies) for row in rows}
    return tuple(found[number] for number in ids)


_OWED_RECEIPTS = (
    select(messages.c.seq, messages.c.message_id)
    .where(messages.c.bot == bindparam("of"), messages.c.seq > bindparam("after"), OWED)
    .order_by(messages.c.seq)
    .limit(bindparam("limit"))
)


def owed_receipts(connection: Connection, bot: str, after: int, limit: int) -> list[OwedReceipt]:
    """Read owed receipts."""
    rows = connection.execute(_OWED_RECEIPTS, {"of": bot, "after": after, "limit": limit})
    return [OwedReceipt(row.seq, row.message_id) for row in rows]


def endpoint_note(connection: Connection, endpoint: EndpointKey, bodies: Bodies) -> EndpointNote:
    """Read what is written of an endpoint."""
    row = connection.execute(select(*ENDPOINT).where(is_endpoint(endpoint))).first()
    return read_note(row, bodies) if row else EndpointNote(BreakerState.CLOSED)


def read_notices(connection: Connection, after: int) -> list[OperatorEvent]:
    """Read operators' actions."""
    rows = connection.execute(
        select(notices, notices.c.count.label("many"))
        .where(notices.c.id > after)
        .order_by(notices.c.id)
        .limit(NOTICES_AT_ONCE)
    )
    return [
        OperatorEvent(
            row.id,
            OperatorEventKind(row.kind),
            EndpointKey(row.bot, row.endpoint),
            row.many,
            AuditEntry(row.actor or "", row.asked or "", row.acted or 0),
        )
        for row in rows
    ]


_LOST = (
    deliveries.c.seq == messages.c.seq,
    deliveries.c.required,
    deliveries.c.state.in_([DeliveryState.DEAD.value, DeliveryState.DISCARDED.value]),
)
_FIRST_UNREAD: Select[Any] = (
    select(messages.c.seq, messages.c.received_at)
    .where(messages.c.bot == bindparam("of"), messages.c.receipt == bindparam("as"), UNFINISHED)
    .where(~exists().where(*_LOST))
    .order_by(messages.c.seq)
    .limit(1)
)
_FIRST_OWED = select(messages.c.received_at).where(
    messages.c.seq
    == select(deliveries.c.seq)
    .where(deliveries.c.endpoint_id == bindparam("at"), OWED_TO_ENDPOINT)
    .order_by(deliveries.c.id)
    .limit(1)
    .scalar_subquery()
)


def census(connection: Connection, size_bytes: int) -> Stats:
    """Count the stock."""
    tally = {row.bot: (row.received, row.finished) for row in connection.execute(select(tallies))}
    keys = {endpoint_of(row): row.id for row in connection.execute(select(*ENDPOINT_KEY))}
    bots = tally.keys() | {key.bot for key in keys}
    dead = _count_dead(connection)
    return Stats(
        {bot: _count_bot(connection, bot, *tally.get(bot, (0, 0))) for bot in bots},
        {key: dead.get(number, 0) for key, number in keys.items()},
        size_bytes or pages_bytes(connection),
        _oldest_pending(connection, keys),
    )


def _oldest_pending(
    connection: Connection, keys: Mapping[EndpointKey, int]
) -> dict[EndpointKey, float]:
    """Find the oldest that each endpoint is owed: by an index, and not by counting."""
    found = {key: connection.scalar(_FIRST_OWED, {"at": at}) for key, at in keys.items()}
    return {key: received_at for key, received_at in found.items() if received_at is not None}


def _count_dead(connection: Connection) -> dict[int, int]:
    rows = connection.execute(
        select(deliveries.c.endpoint_id, func.count().label("dead"))
        .where(DEAD)
        .group_by(deliveries.c.endpoint_id)
    )
    return {row.endpoint_id: row.dead for row in rows}


def _count_bot(connection: Connection, bot: str, received: int, finished: int) -> BotCensus:
    mine = messages.c.bot == bot
    pending = _count(connection, mine, UNFINISHED)
    owed = _count(connection, mine, OWED)
    return BotCensus(pending, _oldest_unread(connection, bot), owed, received - finished - pending)


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(messages).where(*conditions)) or 0


def _oldest_unread(connection: Connection, bot: str) -> float | None:
    """Find when the first message came that may still become READ without an operator."""
    firsts = [
        (row.seq, row.received_at)
        for state in (ReceiptState.NONE, ReceiptState.OWED)
        for row in connection.execute(_FIRST_UNREAD, {"of": bot, "as": state.value})
    ]
    return min(firsts)[1] if firsts else None
