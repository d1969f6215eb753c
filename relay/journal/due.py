"""Reads what is due of an endpoint: whole lanes' fronts, up to a count and a size."""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from relay.delivery.lanes import LANE_DEPTH
from relay.journal.connection import Connection
from relay.journal.encryption.columns import ColumnCipher
from relay.model.journal import Due
from relay.model.messages import Delivery, EndpointKey, Message, Source

_LANES = """
  SELECT lane FROM lanes WHERE endpoint_id = :endpoint AND due_at <= :now ORDER BY due_at, lane
"""
_FRONT = """
  SELECT
    m.bot, m.message_id, m.conversation_id, m.user_id, m.category, m.source, m.received_at,
    CAST(m.frame AS BLOB) AS frame, m.sealed_by, m.size,
    d.id, d.seq, d.required, d.attempts, d.failures, d.rejections, d.first_attempt_at, d.doubtful,
    d.replay
  FROM deliveries AS d JOIN messages AS m ON m.seq = d.seq
  WHERE d.endpoint_id = ? AND d.lane = ? AND d.state = 'pending' ORDER BY d.id LIMIT ?
"""
_NEXT_DUE_AT = "SELECT min(due_at) FROM lanes WHERE endpoint_id = :endpoint AND due_at > :now"


def due(
    connection: Connection,
    endpoint: EndpointKey,
    endpoint_id: int,
    now: float,
    cipher: ColumnCipher,
    *,
    skip: Collection[str],
    limit: int,
    max_bytes: int,
) -> Due:
    """Read what is due at `now`, longest due first, but not of the lanes in `skip`.

    It ends with the first delivery that does not fit, unless that is the very first.
    """
    taken: list[Delivery] = []
    whole: set[str] = set()
    lanes = _lanes(connection, endpoint_id, now, frozenset(skip))
    full = False
    for lane in lanes:
        before = len(taken)
        whole.add(lane)
        for row in connection.driver.execute(_FRONT, (endpoint_id, lane, LANE_DEPTH + 1)):
            full = len(taken) == limit or (bool(taken) and row.size > max_bytes)
            if full or len(taken) - before == LANE_DEPTH:
                whole.discard(lane)
                break
            taken.append(_delivery(endpoint, lane, row, cipher))
            max_bytes -= row.size
        if full:
            lanes = chain([lane] if len(taken) == before else [], lanes)
            break
    more = next(lanes, None) is not None
    next_due_at = connection.value(_NEXT_DUE_AT, endpoint=endpoint_id, now=now)
    return Due(tuple(taken), frozenset(whole), more, next_due_at)


def _lanes(
    connection: Connection, endpoint_id: int, now: float, skip: Collection[str]
) -> Iterator[str]:
    due_at = connection.driver.execute(_LANES, {"endpoint": endpoint_id, "now": now})
    return (lane for (lane,) in due_at if lane not in skip)


def _delivery(endpoint: EndpointKey, lane: str, row: Any, cipher: ColumnCipher) -> Delivery:
    return Delivery(
        row.id,
        endpoint,
        lane,
        _message(row, cipher),
        row.attempts,
        row.failures,
        row.rejections,
        row.first_attempt_at,
        bool(row.doubtful),
        row.replay,
        row.seq,
        bool(row.required),
    )


def _message(row: Any, cipher: ColumnCipher) -> Message:
    frame, damage = cipher.open_frame(row)
    return Message(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        frame,
        row.received_at,
        damage,
    )
