"""Which lanes have something to load: deliveries of an endpoint that memory does not hold.

A lane's deliveries go one after the other. A row says when the first of them may be attempted.
"""

from collections.abc import Collection

from relay.journal.connection import Connection
from relay.journal.parameters import is_in, numbers

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
  INSERT INTO lanes (endpoint_id, lane, due_at) VALUES (?, ?, ?)
  ON CONFLICT (endpoint_id, lane) DO UPDATE SET due_at = excluded.due_at WHERE {FIRST} = ?
"""
_FORGET = (
    f"DELETE FROM lanes WHERE endpoint_id = ? AND lane = ? AND NOT EXISTS ({_WAITS} AND id > ?)"
)
_CLOSE = f"""
  DELETE FROM lanes
  WHERE endpoint_id IN (SELECT endpoint_id FROM deliveries WHERE {is_in("id", "ids")})
    AND lane IN (SELECT lane FROM deliveries WHERE {is_in("id", "ids")}) AND NOT EXISTS ({_WAITS})
"""
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


def postpone(connection: Connection, rows: Collection[tuple[int, str, float, int]]) -> None:
    """Let lanes wait until a time, by endpoint, name, time and the delivery that was postponed."""
    if rows:
        connection.many(_POSTPONE, rows)


def requeue(connection: Connection, ids: Collection[int], now: float) -> None:
    """Let the lanes of deliveries that are pending again go on now, where one of them is first."""
    connection.run(_REQUEUE, ids=numbers(ids), now=now)


def close_empty(connection: Connection, ids: Collection[int]) -> None:
    """Forget the lanes of these deliveries in which nothing waits any more."""
    connection.run(_CLOSE, ids=numbers(ids))


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
