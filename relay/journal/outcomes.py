"""The journal's transactions that record ended attempts and receipts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)

from relay.journal import finishing
from relay.journal.encryption.columns import Bodies
from relay.journal.incoming import EndpointIds, LaneKey
from relay.journal.lane_terms import (
    CLOSE_EMPTY_LANES,
    FIRST_IN_LANE,
    IN_LANE_OF_THESE,
)
from relay.journal.parameters import is_in
from relay.journal.rows import Values, attempt_values, charge_values
from relay.journal.schema import (
    attempts,
    deliveries,
    lanes,
    messages,
)
from relay.model.journal import Finished, Settled
from relay.model.messages import (
    DeadLettered,
    Deferred,
    Delivered,
    DeliveryState,
    Outcome,
    Postponed,
    ReceiptState,
)

_ATTEMPT = insert(attempts)
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
_CHARGE_AND_END = _CHARGE.values(
    state=bindparam("as"), ended_at=bindparam("at"), ended_reason=bindparam("why")
)
_DOUBT = update(deliveries).where(is_in(deliveries.c.id, "ids")).values(doubtful=True)
_STILL_THERE = select(deliveries.c.id).where(is_in(deliveries.c.id, "ids"))
_ROWS: Select[Any] = select(
    deliveries.c.id, deliveries.c.seq, deliveries.c.required, deliveries.c.replay
).where(is_in(deliveries.c.id, "ids"))

_POSTPONE = (
    update(lanes)
    .where(lanes.c.endpoint_id == bindparam("at"), lanes.c.lane == bindparam("lane_of"))
    # A dead letter revived meanwhile goes before what is postponed, and does not wait for it.
    .where(bindparam("of") == FIRST_IN_LANE)
    .values(due_at=bindparam("until"))
)
_LET_LANES_GO_ON = (
    update(lanes)
    .where(IN_LANE_OF_THESE)
    .values(due_at=bindparam("now"))
    .returning(lanes.c.endpoint_id, lanes.c.lane)
)
_RECEIPT = (
    update(messages)
    .where(is_in(messages.c.seq, "seqs"), messages.c.bot == bindparam("of"))
    .where(messages.c.receipt == ReceiptState.OWED.value)
    .values(receipt=bindparam("as"), receipt_at=bindparam("now"))
)


@dataclass(slots=True)
class _Consequences:
    """What a group of ended deliveries brings about, by lane and by the messages' `seq`."""

    going_on: set[LaneKey]
    rows: dict[int, Row[Any]]
    owed: set[int]
    finished: dict[int, Finished]


def settle(
    connection: Connection,
    outcomes: Sequence[Outcome],
    ids: EndpointIds,
    now: float,
    bodies: Bodies,
) -> list[Settled]:
    """Record ended attempts, let lanes go on, owe receipts, finish messages."""
    gone = _gone(connection, outcomes)
    there = [each for each in outcomes if each.delivery.id not in gone]
    if there:
        made = [attempt_values(each.delivery, each.attempt, bodies) for each in there]
        connection.execute(_ATTEMPT, made)
    _postpone(connection, [each for each in there if isinstance(each, Postponed)], ids)
    came = _end(connection, [each for each in there if not isinstance(each, Postponed)], now)
    # From the last: what becomes of a message is told with the outcome that completes it.
    return [_answer(each, ids, came, gone) for each in reversed(outcomes)][::-1]


def _gone(connection: Connection, outcomes: Sequence[Outcome]) -> set[int]:
    """Find what was pruned while it was in flight: of a replay that was cancelled meanwhile."""
    again = {each.delivery.id for each in outcomes if each.delivery.replay is not None}
    return again.difference(connection.scalars(_STILL_THERE, {"ids": again})) if again else again


def _answer(
    outcome: Outcome, ids: EndpointIds, came: _Consequences, gone: Collection[int]
) -> Settled:
    delivery = outcome.delivery
    if isinstance(outcome, Postponed) or delivery.id in gone:
        return Settled(lane_continues=True)
    row = came.rows[delivery.id]
    continues = (ids[delivery.endpoint], delivery.lane) in came.going_on
    if row.replay is not None:
        return Settled(continues)
    owes = row.required and row.seq in came.owed
    if owes:
        came.owed.discard(row.seq)
    end = came.finished.pop(row.seq, None)
    return Settled(continues, owes, end.outcome if end else None, row.seq)


def defer(connection: Connection, deferred: Collection[Deferred]) -> None:
    """Mark cut deliveries doubtful."""
    connection.execute(_DOUBT, {"ids": [each.delivery.id for each in deferred]})


def _postpone(connection: Connection, outcomes: Sequence[Postponed], ids: EndpointIds) -> None:
    if not outcomes:
        return
    connection.execute(_CHARGE, [charge_values(each.delivery, each.attempt) for each in outcomes])
    waits: list[Values] = [
        {
            "at": ids[each.delivery.endpoint],
            "lane_of": each.delivery.lane,
            "of": each.delivery.id,
            "until": each.due_at,
        }
        for each in outcomes
    ]
    connection.execute(_POSTPONE, waits)


def _end(
    connection: Connection, outcomes: Sequence[Delivered | DeadLettered], now: float
) -> _Consequences:
    """End deliveries, let their lanes go on, owe receipts, finish messages."""
    if not outcomes:
        return _Consequences(set(), {}, set(), {})
    ends = [
        charge_values(each.delivery, each.attempt) | _end_values(each, now) for each in outcomes
    ]
    connection.execute(_CHARGE_AND_END, ends)
    these = {"ids": [each.delivery.id for each in outcomes]}
    connection.execute(CLOSE_EMPTY_LANES, these)
    going_on = connection.execute(_LET_LANES_GO_ON, these | {"now": now})
    rows = {row.id: row for row in connection.execute(_ROWS, these)}
    seqs = {row.seq for row in rows.values() if row.replay is None}
    owed = finishing.owe_receipts(connection, seqs)
    finished = finishing.finish(connection, seqs - owed, now)
    return _Consequences({(row.endpoint_id, row.lane) for row in going_on}, rows, owed, finished)


def _end_values(outcome: Delivered | DeadLettered, now: float) -> Values:
    match outcome:
        case Delivered():
            return {"as": DeliveryState.DELIVERED.value, "at": now, "why": None}
        case DeadLettered():
            reason = str(outcome.attempt.verdict.reason)
            return {"as": DeliveryState.DEAD.value, "at": now, "why": reason}


def settle_receipts(
    connection: Connection, bot: str, confirmed: Sequence[int], refused: Sequence[int], now: float
) -> list[Finished]:
    """Record receipts and finish their messages."""
    for seqs, state in ((confirmed, ReceiptState.CONFIRMED), (refused, ReceiptState.REFUSED)):
        if seqs:
            answer = {"seqs": seqs, "of": bot, "as": state.value, "now": now}
            connection.execute(_RECEIPT, answer)
    finished = finishing.finish(connection, {*confirmed, *refused}, now)
    return [finished[seq] for seq in sorted(finished)]
