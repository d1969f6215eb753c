"""The journal's transactions that write, as functions on a connection."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from relay.journal import finishing
from relay.journal.rows import Values, attempt_values, charge_values, message_values
from relay.journal.rules import read_owed
from relay.journal.schema import PENDING, attempts, deliveries, lanes, messages
from relay.model import (
    Arrival,
    DeadLettered,
    Deferred,
    Delivered,
    Delivery,
    DeliveryState,
    Duplicate,
    EndpointKey,
    Finished,
    Fresh,
    MessageOutcome,
    Outcome,
    Postponed,
    ReceiptState,
    Recorded,
    Settled,
)

EndpointIds = dict[EndpointKey, int]
LaneKey = tuple[int, str]

_CHARGE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("of"))
    .values(
        attempts=deliveries.c.attempts + 1,
        failures=deliveries.c.failures + bindparam("failed"),
        rejections=deliveries.c.rejections + bindparam("rejected"),
        first_attempt_at=func.coalesce(deliveries.c.first_attempt_at, bindparam("started")),
        doubtful=deliveries.c.doubtful | bindparam("doubt"),
    )
)
_END = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("of"))
    .values(state=bindparam("as"), ended_at=bindparam("at"), ended_reason=bindparam("why"))
)
_POSTPONE = (
    update(lanes)
    .where(lanes.c.endpoint_id == bindparam("at"), lanes.c.lane == bindparam("of"))
    .values(due_at=bindparam("until"))
)


# --- Receiving ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Numbers:
    """The last numbers given out; one relay at a time writes new rows."""

    message: int
    delivery: int

    @classmethod
    def read(cls, connection: Connection) -> "Numbers":
        """Go on from what is there."""
        return cls(
            connection.scalar(select(func.max(messages.c.seq))) or 0,
            connection.scalar(select(func.max(deliveries.c.id))) or 0,
        )


@dataclass(slots=True)
class _Insertion:
    """What a group of arrivals adds."""

    messages: list[Values]
    deliveries: list[Values]
    lanes: dict[LaneKey, float]
    received: Counter[str]
    finished: Counter[str]


def record(
    connection: Connection, arrivals: Sequence[Arrival], ids: EndpointIds, numbers: Numbers
) -> list[Recorded]:
    """Insert what is new and owe again the receipts of what is known."""
    known = _known(connection, arrivals)
    taken = _taken_lanes(connection, arrivals, ids)
    adding = _Insertion([], [], {}, Counter(), Counter())
    again: list[int] = []
    answers: list[Recorded] = []
    for arrival in arrivals:
        key = (arrival.message.bot, arrival.message.message_id)
        if key in known:
            seq, receipted = known[key]
            known[key] = (seq, False)
            again += [seq] if receipted else []
            answers.append(Duplicate(receipt_owed=receipted))
        else:
            answers.append(_add(adding, arrival, ids, numbers, taken))
            known[key] = (numbers.message, False)
    _insert(connection, adding)
    _owe_again(connection, again)
    return answers


def _known(
    connection: Connection, arrivals: Sequence[Arrival]
) -> dict[tuple[str, str], tuple[int, bool]]:
    """Find the messages that the journal has, and whether their receipt was taken or refused."""
    by_bot: dict[str, list[str]] = defaultdict(list)
    for arrival in arrivals:
        by_bot[arrival.message.bot].append(arrival.message.message_id)
    receipted = (ReceiptState.CONFIRMED, ReceiptState.REFUSED)
    return {
        (bot, row.message_id): (row.seq, row.receipt in receipted)
        for bot, message_ids in by_bot.items()
        for row in connection.execute(
            select(messages.c.message_id, messages.c.seq, messages.c.receipt).where(
                messages.c.bot == bot, messages.c.message_id.in_(message_ids)
            )
        )
    }


def _taken_lanes(
    connection: Connection, arrivals: Sequence[Arrival], ids: EndpointIds
) -> set[LaneKey]:
    wanted = [(ids[owed.endpoint], owed.lane) for arrival in arrivals for owed in arrival.owed]
    return {
        (endpoint_id, lane)
        for endpoint_id, keys in _by_endpoint(wanted).items()
        for lane in connection.scalars(
            select(lanes.c.lane).where(lanes.c.endpoint_id == endpoint_id, lanes.c.lane.in_(keys))
        )
    }


def _add(
    adding: _Insertion,
    arrival: Arrival,
    ids: EndpointIds,
    numbers: Numbers,
    taken: set[LaneKey],
) -> Fresh:
    message = arrival.message
    numbers.message += 1
    owes = read_owed([DeliveryState.PENDING for owed in arrival.owed if owed.required])
    owes = owes and bool(arrival.owed or arrival.unwanted_read)
    outcome = None if arrival.owed or owes else MessageOutcome.UNWANTED
    adding.messages.append(
        message_values(numbers.message, message)
        | {
            "receipt": (ReceiptState.OWED if owes else ReceiptState.NONE).value,
            "outcome": outcome and outcome.value,
            "finished_at": outcome and message.received_at,
        }
    )
    adding.received[message.bot] += 1
    adding.finished[message.bot] += outcome is not None
    fresh: list[Delivery] = []
    leading: list[int] = []
    for owed in arrival.owed:
        numbers.delivery += 1
        lane = (ids[owed.endpoint], owed.lane)
        if lane not in taken:
            taken.add(lane)
            leading.append(numbers.delivery)
            adding.lanes[lane] = message.received_at
        adding.deliveries.append(
            {
                "id": numbers.delivery,
                "seq": numbers.message,
                "endpoint_id": lane[0],
                "lane": owed.lane,
                "required": owed.required,
                "state": DeliveryState.PENDING.value,
            }
        )
        fresh.append(Delivery(numbers.delivery, owed.endpoint, owed.lane, message))
    return Fresh(tuple(fresh), frozenset(leading), owes, outcome)


def _insert(connection: Connection, adding: _Insertion) -> None:
    if not adding.messages:
        return
    connection.execute(insert(messages), adding.messages)
    if adding.deliveries:
        connection.execute(insert(deliveries), adding.deliveries)
    if adding.lanes:
        rows = [
            {"endpoint_id": endpoint_id, "lane": lane, "due_at": due_at}
            for (endpoint_id, lane), due_at in adding.lanes.items()
        ]
        connection.execute(insert(lanes), rows)
    finishing.tally(connection, received=adding.received, finished=adding.finished)


def _owe_again(connection: Connection, seqs: list[int]) -> None:
    if seqs:
        connection.execute(
            update(messages).where(messages.c.seq.in_(seqs)).values(receipt=ReceiptState.OWED.value)
        )


# --- Attempts -----------------------------------------------------------------------------------


def settle(
    connection: Connection, outcomes: Sequence[Outcome], ids: EndpointIds, now: float
) -> list[Settled]:
    """Record ended attempts, let lanes go on, owe receipts, finish messages."""
    pairs = [(outcome.delivery, outcome.attempt) for outcome in outcomes]
    connection.execute(insert(attempts), [attempt_values(*pair) for pair in pairs])
    connection.execute(_CHARGE, [charge_values(*pair) for pair in pairs])
    _postpone(connection, [item for item in outcomes if isinstance(item, Postponed)], ids)
    ended = [item for item in outcomes if not isinstance(item, Postponed)]
    if not ended:
        return [Settled(lane_continues=True) for _ in outcomes]
    connection.execute(_END, [_end_values(item, now) for item in ended])
    going_on = go_on(connection, [_lane_of(item.delivery, ids) for item in ended], now)
    seq_of = _seqs(connection, [item.delivery.id for item in ended])
    seqs = set(seq_of.values())
    owed = finishing.owe_receipts(connection, seqs)
    finished = finishing.finish(connection, seqs, now)
    answers: list[Settled] = []
    for item in reversed(outcomes):  # what a message comes to is told with its last outcome
        if isinstance(item, Postponed):
            answers.append(Settled(lane_continues=True))
            continue
        seq = seq_of[item.delivery.id]
        row = finished.pop(seq, None)
        owes, owed = seq in owed, owed - {seq}
        outcome = MessageOutcome(row.outcome) if row else None
        answers.append(Settled(_lane_of(item.delivery, ids) in going_on, owes, outcome))
    return answers[::-1]


def defer(connection: Connection, deferred: Sequence[Deferred]) -> None:
    """Mark cut deliveries doubtful."""
    cut = [item.delivery.id for item in deferred]
    connection.execute(update(deliveries).where(deliveries.c.id.in_(cut)).values(doubtful=True))


def go_on(connection: Connection, keys: Iterable[LaneKey], now: float) -> set[LaneKey]:
    """Let lanes go on whose first delivery has ended; answers with those that have more."""
    going_on: set[LaneKey] = set()
    for endpoint_id, names in _by_endpoint(keys).items():
        these = (lanes.c.endpoint_id == endpoint_id, lanes.c.lane.in_(names))
        waiting = exists().where(
            deliveries.c.endpoint_id == lanes.c.endpoint_id,
            deliveries.c.lane == lanes.c.lane,
            PENDING,
        )
        connection.execute(delete(lanes).where(*these, ~waiting))
        left = update(lanes).where(*these).values(due_at=now).returning(lanes.c.lane)
        going_on |= {(endpoint_id, lane) for lane in connection.scalars(left)}
    return going_on


def _postpone(connection: Connection, outcomes: list[Postponed], ids: EndpointIds) -> None:
    rows = [
        {"at": ids[item.delivery.endpoint], "of": item.delivery.lane, "until": item.due_at}
        for item in outcomes
    ]
    if rows:
        connection.execute(_POSTPONE, rows)


def _end_values(outcome: Delivered | DeadLettered, now: float) -> Values:
    end: Values = {"of": outcome.delivery.id, "at": now}
    match outcome:
        case Delivered():
            return end | {"as": DeliveryState.DELIVERED.value, "why": None}
        case DeadLettered():
            reason = str(outcome.attempt.verdict.reason)
            return end | {"as": DeliveryState.DEAD.value, "why": reason}


def _seqs(connection: Connection, delivery_ids: list[int]) -> dict[int, int]:
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.seq).where(deliveries.c.id.in_(delivery_ids))
    )
    return {row.id: row.seq for row in rows}


def _lane_of(delivery: Delivery, ids: EndpointIds) -> LaneKey:
    return ids[delivery.endpoint], delivery.lane


def _by_endpoint(keys: Iterable[LaneKey]) -> dict[int, set[str]]:
    by_endpoint: dict[int, set[str]] = defaultdict(set)
    for endpoint_id, lane in keys:
        by_endpoint[endpoint_id].add(lane)
    return by_endpoint


# --- Receipts -----------------------------------------------------------------------------------


def settle_receipts(
    connection: Connection, bot: str, confirmed: Sequence[int], refused: Sequence[int], now: float
) -> list[Finished]:
    """Record receipts and finish their messages."""
    for seqs, state in ((confirmed, ReceiptState.CONFIRMED), (refused, ReceiptState.REFUSED)):
        connection.execute(
            update(messages)
            .where(messages.c.seq.in_(seqs), messages.c.bot == bot)
            .where(messages.c.receipt == ReceiptState.OWED.value)
            .values(receipt=state.value, receipt_at=now)
        )
    rows = finishing.finish(connection, {*confirmed, *refused}, now)
    return [
        Finished(row.message_id, MessageOutcome(row.outcome)) for _, row in sorted(rows.items())
    ]
