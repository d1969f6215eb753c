"""Removes what is old: finished messages with all that is theirs, replays, operators' events."""

from collections.abc import Sequence

from relay.journal import operator_events
from relay.journal.number_lists import is_in, numbers
from relay.journal.statements import Connection

FORGOTTEN_AT_ONCE = 100
"""So many messages are removed in one transaction, a few milliseconds for which others wait."""

# Not what still owes READ, has a dead letter, or is part of a replay that still goes on.
_FORGETTABLE = """
  outcome != 'dead' AND finished_at < :before AND receipt != 'owed'
  AND seq NOT BETWEEN :held_from AND :held_to
  AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE seq = messages.seq AND state IN ('dead', 'pending')
  )
"""
_OLD = f"""
  SELECT seq FROM messages WHERE {_FORGETTABLE} ORDER BY finished_at, seq LIMIT :limit
"""
_STILL_OLD = f"""
  SELECT seq FROM messages WHERE {is_in("seq", "seqs")} AND {_FORGETTABLE}
"""
# What replays have still to look through.
_HELD = """
  SELECT coalesce(min(position) + 1, 0), coalesce(max(upto), 0)
  FROM replays JOIN endpoints ON endpoints.id = replays.endpoint_id
  WHERE position < upto AND ended_at IS NULL AND configured
"""
_THEIRS = f"SELECT id FROM deliveries WHERE {is_in('seq', 'seqs')}"
_FORGET = (
    f"DELETE FROM attempts WHERE delivery_id IN ({_THEIRS})",
    f"DELETE FROM deliveries WHERE {is_in('seq', 'seqs')}",
    f"DELETE FROM messages WHERE {is_in('seq', 'seqs')}",
)


def old_messages(connection: Connection, before: float, limit: int) -> Sequence[int]:
    """Find old finished messages without dead letters.

    It takes the longer the more dead letters are kept: it is no part of what only one at a time
    may do.
    """
    return connection.values(_OLD, before=before, limit=limit, **_held(connection))


def forget(connection: Connection, seqs: Sequence[int], before: float) -> int:
    """Remove those of these messages that are still to be removed; answers how many."""
    these = numbers(seqs)
    still = connection.values(_STILL_OLD, seqs=these, before=before, **_held(connection))
    for text in _FORGET if still else ():
        connection.run(text, seqs=numbers(still))
    return len(still)


def forget_the_rest(connection: Connection, before: float) -> None:
    """Remove old replays and operators' events."""
    connection.run("DELETE FROM replays WHERE ended_at < :before", before=before)
    operator_events.forget_old(connection)


def _held(connection: Connection) -> dict[str, int]:
    held_from, held_to = connection.row(_HELD)
    return {"held_from": held_from, "held_to": held_to}
