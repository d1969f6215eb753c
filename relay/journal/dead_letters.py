"""Dead letters, and what an operator may do with them."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from relay.journal import lanes, operator_events
from relay.journal.counts import count_anew
from relay.journal.encryption.columns import ColumnCipher, detail_names
from relay.journal.encryption.keys import Kind
from relay.journal.number_lists import in_parts, is_in, numbers
from relay.journal.statements import Connection
from relay.model.admin import DeadLetter, DeadLetterQuery, Place
from relay.model.journal import AuditEntry, OperatorEventKind
from relay.model.messages import DeliveryState, EndpointKey, MessageOutcome

_PART = 10_000
"""So many rows are read at a time, in the order of the list."""

_DEAD_LETTERS = f"""
  SELECT
    d.id, d.seq, d.attempts, d.ended_at, d.ended_reason, d.replay, e.bot, e.name,
    m.message_id, m.conversation_id, m.category, m.received_at,
    a.status, CAST(a.detail AS BLOB) AS detail, a.number, a.sealed_by
  FROM deliveries AS d
  JOIN endpoints AS e ON e.id = d.endpoint_id
  JOIN messages AS m ON m.seq = d.seq
  LEFT JOIN attempts AS a ON a.id = (SELECT max(id) FROM attempts WHERE delivery_id = d.id)
  WHERE d.state = 'dead' AND {is_in("d.id", "ids")} ORDER BY d.ended_at, d.id
"""
_THESE = is_in("id", "ids")
_GIVE_UP = f"UPDATE deliveries SET state = :state WHERE {_THESE}"
_REQUEUE = f"""
  UPDATE deliveries SET state = 'pending', failures = 0, rejections = 0, first_attempt_at = NULL,
    ended_at = NULL, ended_reason = NULL
  WHERE {_THESE} RETURNING seq, replay
"""

_OF_ID = "SELECT seq FROM messages WHERE message_id = :id"
_OF_CONVERSATION = """EXISTS (
  SELECT 1 FROM messages WHERE messages.seq = deliveries.seq AND conversation_id = :conversation
)"""

Found = tuple[str, dict[str, Any]]
"""The FROM and WHERE of a query, and its values."""


def find(connection: Connection, query: DeadLetterQuery, cipher: ColumnCipher) -> list[DeadLetter]:
    """List dead letters, oldest first."""
    return [_dead_letter(row, cipher) for row in _select(connection, query)]


def count(connection: Connection, query: DeadLetterQuery) -> int:
    """Count dead letters, whatever the query's `limit`."""
    found = _found(connection, query)
    return sum(
        connection.value(f"SELECT count(*) {text}", **values, endpoint=endpoint)
        for endpoint in _endpoints(connection, query)
        for text, values in found
    )


def retry(
    connection: Connection, query: DeadLetterQuery, now: float, cipher: ColumnCipher, *, actor: str
) -> list[DeadLetter]:
    """Make dead letters due again, of endpoints that are configured."""
    letters = [_dead_letter(row, cipher) for row in _select(connection, query, configured=True)]
    requeue(connection, [letter.number for letter in letters], now)
    counts = Counter(letter.endpoint for letter in letters)
    for endpoint, number in counts.items():
        audit = AuditEntry(actor, query.words, number)
        operator_events.write(connection, OperatorEventKind.REVIVED, endpoint, audit, number)
    return letters


def requeue(connection: Connection, dead: Collection[int], now: float) -> None:
    """Make deliveries due at once, their patience anew, and their messages unfinished."""
    for ids in in_parts(dead):
        rows = connection.rows(_REQUEUE, ids=numbers(ids))
        lanes.requeue(connection, ids, now)
        count_anew(connection, {row.seq for row in rows if row.replay is None}, now)


def discard(
    connection: Connection,
    query: DeadLetterQuery,
    now: float,
    cipher: ColumnCipher,
    *,
    mark_read: bool,
    actor: str,
) -> list[DeadLetter]:
    """Give dead letters up; with `mark_read` they no longer hold READ back."""
    rows = _select(connection, query)
    letters = [_dead_letter(row, cipher) for row in rows]
    state = DeliveryState.WAIVED if mark_read else DeliveryState.DISCARDED
    for ids in in_parts([letter.number for letter in letters]):
        connection.run(_GIVE_UP, ids=numbers(ids), state=state.value)
    kind = OperatorEventKind.WAIVED if mark_read else OperatorEventKind.DISCARDED
    last = {row.seq: endpoint_of(row) for row in rows if row.replay is None}
    finished = _judge(connection, last, now)
    acted = Counter(letter.endpoint for letter in letters)
    for endpoint, number in acted.items():
        audit = AuditEntry(actor, query.words, number)
        operator_events.write(connection, kind, endpoint, audit, finished[endpoint])
    return letters


def _judge(
    connection: Connection, last: dict[int, EndpointKey], now: float
) -> Counter[EndpointKey]:
    """Judge messages anew; answers how many became discarded, by the endpoint that came last."""
    return Counter(
        last[each.seq]
        for seqs in in_parts(last)
        for each in count_anew(connection, seqs, now)
        if each.before != each.outcome == MessageOutcome.DISCARDED
    )


def _select(
    connection: Connection, query: DeadLetterQuery, *, configured: bool = False
) -> list[Any]:
    """Read dead letters oldest first: each endpoint's are in order in an index."""
    found = _found(connection, query)
    places = [
        _places(connection, endpoint, found, query.limit)
        for endpoint in _endpoints(connection, query, configured=configured)
    ]
    ids = [number for _, number in islice(heapq.merge(*places), query.limit)]
    return [
        row
        for start in range(0, len(ids), _PART)
        for row in connection.rows(_DEAD_LETTERS, ids=numbers(ids[start : start + _PART]))
    ]


def _endpoints(
    connection: Connection, query: DeadLetterQuery, *, configured: bool = False
) -> list[int]:
    named = {"bot": query.bot, "name": query.endpoint, "configured": configured or None}
    wanted = {name: value for name, value in named.items() if value is not None}
    conditions = " AND ".join(["TRUE", *(f"{name} = :{name}" for name in wanted)])
    return connection.values(f"SELECT id FROM endpoints WHERE {conditions}", **wanted)


def _places(
    connection: Connection, endpoint: int, found: Sequence[Found], limit: int | None
) -> Iterator[Place]:
    """Go through one endpoint's, and read no more than asked."""
    most = "" if limit is None else f"LIMIT {int(limit)}"
    for text, values in found:
        wanted = f"SELECT ended_at, id {text} ORDER BY ended_at, id {most}"
        yield from (Place(*row) for row in connection.rows(wanted, **values, endpoint=endpoint))


def _found(connection: Connection, query: DeadLetterQuery) -> list[Found]:
    """Say in SQL which of one `:endpoint` are asked for, one text after the other.

    Behind a place come first those that died at the same time, of which there may be any number.
    """
    text = "FROM deliveries WHERE endpoint_id = :endpoint AND state = 'dead'"
    values: dict[str, Any] = {}
    for condition, name, value in (
        ("ended_reason = :reason", "reason", query.reason),
        ("ended_at < :until", "until", query.until),
        ("ended_at >= :since", "since", query.since),
        (is_in("seq", "seqs"), "seqs", _seqs(connection, query.message_ids)),
        (_OF_CONVERSATION, "conversation", query.conversation_id),
    ):
        if value is not None:
            text, values[name] = f"{text} AND {condition}", value
    if query.after is None:
        return [(text, values)]
    values |= query.after._asdict()
    return [
        (f"{text} AND deliveries.ended_at = :ended_at AND id > :number", values),
        (f"{text} AND deliveries.ended_at > :ended_at", values),
    ]


def _seqs(connection: Connection, message_ids: Sequence[str] | None) -> str | None:
    if message_ids is None:
        return None
    return numbers([seq for each in message_ids for seq in connection.values(_OF_ID, id=each)])


def _dead_letter(row: Any, cipher: ColumnCipher) -> DeadLetter:
    names = detail_names(endpoint_of(row), row.message_id, row.number)
    return DeadLetter(
        endpoint_of(row),
        row.message_id,
        row.conversation_id,
        row.category,
        row.attempts,
        row.ended_reason or "",
        row.status,
        cipher.show_text(Kind.DETAIL, names, row.detail or b"", row.sealed_by),
        row.received_at,
        row.ended_at,
        row.replay,
        row.id,
    )


def endpoint_of(row: Any) -> EndpointKey:
    """Read an endpoint's key."""
    return EndpointKey(row.bot, row.name)
