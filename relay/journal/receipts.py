"""READ receipts: which are owed, and what Mixin answered."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from relay.journal.counts import OUTCOMES, Tallies
from relay.journal.number_lists import is_in, numbers
from relay.journal.rules import OUTCOME
from relay.journal.statements import Connection
from relay.model.journal import Finished, OwedReceipt, ReceiptAnswers
from relay.model.messages import ReceiptState

_OWED = """
  SELECT seq, message_id FROM messages
  WHERE bot = :bot AND seq > :after AND receipt = 'owed' ORDER BY seq LIMIT :limit
"""
_THESE = f"{is_in('seq', 'seqs')} AND bot = :bot AND receipt = 'owed'"
_FINISH = f"""
  UPDATE messages SET receipt = :receipt, receipt_at = :now, finished_at = :now,
    outcome = {OUTCOME.format(ends_as="ends_as")}
  WHERE {_THESE} AND outcome IS NULL AND open = 0 RETURNING seq, message_id, outcome
"""
_ANSWER = f"UPDATE messages SET receipt = :receipt, receipt_at = :now WHERE {_THESE}"

_BY_SEQ = itemgetter(0)


def owed_receipts(connection: Connection, bot: str, after: int, limit: int) -> list[OwedReceipt]:
    """Read owed receipts with a `seq` above `after`, ascending."""
    rows = connection.rows(_OWED, bot=bot, after=after, limit=limit)
    return [OwedReceipt(seq, message_id) for seq, message_id in rows]


def settle_receipts(
    connection: Connection, answers: ReceiptAnswers, now: float, tallies: Tallies
) -> list[Finished]:
    """Record receipts by `seq`; answers with the messages that this finished."""
    finished: list[Any] = []
    for seqs, state in (
        (answers.confirmed, ReceiptState.CONFIRMED),
        (answers.refused, ReceiptState.REFUSED),
    ):
        if seqs:
            finished += _settle(connection, answers.bot, seqs, state, now)
    tallies.finished[answers.bot] += len(finished)
    finished.sort(key=_BY_SEQ)
    return [Finished(each, OUTCOMES[outcome]) for _, each, outcome in finished]


def _settle(
    connection: Connection, bot: str, seqs: Sequence[int], state: ReceiptState, now: float
) -> list[Any]:
    values = {"seqs": numbers(seqs), "bot": bot, "receipt": state.value, "now": now}
    finished = connection.rows(_FINISH, **values)
    if len(finished) < len(seqs):  # the rest has deliveries open, or finished before
        connection.run(_ANSWER, **values)
    return finished
