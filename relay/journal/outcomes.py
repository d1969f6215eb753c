"""Records how attempts ended, and what follows for their messages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.journal import lanes
from relay.journal.counts import OUTCOMES, Change, Ended, Tallies, subtract
from relay.journal.encryption.columns import ColumnCipher, detail_names
from relay.journal.encryption.keys import Kind
from relay.journal.number_lists import is_in, numbers
from relay.journal.statements import Connection
from relay.model.journal import Settled
from relay.model.messages import (
    Attempt,
    Deferred,
    Delivered,
    Delivery,
    Outcome,
    Postponed,
    Rejected,
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
_ENDED, _TAKEN = Ended(1, 0, dead=False), Ended(1, 1, dead=False)
_DEAD = Ended(1, 0, dead=True)
_TOLD, _STILL_OWED = Change(owed=False, outcome=None), Change(owed=True, outcome=None)
_NO_CHANGE = Settled()
_DOUBT = f"UPDATE deliveries SET doubtful = TRUE WHERE {is_in('id', 'ids')}"


def settle(
    connection: Connection,
    outcomes: Sequence[Outcome],
    cipher: ColumnCipher,
    now: float,
    tallies: Tallies,
) -> list[Settled]:
    """Record ended attempts, let lanes wait, owe receipts, finish messages."""
    asked = numbers([each.delivery.id for each in outcomes])
    there = set(connection.values(_STILL_THERE, ids=asked))
    ends = _Ends(now)
    for outcome in outcomes:
        if outcome.delivery.id in there:
            ends.add(outcome, cipher)
    ends.write(connection)
    changes = subtract(connection, ends.ended, now)
    # From the last: what becomes of a message is told with the outcome that completes it.
    answers = [_answer(each, there, changes, tallies) for each in reversed(outcomes)]
    answers.reverse()
    return answers


def defer(connection: Connection, deferred: Sequence[Deferred]) -> None:
    """Mark cut deliveries doubtful."""
    connection.run(_DOUBT, ids=numbers([each.delivery.id for each in deferred]))


@dataclass(slots=True)
class _Ends:
    """The rows that outcomes change and add, and what has `ended` of which message."""

    now: float
    delivered: list[Values] = field(default_factory=list)
    failed: list[Values] = field(default_factory=list)
    buried: list[Values] = field(default_factory=list)
    attempts: list[Values] = field(default_factory=list)
    postponed: list[tuple[float, int]] = field(default_factory=list)
    ended: dict[int, Ended] = field(default_factory=dict)

    def add(self, outcome: Outcome, cipher: ColumnCipher) -> None:
        """Add an outcome."""
        delivery, attempt = outcome.delivery, outcome.attempt
        verdict, started_at = attempt.verdict, attempt.started_at
        if isinstance(outcome, Delivered):
            taken: Values = (started_at, attempt.duration, verdict.status)
            if verdict.detail:  # more than a delivery's row can tell
                self.attempts.append(_attempt(delivery, attempt, cipher))
                taken = (None, None, None)
            self.delivered.append((started_at, self.now, *taken, delivery.id))
            self._end(delivery, _TAKEN if delivery.required else _ENDED)
            return
        self.attempts.append(_attempt(delivery, attempt, cipher))
        rejected, doubtful = isinstance(verdict, Rejected), getattr(verdict, "doubtful", False)
        self.failed.append((rejected, started_at, doubtful, delivery.id))
        if isinstance(outcome, Postponed):
            self.postponed.append((outcome.due_at, delivery.id))
        else:
            self.buried.append((self.now, str(verdict.reason), delivery.id))
            self._end(delivery, _DEAD if delivery.required else _ENDED)

    def _end(self, delivery: Delivery, end: Ended) -> None:
        """Note what has ended of a message, on which nothing of its replays has a bearing."""
        if delivery.replay is None:
            before = self.ended.get(delivery.seq)
            self.ended[delivery.seq] = end if before is None else before.and_(end)

    def write(self, connection: Connection) -> None:
        """Write the rows."""
        for text, rows in (
            (_DELIVERED, self.delivered),
            (_FAILED, self.failed),
            (_BURIED, self.buried),
            (_ATTEMPT, self.attempts),
        ):
            if rows:
                connection.many(text, rows)
        lanes.postpone(connection, self.postponed)


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


def _answer(
    outcome: Outcome, there: Collection[int], changes: dict[int, Change], tallies: Tallies
) -> Settled:
    delivery = outcome.delivery
    seq = delivery.seq
    change = changes.get(seq)
    if (
        change is None
        or delivery.replay is not None
        or delivery.id not in there
        or isinstance(outcome, Postponed)
    ):
        return _NO_CHANGE
    owed = change.owed and delivery.required
    changes[seq] = _TOLD if owed or not change.owed else _STILL_OWED
    if change.outcome is None:
        return Settled(receipt_owed=owed, seq=seq)
    tallies.finished[delivery.endpoint.bot] += 1
    return Settled(receipt_owed=owed, finished=OUTCOMES[change.outcome], seq=seq)
