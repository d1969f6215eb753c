"""When READ is owed and when a message is finished: `rules.py` in SQL, for many at once."""

from collections import Counter
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, bindparam, case, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from relay.journal.parameters import is_in
from relay.journal.rules import TAKEN
from relay.journal.schema import PENDING, deliveries, messages, tallies
from relay.model.journal import Finished
from relay.model.messages import DeliveryState, MessageOutcome, ReceiptState


def _any(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    of_message = select(deliveries.c.id).where(
        deliveries.c.seq == messages.c.seq,
        deliveries.c.replay.is_(None),  # nothing of a message depends on its replays
        *conditions,
    )
    return exists(of_message.correlate(messages))


def _any_required(state: DeliveryState) -> ColumnElement[bool]:
    return _any(deliveries.c.required, deliveries.c.state == state.value)


_HELD_BACK = _any(deliveries.c.required, deliveries.c.state.not_in([s.value for s in TAKEN]))
_LOST = _any_required(DeliveryState.DEAD) | _any_required(DeliveryState.DISCARDED)
_OUTCOME = case(
    (_any_required(DeliveryState.DEAD), MessageOutcome.DEAD.value),
    (_any_required(DeliveryState.DISCARDED), MessageOutcome.DISCARDED.value),
    (_any_required(DeliveryState.WAIVED), MessageOutcome.DISCARDED.value),
    (_any(), MessageOutcome.READ.value),
    else_=MessageOutcome.UNWANTED.value,
)
_OWE = (
    update(messages)
    .where(is_in(messages.c.seq, "seqs"), messages.c.receipt == ReceiptState.NONE.value)
    .where(~_HELD_BACK)
    .values(receipt=ReceiptState.OWED.value)
    .returning(messages.c.seq)
)
_FINISH = (
    update(messages)
    .where(is_in(messages.c.seq, "seqs"), messages.c.outcome.is_(None))
    .where(~_any(PENDING), _LOST | (messages.c.receipt != ReceiptState.OWED.value))
    .values(outcome=_OUTCOME, finished_at=bindparam("now"))
    .returning(messages.c.seq, messages.c.bot, messages.c.message_id, messages.c.outcome)
)
_REOPEN = (
    update(messages)
    .where(is_in(messages.c.seq, "seqs"), messages.c.outcome.is_not(None))
    .values(outcome=None, finished_at=None)
    .returning(messages.c.bot)
)
_ADD = insert(tallies)
_TALLY = _ADD.on_conflict_do_update(
    index_elements=[tallies.c.bot],
    set_={
        "received": tallies.c.received + _ADD.excluded.received,
        "finished": tallies.c.finished + _ADD.excluded.finished,
    },
)


def owe_receipts(connection: Connection, seqs: Collection[int]) -> set[int]:
    """Owe READ for those messages that may be said READ now; answers with those that are new."""
    return set(connection.scalars(_OWE, {"seqs": seqs})) if seqs else set()


def finish(connection: Connection, seqs: Collection[int], now: float) -> dict[int, Finished]:
    """Finish those messages that need nothing more; answers with what became of which `seq`."""
    if not seqs:
        return {}
    rows = connection.execute(_FINISH, {"seqs": seqs, "now": now}).all()
    tally(connection, finished=Counter(row.bot for row in rows))
    return {row.seq: Finished(row.message_id, MessageOutcome(row.outcome)) for row in rows}


def reopen(connection: Connection, seqs: Collection[int]) -> None:
    """Let finished messages be unfinished again."""
    reopened = Counter(connection.scalars(_REOPEN, {"seqs": seqs}))
    tally(connection, finished=Counter({bot: -count for bot, count in reopened.items()}))


def tally(
    connection: Connection,
    *,
    received: Counter[str] | None = None,
    finished: Counter[str] | None = None,
) -> None:
    """Count what was received and what finished."""
    received, finished = received or Counter(), finished or Counter()
    counts = [
        {"bot": bot, "received": received[bot], "finished": finished[bot]}
        for bot in sorted(received.keys() | finished.keys())
    ]
    if counts:
        connection.execute(_TALLY, counts)
