"""Dead letters in a SQL database, and what an operator may do with them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from relay.desk import DeadLetter, DeadLetterQuery
from relay.journal import finishing, keeping
from relay.journal.bodies import Bodies
from relay.journal.many import among, in_parts
from relay.journal.reviving import revive
from relay.journal.rows import as_bytes, detail_names, endpoint_of
from relay.journal.schema import DEAD, attempts, deliveries, endpoints, messages
from relay.ledger import NoticeKind
from relay.model import DeliveryState, EndpointKey, MessageOutcome
from relay.sealing import Kind

_LAST_ATTEMPT = (
    select(func.max(attempts.c.id))
    .where(attempts.c.delivery_id == deliveries.c.id)
    .correlate(deliveries)
    .scalar_subquery()
)
_DEAD_LETTERS: Select[Any] = (
    select(
        deliveries.c.id,
        deliveries.c.seq,
        deliveries.c.attempts,
        deliveries.c.ended_at,
        deliveries.c.ended_reason,
        deliveries.c.replay,
        endpoints.c.bot,
        endpoints.c.name,
        messages.c.message_id,
        messages.c.conversation_id,
        messages.c.category,
        messages.c.received_at,
        messages.c.outcome,
        attempts.c.status,
        as_bytes(attempts.c.detail),
        attempts.c.number,
        attempts.c.sealed_by,
    )
    .join_from(deliveries, endpoints)
    .join(messages, messages.c.seq == deliveries.c.seq)
    .join(attempts, attempts.c.id == _LAST_ATTEMPT, isouter=True)
    .where(DEAD)
    .order_by(deliveries.c.ended_at, deliveries.c.id)
)
_GIVE_UP = update(deliveries).where(among(deliveries.c.id, "ids"))


def find(connection: Connection, query: DeadLetterQuery, bodies: Bodies) -> list[DeadLetter]:
    """List dead letters."""
    return [_dead_letter(row, bodies) for row in _select(connection, query)]


def retry(
    connection: Connection, query: DeadLetterQuery, now: float, bodies: Bodies
) -> list[DeadLetter]:
    """Revive dead letters."""
    rows = _select(connection, query, endpoints.c.configured)
    revive(connection, [row.id for row in rows], now)
    _notify(connection, NoticeKind.REVIVED, Counter(endpoint_of(row) for row in rows))
    return [_dead_letter(row, bodies) for row in rows]


def discard(
    connection: Connection,
    query: DeadLetterQuery,
    now: float,
    bodies: Bodies,
    *,
    mark_read: bool,
) -> list[DeadLetter]:
    """Give dead letters up."""
    rows = _select(connection, query)
    state = DeliveryState.WAIVED if mark_read else DeliveryState.DISCARDED
    given_up = _GIVE_UP.values(state=state.value)
    for ids in in_parts([row.id for row in rows]):
        connection.execute(given_up, {"ids": ids})
    kind = NoticeKind.WAIVED if mark_read else NoticeKind.DISCARDED
    _notify(connection, kind, _finish(connection, rows, now))
    return [_dead_letter(row, bodies) for row in rows]


def _finish(connection: Connection, rows: Sequence[Row[Any]], now: float) -> Counter[EndpointKey]:
    """Judge messages anew; answers how many became discarded, by the endpoint that came last."""
    became = Counter({endpoint_of(row): 0 for row in rows})
    last = {row.seq: row for row in rows if row.replay is None}
    for seqs in in_parts(last):
        finishing.reopen(connection, seqs)
        finishing.owe_receipts(connection, seqs)
        for seq, end in finishing.finish(connection, seqs, now).items():
            if last[seq].outcome != end.outcome == MessageOutcome.DISCARDED:
                became[endpoint_of(last[seq])] += 1
    return became


def _select(
    connection: Connection, query: DeadLetterQuery, *more: ColumnElement[bool]
) -> Sequence[Row[Any]]:
    wanted = _DEAD_LETTERS.where(*_conditions(query), *more).limit(query.limit)
    return connection.execute(wanted).all()


def _conditions(query: DeadLetterQuery) -> list[ColumnElement[bool]]:
    equal = {
        endpoints.c.bot: query.bot,
        endpoints.c.name: query.endpoint,
        deliveries.c.ended_reason: query.reason,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if query.message_ids is not None:
        conditions.append(messages.c.message_id.in_(query.message_ids))
    if query.ended_before is not None:
        conditions.append(deliveries.c.ended_at < query.ended_before)
    return conditions


def _dead_letter(row: Row[Any], bodies: Bodies) -> DeadLetter:
    names = detail_names(endpoint_of(row), row.message_id, row.number)
    return DeadLetter(
        endpoint_of(row),
        row.message_id,
        row.conversation_id,
        row.category,
        row.attempts,
        row.ended_reason or "",
        row.status,
        bodies.show_text(Kind.DETAIL, names, row.detail or b"", row.sealed_by),
        row.received_at,
        row.ended_at,
        row.replay,
    )


def _notify(connection: Connection, kind: NoticeKind, counts: Counter[EndpointKey]) -> None:
    for endpoint, count in counts.items():
        keeping.notify(connection, kind, endpoint, count)
