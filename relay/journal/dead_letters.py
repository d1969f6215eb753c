"""Dead letters in a SQL database, and what an operator may do with them."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from relay.journal import finishing
from relay.journal import retention as keeping
from relay.journal.encryption.columns import Bodies
from relay.journal.encryption.keys import Kind
from relay.journal.parameters import in_parts, is_in
from relay.journal.reviving import requeue
from relay.journal.rows import as_bytes, detail_names, endpoint_of
from relay.journal.schema import DEAD, attempts, deliveries, endpoints, messages
from relay.model.admin import DeadLetter, DeadLetterQuery, Place
from relay.model.journal import AuditEntry, OperatorEventKind
from relay.model.messages import DeliveryState, EndpointKey, MessageOutcome

_PART = 10_000
"""So many rows are read at a time, in the order of the list."""

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
    .where(DEAD, is_in(deliveries.c.id, "ids"))
    .order_by(deliveries.c.ended_at, deliveries.c.id)
)
_PLACES: Select[Any] = (
    select(deliveries.c.ended_at, deliveries.c.id)
    .where(DEAD)
    .order_by(deliveries.c.ended_at, deliveries.c.id)
)
_COUNT = select(func.count()).select_from(deliveries).where(DEAD)
_GIVE_UP = update(deliveries).where(is_in(deliveries.c.id, "ids"))


def find(connection: Connection, query: DeadLetterQuery, bodies: Bodies) -> list[DeadLetter]:
    """List dead letters."""
    return [_dead_letter(row, bodies) for row in _select(connection, query)]


def count(connection: Connection, query: DeadLetterQuery) -> int:
    """Count dead letters."""
    return sum(
        connection.scalar(_COUNT.where(deliveries.c.endpoint_id == endpoint, *more)) or 0
        for endpoint in _endpoints(connection, query)
        for more in _after(query.after, _conditions(query))
    )


def retry(
    connection: Connection, query: DeadLetterQuery, now: float, bodies: Bodies, *, actor: str
) -> list[DeadLetter]:
    """Revive dead letters."""
    rows = _select(connection, query, endpoints.c.configured)
    requeue(connection, [row.id for row in rows], now)
    counts = Counter(endpoint_of(row) for row in rows)
    _notify(connection, OperatorEventKind.REVIVED, counts, rows, AuditEntry(actor, query.words))
    return [_dead_letter(row, bodies) for row in rows]


def discard(
    connection: Connection,
    query: DeadLetterQuery,
    now: float,
    bodies: Bodies,
    *,
    mark_read: bool,
    actor: str,
) -> list[DeadLetter]:
    """Give dead letters up."""
    rows = _select(connection, query)
    state = DeliveryState.WAIVED if mark_read else DeliveryState.DISCARDED
    given_up = _GIVE_UP.values(state=state.value)
    for ids in in_parts([row.id for row in rows]):
        connection.execute(given_up, {"ids": ids})
    kind = OperatorEventKind.WAIVED if mark_read else OperatorEventKind.DISCARDED
    audit = AuditEntry(actor, query.words)
    _notify(connection, kind, _finish(connection, rows, now), rows, audit)
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
    connection: Connection, query: DeadLetterQuery, *of_endpoint: ColumnElement[bool]
) -> Sequence[Row[Any]]:
    places = [
        _places(connection, endpoint, query)
        for endpoint in _endpoints(connection, query, *of_endpoint)
    ]
    ids = [number for _, number in islice(heapq.merge(*places), query.limit)]
    return [
        row
        for part in (ids[start : start + _PART] for start in range(0, len(ids), _PART))
        for row in connection.execute(_DEAD_LETTERS, {"ids": part})
    ]


def _places(connection: Connection, endpoint: int, query: DeadLetterQuery) -> Iterator[Place]:
    """Go through one endpoint's, which are in order in an index, and read no more than asked."""
    for more in _after(query.after, _conditions(query)):
        wanted = _PLACES.where(deliveries.c.endpoint_id == endpoint, *more).limit(query.limit)
        yield from (Place(*row) for row in connection.execute(wanted))


def _after(
    place: Place | None, conditions: Sequence[ColumnElement[bool]]
) -> Iterator[list[ColumnElement[bool]]]:
    """Go on behind a place: first among those that died at the same time, of which any may have."""
    if place is None:
        yield [*conditions]
    else:
        same = (deliveries.c.ended_at == place.ended_at, deliveries.c.id > place.number)
        yield [*same, *conditions]
        yield [deliveries.c.ended_at > place.ended_at, *conditions]


def _endpoints(
    connection: Connection, query: DeadLetterQuery, *more: ColumnElement[bool]
) -> Sequence[int]:
    equal = {endpoints.c.bot: query.bot, endpoints.c.name: query.endpoint}
    named = [column == value for column, value in equal.items() if value is not None]
    return connection.scalars(select(endpoints.c.id).where(*named, *more)).all()


def _conditions(query: DeadLetterQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.reason is not None:
        conditions.append(deliveries.c.ended_reason == query.reason)
    if query.until is not None:
        conditions.append(deliveries.c.ended_at < query.until)
    if query.since is not None:
        conditions.append(deliveries.c.ended_at >= query.since)
    if query.message_ids is not None:
        ids = messages.c.message_id.in_(query.message_ids)
        conditions.append(deliveries.c.seq.in_(select(messages.c.seq).where(ids)))
    if query.conversation_id is not None:
        conversation = messages.c.conversation_id == query.conversation_id
        of_message = select(messages.c.seq).where(messages.c.seq == deliveries.c.seq, conversation)
        conditions.append(of_message.correlate(deliveries).exists())
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
        row.id,
    )


def _notify(
    connection: Connection,
    kind: OperatorEventKind,
    counts: Counter[EndpointKey],
    rows: Sequence[Row[Any]],
    audit: AuditEntry,
) -> None:
    acted = Counter(endpoint_of(row) for row in rows)
    for endpoint, count in counts.items():
        done = replace(audit, count=acted[endpoint])
        keeping.notify(connection, kind, endpoint, count, audit=done)
