"""What operators ask of the journal, and do to it."""

from collections.abc import Iterator, Sequence
from typing import Any

from relay.journal import dead_letters, operator_events, replays, unreadable
from relay.journal.dead_letters import endpoint_of
from relay.journal.encryption.columns import ColumnCipher, detail_names
from relay.journal.encryption.keys import Kind
from relay.journal.endpoints import ENDPOINT, note_of
from relay.journal.sqlite.engine import Database
from relay.journal.statements import Connection
from relay.model.admin import (
    Ahead,
    AttemptRecord,
    DeadLetter,
    DeadLetterQuery,
    DeliveryRecord,
    EndpointRecord,
    MessageHistory,
    MessageQuery,
    MessageSummary,
    UnreadableRecord,
)
from relay.model.journal import AuditEntry, OperatorEventKind
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.model.replays import Pick, ReplayOrder, ReplayRecord, RequestedReplay, Survey

# All but the frame, which may be large.
_SUMMARY = """
  seq, bot, message_id, conversation_id, user_id, category, source, received_at, outcome,
  finished_at, receipt
"""
_OF_ID = f"""
  SELECT {_SUMMARY}, receipt_at, CAST(frame AS BLOB) AS frame, sealed_by
  FROM messages WHERE message_id = :message_id ORDER BY bot
"""
_DELIVERIES = """
  SELECT deliveries.*, e.bot, e.name, e.paused, e.state AS circuit, lanes.due_at,
    (
      SELECT min(id) FROM deliveries AS d WHERE d.endpoint_id = deliveries.endpoint_id
        AND d.lane = deliveries.lane AND d.state = 'pending'
    ) AS first
  FROM deliveries
  JOIN endpoints AS e ON e.id = deliveries.endpoint_id
  LEFT JOIN lanes
    ON lanes.endpoint_id = deliveries.endpoint_id AND lanes.lane = deliveries.lane
  WHERE seq = :seq ORDER BY deliveries.id
"""
_ATTEMPTS = """
  SELECT number, started_at, duration, outcome, status, reason, CAST(detail AS BLOB) AS detail,
    sealed_by
  FROM attempts WHERE delivery_id = :delivery ORDER BY id
"""
_AHEAD = """
  SELECT message_id, (
    SELECT count(*) FROM deliveries WHERE endpoint_id = :endpoint AND lane = :lane
      AND state = 'pending' AND id < :before
  ) AS count
  FROM messages WHERE seq = (SELECT seq FROM deliveries WHERE id = :first)
"""
# By the numbers of replays: of what else is pending, perhaps a million, nothing is looked at.
_REPLAYING = """
  SELECT count(*) FROM deliveries WHERE state = 'pending'
    AND replay IN (SELECT id FROM replays WHERE endpoint_id = :endpoint)
"""
_OWED = """
  SELECT count(*), min(id) FROM deliveries
  WHERE endpoint_id = :endpoint AND state = 'pending' AND replay IS NULL
"""
_RECEIVED_AT = """
  SELECT received_at FROM messages WHERE seq = (SELECT seq FROM deliveries WHERE id = :delivery)
"""
_DEAD = "SELECT count(*) FROM deliveries WHERE endpoint_id = :endpoint AND state = 'dead'"
_PAUSE = "UPDATE endpoints SET paused = TRUE WHERE bot = :bot AND name = :name"
_BACK = """
  UPDATE endpoints SET gone_since = NULL,
    state = CASE WHEN state = 'gone' THEN 'closed' ELSE state END, paused = {paused}
  WHERE bot = :bot AND name = :name
"""


class SqlAdminStore:
    """Implements `relay.model.admin.AdminStore`; `actor` is by which way operators come to it."""

    def __init__(self, database: Database, cipher: ColumnCipher, *, actor: str = "command") -> None:
        self._database = database
        self._cipher = cipher
        self._actor = actor

    async def messages(self, query: MessageQuery) -> Sequence[MessageSummary]:
        """List messages."""
        return await self._database.browse(_messages, query)

    async def history(self, message_id: str) -> Sequence[MessageHistory]:
        """Tell all of one message."""
        return await self._database.browse(_histories, message_id, self._cipher)

    async def unreadable(self, bot: str | None, limit: int) -> Sequence[UnreadableRecord]:
        """List frames that could not be read."""
        return await self._database.browse(unreadable.last_seen, bot, limit, self._cipher)

    async def dead_letters(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        """List dead letters."""
        return await self._database.browse(dead_letters.find, query, self._cipher)

    async def count_dead_letters(self, query: DeadLetterQuery) -> int:
        """Count dead letters."""
        return await self._database.browse(dead_letters.count, query)

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        """Make dead letters due again."""
        return await self._database.write(
            dead_letters.retry, query, now, self._cipher, actor=self._actor
        )

    async def discard(
        self, query: DeadLetterQuery, now: float, *, mark_read: bool
    ) -> Sequence[DeadLetter]:
        """Give dead letters up."""
        return await self._database.write(
            dead_letters.discard,
            query,
            now,
            self._cipher,
            mark_read=mark_read,
            actor=self._actor,
        )

    async def endpoints(self) -> Sequence[EndpointRecord]:
        """List endpoints."""
        return await self._database.browse(_endpoints, self._cipher)

    async def survey_replay(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        """Count on what a replay would send."""
        return await self._database.browse(replays.survey, order, pick, sofar)

    async def ask_replay(self, order: ReplayOrder, now: float) -> RequestedReplay | None:
        """Ask for a replay."""
        return await self._database.write(_ask_replay, order, now, self._actor)

    async def replays(self) -> Sequence[ReplayRecord]:
        """List replays."""
        return await self._database.browse(replays.find)

    async def cancel_replay(self, number: int, now: float) -> ReplayRecord | None:
        """Send no more of a replay."""
        return await self._database.write(_cancel_replay, number, now, self._actor)

    async def pause(self, endpoint: EndpointKey) -> bool:
        """Pause an endpoint."""
        return await self._change(endpoint, OperatorEventKind.PAUSED, _PAUSE)

    async def resume(self, endpoint: EndpointKey) -> bool:
        """Resume an endpoint."""
        return await self._change(endpoint, OperatorEventKind.RESUMED, _BACK.format(paused="FALSE"))

    async def back(self, endpoint: EndpointKey) -> bool:
        """Let an endpoint be tried again."""
        return await self._change(endpoint, OperatorEventKind.BACK, _BACK.format(paused="paused"))

    async def _change(self, endpoint: EndpointKey, kind: OperatorEventKind, text: str) -> bool:
        return await self._database.write(_change_endpoint, endpoint, kind, text, self._actor)


# --- Messages -------------------------------------------------------------------------------------


def _messages(connection: Connection, query: MessageQuery) -> list[MessageSummary]:
    wanted: dict[str, tuple[str, Any]] = {
        "bot": ("bot = :bot", query.bot),
        "conversation": ("conversation_id = :conversation", query.conversation_id),
        "category": ("category = :category", query.category),
        "outcome": ("outcome = :outcome", query.outcome),
        "since": ("received_at >= :since", query.since),
        "until": ("received_at < :until", query.until),
        "after": ("seq < :after", query.after),
    }
    values = {name: value for name, (_, value) in wanted.items() if value is not None}
    conditions = [condition for condition, value in wanted.values() if value is not None]
    if query.pending is not None or query.failing:
        conditions.append(f"outcome IS {'NOT ' if query.pending is False else ''}NULL")
    if query.endpoint is not None or query.failing:
        conditions.append(f"EXISTS ({_owed(query)})")
        values["endpoint"] = query.endpoint
    rows = connection.rows(
        f"SELECT {_SUMMARY} FROM messages WHERE {' AND '.join(['TRUE', *conditions])}"
        " ORDER BY seq DESC LIMIT :limit",
        **values,
        limit=query.limit,
    )
    return [_summary(row) for row in rows]


def _owed(query: MessageQuery) -> str:
    """Say that a message has a delivery as the query wants it."""
    conditions = ["seq = messages.seq"]
    if query.endpoint is not None:
        conditions.append("endpoint_id IN (SELECT id FROM endpoints WHERE name = :endpoint)")
    if query.pending or query.failing:
        conditions.append("state = 'pending'")
    if query.failing:
        conditions.append("failures > 0")
    return f"SELECT 1 FROM deliveries WHERE {' AND '.join(conditions)}"


def _summary(row: Any) -> MessageSummary:
    return MessageSummary(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        row.received_at,
        MessageOutcome(row.outcome) if row.outcome else None,
        row.finished_at,
        ReceiptState(row.receipt),
        row.seq,
    )


def _histories(
    connection: Connection, message_id: str, cipher: ColumnCipher
) -> list[MessageHistory]:
    return [
        MessageHistory(
            _summary(row),
            _deliveries(connection, row, cipher),
            row.receipt_at,
            *cipher.open_frame(row),
        )
        for row in connection.rows(_OF_ID, message_id=message_id)
    ]


def _deliveries(
    connection: Connection, message: Any, cipher: ColumnCipher
) -> tuple[DeliveryRecord, ...]:
    return tuple(
        _delivery(connection, row, message, cipher)
        for row in connection.rows(_DELIVERIES, seq=message.seq)
    )


def _delivery(
    connection: Connection, row: Any, message: Any, cipher: ColumnCipher
) -> DeliveryRecord:
    state, leads = DeliveryState(row.state), row.first == row.id
    waits = state is DeliveryState.PENDING and not leads
    due_at = message.received_at if row.due_at is None else row.due_at  # in memory: since it came
    return DeliveryRecord(
        endpoint_of(row),
        bool(row.required),
        state,
        tuple(_attempts(connection, row, message.message_id, cipher)),
        due_at=due_at if leads else None,
        waits=waits,
        doubtful=bool(row.doubtful),
        ended_at=row.ended_at,
        ended_reason=row.ended_reason,
        circuit=BreakerState.PAUSED if row.paused else BreakerState(row.circuit),
        replay=row.replay,
        ahead=_ahead(connection, row) if waits else None,
    )


def _ahead(connection: Connection, row: Any) -> Ahead:
    return Ahead(
        *connection.row(
            _AHEAD, endpoint=row.endpoint_id, lane=row.lane, before=row.id, first=row.first
        )
    )


def _attempts(
    connection: Connection, row: Any, message_id: str, cipher: ColumnCipher
) -> Iterator[AttemptRecord]:
    """Tell of each attempt; the one that was taken stands in the delivery's own row."""
    for each in connection.rows(_ATTEMPTS, delivery=row.id):
        names = detail_names(endpoint_of(row), message_id, each.number)
        yield AttemptRecord(
            each.number,
            each.started_at,
            each.duration,
            AttemptOutcome(each.outcome),
            each.status,
            Reason(each.reason) if each.reason else None,
            cipher.show_text(Kind.DETAIL, names, each.detail, each.sealed_by),
        )
    if row.started_at is not None:
        success = AttemptOutcome.SUCCESS
        yield AttemptRecord(
            row.attempts, row.started_at, row.duration, success, row.status, None, ""
        )


# --- Replays --------------------------------------------------------------------------------------


def _ask_replay(
    connection: Connection, order: ReplayOrder, now: float, actor: str
) -> RequestedReplay | None:
    asked = replays.ask(connection, order, now)
    if asked is not None and asked.accepted:
        audit = AuditEntry(actor, f"replay={asked.replay.number} {order.words}")
        operator_events.write(connection, OperatorEventKind.REPLAY_ASKED, order.endpoint, audit)
    return asked


def _cancel_replay(
    connection: Connection, number: int, now: float, actor: str
) -> ReplayRecord | None:
    record = replays.cancel(connection, number, now)
    if record is not None:
        kind, audit = OperatorEventKind.REPLAY_CANCELLED, AuditEntry(actor, f"replay={number}")
        operator_events.write(connection, kind, record.endpoint, audit)
    return record


# --- Endpoints ------------------------------------------------------------------------------------


def _endpoints(connection: Connection, cipher: ColumnCipher) -> list[EndpointRecord]:
    rows = connection.rows(f"{ENDPOINT} ORDER BY bot, name")
    return [_endpoint(connection, row, cipher) for row in rows]


def _endpoint(connection: Connection, row: Any, cipher: ColumnCipher) -> EndpointRecord:
    pending, oldest = connection.row(_OWED, endpoint=row.id)
    return EndpointRecord(
        endpoint_of(row),
        note_of(row, cipher),
        pending,
        connection.value(_RECEIVED_AT, delivery=oldest),
        connection.value(_DEAD, endpoint=row.id),
        bool(row.configured),
        connection.value(_REPLAYING, endpoint=row.id),
    )


def _change_endpoint(
    connection: Connection, endpoint: EndpointKey, kind: OperatorEventKind, text: str, actor: str
) -> bool:
    changed = connection.run(text, bot=endpoint.bot, name=endpoint.name)
    if changed:
        operator_events.write(connection, kind, endpoint, AuditEntry(actor))
    return bool(changed)
