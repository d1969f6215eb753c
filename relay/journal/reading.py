"""The journal's transactions that only read, as functions on a connection."""

from collections.abc import Collection, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, exists, func, select

from relay.journal.rows import read_delivery, read_note, select_deliveries
from relay.journal.rules import TAKEN
from relay.journal.schema import (
    DEAD,
    OWED,
    PENDING,
    deliveries,
    endpoints,
    lanes,
    messages,
    notices,
    tallies,
)
from relay.journal.window import LANE_DEPTH, Window
from relay.model import (
    BotCensus,
    Census,
    Delivery,
    DeliveryState,
    Due,
    EndpointKey,
    EndpointNote,
    GateState,
    Notice,
    NoticeKind,
    OwedReceipt,
    ReceiptState,
)


def due(
    connection: Connection,
    endpoint: EndpointKey,
    endpoint_id: int,
    now: float,
    *,
    skip: Collection[str],
    limit: int,
    max_bytes: int,
) -> Due:
    """Read what is due, lane by lane: first what there is and its size, then what fits."""
    mine = lanes.c.endpoint_id == endpoint_id
    names = connection.scalars(
        select(lanes.c.lane)
        .where(mine, lanes.c.due_at <= now)
        .order_by(lanes.c.due_at)
        .limit(limit + len(skip) + 1)
    ).all()
    wanted = [name for name in names if name not in skip]
    rows = _fronts(connection, endpoint_id, wanted[:limit], limit)
    cut = rows[-1].lane if len(rows) > limit else None
    window: Window[int] = Window(limit, max_bytes)
    for lane, front in groupby(rows, key=attrgetter("lane")):
        window.add(lane, [(row.id, row.size) for row in front], complete=lane != cut)
    return Due(
        _deliveries(connection, endpoint, window.taken),
        frozenset(window.whole),
        len(window.lanes) < len(wanted),
        connection.scalar(select(func.min(lanes.c.due_at)).where(mine, lanes.c.due_at > now)),
    )


def _fronts(
    connection: Connection, endpoint_id: int, names: Sequence[str], limit: int
) -> Sequence[Any]:
    """Read the fronts of lanes, without frames; one more of each than is taken, if there is."""
    front = (
        select(deliveries.c.id)
        .where(deliveries.c.endpoint_id == lanes.c.endpoint_id)
        .where(deliveries.c.lane == lanes.c.lane, PENDING)
        .order_by(deliveries.c.id)
        .limit(LANE_DEPTH + 1)
        .correlate(lanes)
    )
    one = deliveries.alias()
    return connection.execute(
        select(one.c.id, lanes.c.lane, messages.c.size)
        .join_from(lanes, one, one.c.id.in_(front))
        .join(messages, messages.c.seq == one.c.seq)
        .where(lanes.c.endpoint_id == endpoint_id, lanes.c.lane.in_(names))
        .order_by(lanes.c.due_at, lanes.c.lane, one.c.id)
        .limit(limit + 1)
    ).all()


def _deliveries(
    connection: Connection, endpoint: EndpointKey, ids: Sequence[int]
) -> tuple[Delivery, ...]:
    """Read deliveries with their frames, in the given order."""
    rows = connection.execute(select_deliveries().where(deliveries.c.id.in_(ids)))
    found = {row.id: read_delivery(endpoint, row) for row in rows}
    return tuple(found[number] for number in ids)


def owed_receipts(connection: Connection, bot: str, after: int, limit: int) -> list[OwedReceipt]:
    """Read owed receipts."""
    rows = connection.execute(
        select(messages.c.seq, messages.c.message_id)
        .where(messages.c.bot == bot, messages.c.seq > after, OWED)
        .order_by(messages.c.seq)
        .limit(limit)
    )
    return [OwedReceipt(row.seq, row.message_id) for row in rows]


def endpoint_note(connection: Connection, endpoint: EndpointKey) -> EndpointNote:
    """Read what is written of an endpoint."""
    row = connection.execute(
        select(endpoints).where(endpoints.c.bot == endpoint.bot, endpoints.c.name == endpoint.name)
    ).first()
    return read_note(row) if row else EndpointNote(GateState.CLOSED)


def read_notices(connection: Connection, after: int) -> list[Notice]:
    """Read operators' actions."""
    rows = connection.execute(
        select(notices, notices.c.count.label("many"))
        .where(notices.c.id > after)
        .order_by(notices.c.id)
        .limit(1000)
    )
    return [
        Notice(row.id, NoticeKind(row.kind), EndpointKey(row.bot, row.endpoint), row.many)
        for row in rows
    ]


def census(connection: Connection, size_bytes: int) -> Census:
    """Count the stock."""
    tally = {row.bot: (row.received, row.finished) for row in connection.execute(select(tallies))}
    keys = {EndpointKey(row.bot, row.name): row.id for row in connection.execute(select(endpoints))}
    bots = tally.keys() | {key.bot for key in keys}
    dead = _count_dead(connection)
    return Census(
        {bot: _count_bot(connection, bot, *tally.get(bot, (0, 0))) for bot in bots},
        {key: dead.get(number, 0) for key, number in keys.items()},
        size_bytes,
    )


def _count_dead(connection: Connection) -> dict[int, int]:
    rows = connection.execute(
        select(deliveries.c.endpoint_id, func.count().label("dead"))
        .where(DEAD)
        .group_by(deliveries.c.endpoint_id)
    )
    return {row.endpoint_id: row.dead for row in rows}


def _count_bot(connection: Connection, bot: str, received: int, finished: int) -> BotCensus:
    mine = messages.c.bot == bot
    pending = connection.scalar(
        select(func.count()).select_from(messages).where(mine, messages.c.outcome.is_(None))
    )
    owed = connection.scalar(select(func.count()).select_from(messages).where(mine, OWED))
    pending, owed = pending or 0, owed or 0
    return BotCensus(pending, _oldest_unread(connection, bot), owed, received - finished - pending)


def _oldest_unread(connection: Connection, bot: str) -> float | None:
    """Find when the oldest message came that may still become READ without an operator."""
    of_message = (
        deliveries.c.seq == messages.c.seq,
        deliveries.c.required,
        deliveries.c.state.not_in([*(state.value for state in TAKEN), DeliveryState.PENDING.value]),
    )
    receipted = (ReceiptState.CONFIRMED.value, ReceiptState.REFUSED.value)
    return connection.scalar(
        select(messages.c.received_at)
        .where(messages.c.bot == bot, messages.c.outcome.is_(None))
        .where(messages.c.receipt.not_in(receipted), ~exists().where(*of_message))
        .order_by(messages.c.seq)
        .limit(1)
    )
