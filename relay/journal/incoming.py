"""The journal's transaction that takes new messages in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, func, insert, select, update

from relay.journal import finishing
from relay.journal.encryption.columns import Bodies
from relay.journal.parameters import is_in, padded
from relay.journal.rows import Values, delivery_values, lane_values, message_values
from relay.journal.rules import RECEIPTED, read_owed
from relay.journal.schema import deliveries, lanes, messages, replays
from relay.model.journal import Arrival, Duplicate, Fresh, Owed, Recorded
from relay.model.messages import (
    Delivery,
    DeliveryState,
    EndpointKey,
    Message,
    MessageOutcome,
    ReceiptState,
)

EndpointIds = dict[EndpointKey, int]
LaneKey = tuple[int, str]

_KNOWN = select(messages.c.bot, messages.c.message_id, messages.c.seq, messages.c.receipt).where(
    messages.c.message_id.in_(bindparam("message_ids", expanding=True))
)
_TAKEN = select(lanes.c.endpoint_id, lanes.c.lane).where(
    is_in(lanes.c.endpoint_id, "endpoint_ids"),
    lanes.c.lane.in_(bindparam("lanes", expanding=True)),
)
_ADD_MESSAGES = insert(messages)
_ADD_DELIVERIES = insert(deliveries)
_ADD_LANES = insert(lanes)
_OWE_AGAIN = (
    update(messages).where(is_in(messages.c.seq, "seqs")).values(receipt=ReceiptState.OWED.value)
)


@dataclass(slots=True)
class Numbers:
    """The last numbers given out; one relay at a time writes new rows.

    A group that fails leaves a gap: nothing depends on there being none.
    """

    message: int
    delivery: int

    @classmethod
    def read(cls, connection: Connection) -> "Numbers":
        """Go on from what is there."""
        # A replay must not take what comes for what had come when it was asked.
        last = (func.max(messages.c.seq), func.max(replays.c.upto))
        return cls(
            max(connection.scalar(select(each)) or 0 for each in last),
            connection.scalar(select(func.max(deliveries.c.id))) or 0,
        )


@dataclass(slots=True)
class _Known:
    """A message that the journal has; `receipted` if its receipt was taken or refused."""

    seq: int
    receipted: bool


@dataclass(slots=True)
class _Group:
    """What a group of arrivals adds, and the lanes that something waits in already."""

    ids: EndpointIds
    numbers: Numbers
    bodies: Bodies
    taken: set[LaneKey]
    messages: list[Values] = field(default_factory=list)
    deliveries: list[Values] = field(default_factory=list)
    lanes: list[Values] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)


def record(
    connection: Connection,
    arrivals: Sequence[Arrival],
    ids: EndpointIds,
    numbers: Numbers,
    bodies: Bodies,
) -> list[Recorded]:
    """Insert what is new and owe again the receipts of what is known."""
    known = _known(connection, arrivals)
    group = _Group(ids, numbers, bodies, _taken_lanes(connection, arrivals, ids))
    answers: list[Recorded] = []
    for arrival in arrivals:
        key = (arrival.message.bot, arrival.message.message_id)
        if key in known:
            answers.append(_repeat(group, known[key]))
        else:
            answers.append(_add(group, arrival))
            known[key] = _Known(numbers.message, receipted=False)
    _write(connection, group)
    return answers


def _known(connection: Connection, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], _Known]:
    ids = [arrival.message.message_id for arrival in arrivals]
    return {
        (row.bot, row.message_id): _Known(row.seq, row.receipt in RECEIPTED)
        for row in connection.execute(_KNOWN, {"message_ids": padded(ids)})
    }


def _taken_lanes(
    connection: Connection, arrivals: Sequence[Arrival], ids: EndpointIds
) -> set[LaneKey]:
    owed = [owed for arrival in arrivals for owed in arrival.owed]
    endpoints, names = {ids[each.endpoint] for each in owed}, {each.lane for each in owed}
    rows = connection.execute(_TAKEN, {"endpoint_ids": endpoints, "lanes": padded(names)})
    return {(row.endpoint_id, row.lane) for row in rows}


def _repeat(group: _Group, known: _Known) -> Duplicate:
    again, known.receipted = known.receipted, False
    if again:
        group.again.append(known.seq)
    return Duplicate(receipt_owed=again, seq=known.seq)


def _add(group: _Group, arrival: Arrival) -> Fresh:
    message, numbers = arrival.message, group.numbers
    numbers.message += 1
    owes = bool(arrival.owed or arrival.unwanted_read)
    owes = owes and read_owed([DeliveryState.PENDING for owed in arrival.owed if owed.required])
    outcome = None if arrival.owed or owes else MessageOutcome.UNWANTED
    receipt = ReceiptState.OWED if owes else ReceiptState.NONE
    values = message_values(numbers.message, message, receipt, outcome, group.bodies)
    group.messages.append(values)
    group.received[message.bot] += 1
    group.finished[message.bot] += outcome is not None
    added = [_add_delivery(group, message, owed) for owed in arrival.owed]
    leading = frozenset(delivery.id for delivery, leads in added if leads)
    found = tuple(delivery for delivery, _ in added)
    return Fresh(found, leading, owes, outcome, numbers.message)


def _add_delivery(group: _Group, message: Message, owed: Owed) -> tuple[Delivery, bool]:
    """Add a delivery of the last message; answers whether it leads its lane."""
    numbers = group.numbers
    numbers.delivery += 1
    lane = (group.ids[owed.endpoint], owed.lane)
    leads = lane not in group.taken
    if leads:
        group.taken.add(lane)
        group.lanes.append(lane_values(*lane, message.received_at))
    group.deliveries.append(delivery_values(numbers.delivery, numbers.message, lane[0], owed))
    return Delivery(numbers.delivery, owed.endpoint, owed.lane, message), leads


def _write(connection: Connection, group: _Group) -> None:
    for statement, rows in (
        (_ADD_MESSAGES, group.messages),
        (_ADD_DELIVERIES, group.deliveries),
        (_ADD_LANES, group.lanes),
    ):
        if rows:
            connection.execute(statement, rows)
    finishing.tally(connection, received=group.received, finished=group.finished)
    if group.again:
        connection.execute(_OWE_AGAIN, {"seqs": group.again})
