"""Endpoints as they come, go and fare; a run begins and ends with them."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from relay.journal import lanes
from relay.journal.counts import count_anew
from relay.journal.dead_letters import requeue
from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Kind
from relay.journal.incoming import EndpointIds, Run
from relay.journal.number_lists import in_parts, is_in, numbers
from relay.journal.rules import REMOVED
from relay.journal.statements import Connection
from relay.model.journal import Discarded, EndpointNote
from relay.model.messages import BreakerState, EndpointKey, MessageOutcome

LONGEST_WAIT = 3600.0
"""Seconds; a lane that waits longer at a start does so no more (Retry-After ends after an hour)."""

SLEW = 1.0
"""Seconds by which a clock may go back that is only being kept in step."""

_CLEAN = "SELECT clean FROM run"
_BEGIN = (
    "DELETE FROM run",
    "INSERT INTO run (id, clean, seals_with) VALUES (1, FALSE, :seals_with)",
)
_DOUBT = "UPDATE deliveries SET doubtful = TRUE WHERE state = 'pending' AND NOT doubtful"
_LAST_SEEN = (
    "SELECT received_at FROM messages ORDER BY seq DESC LIMIT 1",
    "SELECT started_at + duration FROM attempts ORDER BY id DESC LIMIT 1",
    "SELECT max(finished_at) FROM messages WHERE outcome != 'dead'",
)
_COME_NEARER = """
  UPDATE lanes SET due_at = CASE WHEN due_at - :back > :now THEN due_at - :back ELSE :now END
  WHERE due_at > :now
"""
_WAIT_NO_MORE = "UPDATE lanes SET due_at = :now WHERE due_at > :latest"
_CONFIGURE = """
  INSERT INTO endpoints (bot, name, configured, paused, state)
  VALUES (:bot, :name, TRUE, FALSE, 'closed')
  ON CONFLICT (bot, name) DO UPDATE SET configured = TRUE
"""
_GONE = f"UPDATE endpoints SET configured = FALSE WHERE {is_in('id', 'gone')}"
_AT_THESE = is_in("endpoint_id", "at")
_COUNT_OWED = f"""
  SELECT endpoint_id, count(*) FROM deliveries WHERE state = 'pending' AND {_AT_THESE}
  GROUP BY endpoint_id
"""
_GIVE_UP = f"""
  UPDATE deliveries SET state = 'discarded', ended_at = :now, ended_reason = '{REMOVED}'
  WHERE id IN (
    SELECT id FROM deliveries WHERE state = 'pending' AND {_AT_THESE} LIMIT :limit
  ) RETURNING id, seq, replay
"""
_BURY_REMOVED = f"""
  UPDATE deliveries SET state = 'dead', ended_at = :now, ended_reason = '{REMOVED}'
  WHERE state = 'pending'
    AND endpoint_id IN (SELECT id FROM endpoints WHERE NOT configured) RETURNING seq, replay
"""
_REMOVED_BEFORE = f"""
  SELECT id FROM deliveries
  WHERE state = 'dead' AND ended_reason = '{REMOVED}'
    AND endpoint_id IN (SELECT id FROM endpoints WHERE configured)
"""
_NOTE = """
  UPDATE endpoints SET state = :state, last_error = :error, sealed_by = :sealed_by,
    next_probe_at = :next_probe_at, gone_since = :gone_since
  WHERE bot = :bot AND name = :name
"""
ENDPOINT = """
  SELECT id, bot, name, configured, paused, state, CAST(last_error AS BLOB) AS last_error,
    sealed_by, next_probe_at, gone_since
  FROM endpoints
"""


# --- A run ----------------------------------------------------------------------------------------


def start(
    connection: Connection,
    configured: Collection[EndpointKey],
    now: float,
    cipher: ColumnCipher,
) -> tuple[bool, Run]:
    """Begin a run; the key that seals is written down for those who seal beside it.

    Answers whether the run before it was stopped cleanly.
    """
    crashed = connection.value(_CLEAN) == 0
    for text in _BEGIN:
        connection.run(text, seals_with=cipher.seals_with)
    if crashed:
        connection.run(_DOUBT)
    _mind_the_clock(connection, now)
    connection.run("UPDATE endpoints SET configured = FALSE")
    _configure(connection, configured)
    _bury_removed(connection, now)
    _requeue_returned(connection, now)
    ids = endpoint_ids(connection)
    lanes.restart(connection, {ids[key] for key in configured}, now)
    return not crashed, Run.read(connection, cipher, ids)


def _mind_the_clock(connection: Connection, now: float) -> None:
    """Let nothing wait for longer than it was told to, if the clock has been set back meanwhile."""
    times = [connection.value(text) for text in _LAST_SEEN]
    back = max((at for at in times if at is not None), default=now) - now
    if back > SLEW:
        connection.run(_COME_NEARER, now=now, back=back)
    connection.run(_WAIT_NO_MORE, now=now, latest=now + LONGEST_WAIT)


def stop(connection: Connection) -> None:
    """End a run cleanly."""
    connection.run("UPDATE run SET clean = TRUE")


def interrupt(connection: Connection) -> None:
    """Make it look as if the last run had not ended cleanly."""
    connection.run("UPDATE run SET clean = FALSE")


# --- Coming and going -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """What removed endpoints are owed, and every endpoint's number."""

    owed: dict[EndpointKey, int]
    ids: EndpointIds


def reconfigure(
    connection: Connection,
    added: Collection[EndpointKey],
    removed: Collection[EndpointKey],
    now: float,
) -> Reconfigured:
    """Configure endpoints, and others no longer, unless those are still owed anything."""
    ids = endpoint_ids(connection)
    gone = {ids[key]: key for key in removed}
    owed = connection.rows(_COUNT_OWED, at=numbers(gone))
    if owed:
        return Reconfigured({gone[number]: count for number, count in owed}, ids)
    connection.run(_GONE, gone=numbers(gone))
    _configure(connection, added)
    _requeue_returned(connection, now)
    return Reconfigured({}, endpoint_ids(connection))


def discard_owed(
    connection: Connection, these: Collection[EndpointKey], now: float, limit: int
) -> Discarded:
    """Give up unfinished deliveries of these endpoints."""
    ids = endpoint_ids(connection)
    at = numbers([ids[key] for key in these])
    given_up = connection.rows(_GIVE_UP, at=at, limit=limit, now=now)
    lanes.close_empty(connection, [number for number, _, _ in given_up])
    judged = count_anew(connection, _owed(given_up), now)
    finished = [(each.bot, MessageOutcome(each.outcome)) for each in judged if each.outcome]
    return Discarded(len(given_up), Counter(finished))


def _owed(rows: Collection[Any]) -> set[int]:
    """Tell of which messages deliveries are that are no replays'."""
    return {row.seq for row in rows if row.replay is None}


def endpoint_ids(connection: Connection) -> EndpointIds:
    """Tell the number of each endpoint, configured or not."""
    rows = connection.rows("SELECT bot, name, id FROM endpoints")
    return {EndpointKey(bot, name): number for bot, name, number in rows}


def _configure(connection: Connection, endpoints: Collection[EndpointKey]) -> None:
    """Configure endpoints, known or new."""
    for bot, name in endpoints:
        connection.run(_CONFIGURE, bot=bot, name=name)


def _bury_removed(connection: Connection, now: float) -> None:
    """Make dead letters of what is owed to endpoints that are no longer configured."""
    for seqs in in_parts(_owed(connection.rows(_BURY_REMOVED, now=now))):
        count_anew(connection, seqs, now)


def _requeue_returned(connection: Connection, now: float) -> None:
    """Make due again what is owed to endpoints that are configured again."""
    requeue(connection, connection.values(_REMOVED_BEFORE), now)


# --- How one fares --------------------------------------------------------------------------------


def write_note(
    connection: Connection, endpoint: EndpointKey, note: EndpointNote, cipher: ColumnCipher
) -> None:
    """Write down how an endpoint fares; whether it is paused is an operator's to say."""
    error, sealed_by = note.last_error, None
    if error is not None:
        error, sealed_by = cipher.seal_text(Kind.ERROR, endpoint, error)
    state = BreakerState.CLOSED if note.state is BreakerState.PAUSED else note.state
    connection.run(
        _NOTE,
        state=state.value,
        error=error,
        sealed_by=sealed_by,
        next_probe_at=note.next_probe_at,
        gone_since=note.gone_since,
        bot=endpoint.bot,
        name=endpoint.name,
    )


def read_note(connection: Connection, endpoint: EndpointKey, cipher: ColumnCipher) -> EndpointNote:
    """Read what is written of an endpoint."""
    named = f"{ENDPOINT} WHERE bot = :bot AND name = :name"
    row = connection.row(named, bot=endpoint.bot, name=endpoint.name)
    return note_of(row, cipher) if row else EndpointNote(BreakerState.CLOSED)


def note_of(row: Any, cipher: ColumnCipher) -> EndpointNote:
    """Make a note of an endpoint's row; an operator's pause goes before its circuit's state."""
    error = None
    if row.last_error is not None:
        error = cipher.show_text(Kind.ERROR, (row.bot, row.name), row.last_error, row.sealed_by)
    if row.paused:
        return EndpointNote(BreakerState.PAUSED, error, None, row.gone_since)
    return EndpointNote(BreakerState(row.state), error, row.next_probe_at, row.gone_since)
