"""Which lanes have something to load, which memory does not hold, and reading what is due of them.

A lane's deliveries go one after the other. A row says when the first of them may be attempted.
"""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from relay.delivery.lanes import LANE_DEPTH
from relay.journal.encryption.columns import ColumnCipher
from relay.journal.number_lists import is_in, numbers
from relay.journal.statements import Connection
from relay.model.journal import Due
from relay.model.messages import Delivery, EndpointKey, Message, Source

LaneKey = tuple[int, str]
"""The number of its endpoint, and its name."""

_WAITS = """
  SELECT 1 FROM deliveries
  WHERE endpoint_id = lanes.endpoint_id AND lane = lanes.lane AND state = 'pending'
"""
FIRST = """(
  SELECT min(id) FROM deliveries
  WHERE endpoint_id = lanes.endpoint_id AND lane = lanes.lane AND state = 'pending'
)"""
"""The id of the delivery that goes next in a lane."""

_OPEN = "INSERT INTO lanes (endpoint_id, lane, due_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
# A dead letter that was requeued meanwhile goes before what is postponed, and does not wait for it.
_POSTPONE = f"""
  INSERT INTO lanes (endpoint_id, lane, due_at)
  SELECT endpoint_id, lane, ? FROM deliveries WHERE id = ? AND state = 'pending'
  ON CONFLICT (endpoint_id, lane) DO UPDATE SET due_at = excluded.due_at WHERE {FIRST} = ?
"""
_FORGET = (
    f"DELETE FROM lanes WHERE endpoint_id = ? AND lane = ? AND NOT EXISTS ({_WAITS} AND id > ?)"
)
_OF_THESE = f"SELECT DISTINCT endpoint_id, lane FROM deliveries WHERE {is_in('id', 'ids')}"
_CLOSE_ALL_EMPTY = f"DELETE FROM lanes WHERE NOT EXISTS ({_WAITS})"
_MAKE_AGAIN = f"""
  INSERT INTO lanes (endpoint_id, lane, due_at)
  SELECT endpoint_id, lane, :now FROM deliveries
  WHERE state = 'pending' AND {is_in("endpoint_id", "endpoints")}
  GROUP BY endpoint_id, lane ON CONFLICT DO NOTHING
"""
# Those in which one of these deliveries goes first wait no longer.
_REQUEUE = f"""
  INSERT INTO lanes (endpoint_id, lane, due_at)
  SELECT endpoint_id, lane, :now FROM deliveries WHERE {is_in("id", "ids")}
  GROUP BY endpoint_id, lane
  ON CONFLICT (endpoint_id, lane) DO UPDATE SET due_at = excluded.due_at
    WHERE lanes.due_at > excluded.due_at AND {is_in(FIRST, "ids")}
"""
ANY = "SELECT EXISTS (SELECT 1 FROM lanes)"
_KNOWN = "SELECT 1 FROM lanes WHERE endpoint_id = :endpoint AND lane = :lane"


def known(connection: Connection, these: Collection[LaneKey]) -> set[LaneKey]:
    """Tell which of these lanes have something to load."""
    if not connection.value(ANY):
        return set()
    return {
        (endpoint, lane)
        for endpoint, lane in these
        if connection.value(_KNOWN, endpoint=endpoint, lane=lane)
    }


def open_lanes(connection: Connection, rows: Collection[tuple[int, str, float]]) -> None:
    """Note lanes that have something to load now, by endpoint, name and time, unless known."""
    if rows:
        connection.many(_OPEN, rows)


def postpone(connection: Connection, rows: Collection[tuple[float, int]]) -> None:
    """Let the lanes of deliveries that were postponed wait until a time."""
    if rows:
        connection.many(_POSTPONE, [(due_at, number, number) for due_at, number in rows])


def requeue(connection: Connection, ids: Collection[int], now: float) -> None:
    """Let the lanes of deliveries that are pending again go on now, where one of them is first."""
    connection.run(_REQUEUE, ids=numbers(ids), now=now)


def close_empty(connection: Connection, ids: Collection[int]) -> None:
    """Forget the lanes of these deliveries in which nothing waits any more."""
    these = connection.rows(_OF_THESE, ids=numbers(ids))
    close_whole(connection, [(endpoint, lane, 0) for endpoint, lane in these])


def close_whole(connection: Connection, rows: Collection[tuple[int, str, int]]) -> None:
    """Forget lanes, by endpoint and name, that are in memory up to a delivery, and end there."""
    if rows:
        connection.many(_FORGET, rows)


def make_again(connection: Connection, endpoints: Collection[int], now: float) -> None:
    """Note every lane of endpoints that has unfinished deliveries; those known keep their time."""
    if endpoints:
        connection.run(_MAKE_AGAIN, endpoints=numbers(endpoints), now=now)


def restart(connection: Connection, endpoints: Collection[int], now: float) -> None:
    """Begin a run, in which nothing is in memory yet."""
    connection.run(_CLOSE_ALL_EMPTY)
    make_again(connection, endpoints, now)


_DUE = """
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
    lanes = _due_lanes(connection, endpoint_id, now, frozenset(skip))
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


def _due_lanes(
    connection: Connection, endpoint_id: int, now: float, skip: Collection[str]
) -> Iterator[str]:
    due_at = connection.driver.execute(_DUE, {"endpoint": endpoint_id, "now": now})
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
