"""When READ is owed and when a message is finished: `rules.py` in SQL, for many at once."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from relay.journal.rules import TAKEN
from relay.journal.schema import PENDING, deliveries, messages, tallies
from relay.model import DeliveryState, MessageOutcome, ReceiptState


def _any(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    of_message = select(deliveries.c.id).where(deliveries.c.seq == messages.c.seq, *conditions)
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


def owe_receipts(connection: Connection, seqs: Collection[int]) -> set[int]:
    """Owe READ for those messages that may be said READ now; answers with those that are new."""
    owed = (
        update(messages)
        .where(messages.c.seq.in_(seqs), messages.c.receipt == ReceiptState.NONE.value)
        .where(~_HELD_BACK)
        .values(receipt=ReceiptState.OWED.value)
        .returning(messages.c.seq)
    )
    return set(connection.scalars(owed))


def finish(connection: Connection, seqs: Collection[int], now: float) -> dict[int, Row[Any]]:
    """Finish those messages that need nothing more; answers with their ids and outcomes."""
    ended = (
        update(messages)
        .where(messages.c.seq.in_(seqs), messages.c.outcome.is_(None))
        .where(~_any(PENDING), _LOST | (messages.c.receipt != ReceiptState.OWED.value))
        .values(outcome=_OUTCOME, finished_at=now)
        .returning(messages.c.seq, messages.c.bot, messages.c.message_id, messages.c.outcome)
    )
    rows = {row.seq: row for row in connection.execute(ended)}
    tally(connection, finished=Counter(row.bot for row in rows.values()))
    return rows


def reopen(connection: Connection, seqs: Collection[int]) -> None:
    """Let finished messages be unfinished again."""
    opened = (
        update(messages)
        .where(messages.c.seq.in_(seqs), messages.c.outcome.is_not(None))
        .values(outcome=None, finished_at=None)
        .returning(messages.c.bot)
    )
    reopened = Counter(connection.scalars(opened))
    tally(connection, finished=Counter({bot: -count for bot, count in reopened.items()}))


def tally(
    connection: Connection,
    *,
    received: Counter[str] | None = None,
    finished: Counter[str] | None = None,
) -> None:
    """Count what was received and what finished."""
    received, finished = received or Counter(), finished or Counter()
    for bot in received.keys() | finished.keys():
        more = {"received": received[bot], "finished": finished[bot]}
        statement = insert(tallies).values(bot=bot, **more)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[tallies.c.bot],
                set_={name: tallies.c[name] + count for name, count in more.items()},
            )
        )
