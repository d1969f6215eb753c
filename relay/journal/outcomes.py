"""Records how attempts ended, and what follows for their messages."""

from collections.abc import Collection, Sequence
from typing import Any

from relay.journal import lanes
from relay.journal.connection import Connection
from relay.journal.counts import Change, Ended, Tallies, subtract
from relay.journal.encryption.columns import ColumnCipher, detail_names
from relay.journal.encryption.keys import Kind
from relay.journal.incoming import Run
from relay.journal.parameters import is_in, numbers
from relay.model.journal import Settled
from relay.model.messages import (
    Attempt,
    DeadLettered,
    Deferred,
    Delivered,
    Delivery,
    MessageOutcome,
    Outcome,
    Postponed,
    Rejected,
    Success,
)

Values = tuple[Any, ...]

# A replay's may have been cancelled or pruned while it was in flight; of what is owed, one that is
# pending no more was given up meanwhile.
_STILL_THERE = f"""
  SELECT id FROM deliveries
  WHERE {is_in("id", "ids")} AND (state = 'pending' OR replay IS NOT NULL)
"""
_DELIVERED = """
  UPDATE deliveries SET
    state = 'delivered', attempts = attempts + 1,
    first_attempt_at = coalesce(first_attempt_at, ?), ended_at = ?, ended_reason = NULL,
    started_at = ?, duration = ?, status = ?
  WHERE id = ?
"""
_FAILED = """
  UPDATE deliveries SET
    attempts = attempts + 1, failures = failures + 1, rejections = rejections + ?,
    first_attempt_at = coalesce(first_attempt_at, ?), doubtful = (doubtful OR ?)
  WHERE id = ?
"""
_BURIED = "UPDATE deliveries SET state = 'dead', ended_at = ?, ended_reason = ? WHERE id = ?"
_ATTEMPT = """
  INSERT INTO attempts (
    delivery_id, number, started_at, duration, outcome, status, reason, detail, sealed_by
  ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NOTHING = Ended(0, 0, dead=False)
_NO_CHANGE = Settled()
_DOUBT = f"UPDATE deliveries SET doubtful = TRUE WHERE {is_in('id', 'ids')}"


def settle(
    connection: Connection,
    outcomes: Sequence[Outcome],
    run: Run,
    now: float,
    tallies: Tallies,
) -> list[Settled]:
    """Record ended attempts, let lanes wait, owe receipts, finish messages."""
    asked = numbers([each.delivery.id for each in outcomes])
    there = set(connection.values(_STILL_THERE, ids=asked))
    known = [each for each in outcomes if each.delivery.id in there]
    _write_deliveries(connection, known, now)
    _write_attempts(connection, known, run.cipher)
    postponed = [
        (run.ids[each.delivery.endpoint], each.delivery.lane, each.due_at, each.delivery.id)
        for each in known
        if isinstance(each, Postponed)
    ]
    lanes.postpone(connection, postponed)
    changes = subtract(connection, _ended(known), now)
    # From the last: what becomes of a message is told with the outcome that completes it.
    return [_answer(each, there, changes, tallies) for each in reversed(outcomes)][::-1]


def defer(connection: Connection, deferred: Sequence[Deferred]) -> None:
    """Mark cut deliveries doubtful."""
    connection.run(_DOUBT, ids=numbers([each.delivery.id for each in deferred]))


def _write_deliveries(connection: Connection, outcomes: Sequence[Outcome], now: float) -> None:
    delivered: list[Values] = []
    failed: list[Values] = []
    buried: list[Values] = []
    for outcome in outcomes:
        number, attempt = outcome.delivery.id, outcome.attempt
        if isinstance(outcome, Delivered):
            taken = _taken(attempt)
            delivered.append((attempt.started_at, now, *taken, number))
            continue
        verdict = attempt.verdict
        doubt = bool(getattr(verdict, "doubtful", False))
        failed.append((isinstance(verdict, Rejected), attempt.started_at, doubt, number))
        if isinstance(outcome, DeadLettered):
            buried.append((now, str(verdict.reason), number))
    for text, rows in ((_DELIVERED, delivered), (_FAILED, failed), (_BURIED, buried)):
        if rows:
            connection.many(text, rows)


def _taken(attempt: Attempt) -> Values:
    """Give what a delivery's row keeps of the attempt that was taken, if that is all there is."""
    if _needs_a_row(attempt):
        return None, None, None
    return attempt.started_at, attempt.duration, attempt.verdict.status


def _needs_a_row(attempt: Attempt) -> bool:
    return not isinstance(attempt.verdict, Success) or bool(attempt.verdict.detail)


def _write_attempts(
    connection: Connection, outcomes: Sequence[Outcome], cipher: ColumnCipher
) -> None:
    rows = [
        _attempt(each.delivery, each.attempt, cipher)
        for each in outcomes
        if _needs_a_row(each.attempt)
    ]
    if rows:
        connection.many(_ATTEMPT, rows)


def _attempt(delivery: Delivery, attempt: Attempt, cipher: ColumnCipher) -> Values:
    """Make an attempt's row; its detail is the receiver's own words, which may be the message's."""
    verdict = attempt.verdict
    names = detail_names(delivery.endpoint, delivery.message.message_id, attempt.number)
    detail, sealed_by = cipher.seal_text(Kind.DETAIL, names, verdict.detail)
    return (
        delivery.id,
        attempt.number,
        attempt.started_at,
        attempt.duration,
        verdict.outcome.value,
        verdict.status,
        verdict.reason and verdict.reason.value,
        detail,
        sealed_by,
    )


def _ended(outcomes: Sequence[Outcome]) -> dict[int, Ended]:
    """Say what has ended of which message, replays aside."""
    ended: dict[int, Ended] = {}
    for outcome in outcomes:
        delivery = outcome.delivery
        if isinstance(outcome, Postponed) or delivery.replay is not None:
            continue
        taken = isinstance(outcome, Delivered)
        before = ended.get(delivery.seq, _NOTHING)
        ended[delivery.seq] = Ended(
            before.ended + 1,
            before.released + (taken and delivery.required),
            before.dead or (delivery.required and not taken),
        )
    return ended


def _answer(
    outcome: Outcome, there: Collection[int], changes: dict[int, Change], tallies: Tallies
) -> Settled:
    delivery = outcome.delivery
    change = changes.get(delivery.seq)
    of_message = delivery.id in there and delivery.replay is None
    if change is None or not of_message or isinstance(outcome, Postponed):
        return _NO_CHANGE
    owed = change.owed and delivery.required
    changes[delivery.seq] = Change(change.owed and not owed, None)
    if change.outcome is None:
        return Settled(receipt_owed=owed, seq=delivery.seq)
    tallies.finished[delivery.endpoint.bot] += 1
    outcome_of_message = MessageOutcome(change.outcome)
    return Settled(receipt_owed=owed, finished=outcome_of_message, seq=delivery.seq)
