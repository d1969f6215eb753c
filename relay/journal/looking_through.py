"""Looks through messages for what a replay sends."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from relay.journal.parameters import is_in
from relay.journal.rows import is_endpoint
from relay.journal.rules import LOOKED_THROUGH_AT_ONCE, Room
from relay.journal.schema import deliveries, endpoints, messages
from relay.model.messages import DeliveryState, EndpointKey, Message, Source
from relay.model.replays import Pick, PriorDelivery, ReplayOrder

_HEAD = (
    messages.c.seq,
    messages.c.bot,
    messages.c.message_id,
    messages.c.conversation_id,
    messages.c.user_id,
    messages.c.category,
    messages.c.source,
    messages.c.received_at,
    messages.c.size,
)
_PAGE: Select[Any] = (
    select(*_HEAD)
    .where(messages.c.seq > bindparam("after"), messages.c.seq <= bindparam("upto"))
    .order_by(messages.c.seq)
    .limit(LOOKED_THROUGH_AT_ONCE)
)
_MADE = select(
    deliveries.c.seq, deliveries.c.state, deliveries.c.ended_at, deliveries.c.replay
).where(is_in(deliveries.c.seq, "seqs"), deliveries.c.endpoint_id == bindparam("at"))


@dataclass(slots=True)
class Front:
    """What is next of a replay: messages with their lanes, and the last number looked at.

    `full` says that there was no room for more.
    """

    chosen: list[tuple[Row[Any], str]]
    position: int
    full: bool = False


def look(
    connection: Connection,
    order: ReplayOrder,
    pick: Pick,
    room: Room | None = None,
    *,
    after: int,
    upto: int,
) -> Front:
    """Look through the next messages, for as many that are to go as there is room for."""
    rows = connection.execute(_PAGE, {"after": after, "upto": upto}).all()
    whole = len(rows) < LOOKED_THROUGH_AT_ONCE
    front, size = Front([], upto if whole else rows[-1].seq), 0
    for row, lane in _chosen(connection, order, pick, rows):
        size += row.size
        if room is not None and not room.fits(len(front.chosen), size):
            front.position, front.full = row.seq - 1, True
            break
        front.chosen.append((row, lane))
    return front


def _chosen(
    connection: Connection, order: ReplayOrder, pick: Pick, rows: Sequence[Row[Any]]
) -> Iterator[tuple[Row[Any], str]]:
    mine = [row for row in rows if row.bot == order.endpoint.bot]
    made = _made(connection, order.endpoint, [row.seq for row in mine])
    for row in mine:
        if order.covers(row.received_at, made[row.seq]):
            lane = pick(_message(row))
            if lane is not None:
                yield row, lane


def _made(
    connection: Connection, endpoint: EndpointKey, seqs: Collection[int]
) -> defaultdict[int, list[PriorDelivery]]:
    """Find what an endpoint has had of these messages."""
    found: defaultdict[int, list[PriorDelivery]] = defaultdict(list)
    number = connection.scalar(select(endpoints.c.id).where(is_endpoint(endpoint)))
    for row in connection.execute(_MADE, {"seqs": seqs, "at": number}):
        made = PriorDelivery(DeliveryState(row.state), row.ended_at, row.replay is not None)
        found[row.seq].append(made)
    return found


def _message(row: Row[Any]) -> Message:
    """Make a message without its frame: for filters, which look at its head."""
    return Message(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        b"",
        row.received_at,
    )
