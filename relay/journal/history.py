"""What operators may ask of the journal in a SQL database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, func, select, update

from relay.journal import dead_letters as sql_dead_letters
from relay.journal import replays as replaying
from relay.journal import retention as keeping
from relay.journal.encryption.columns import Bodies, Names
from relay.journal.encryption.keys import Kind
from relay.journal.engines.sqlite.engine import Database
from relay.journal.lane_terms import FIRST_IN_LANE, IN_LANE
from relay.journal.parameters import is_in
from relay.journal.rows import (
    ATTEMPT,
    ENDPOINT,
    UNREADABLE,
    as_bytes,
    detail_names,
    endpoint_of,
    is_endpoint,
    read_frame,
    read_note,
)
from relay.journal.schema import (
    DEAD,
    PENDING,
    attempts,
    deliveries,
    endpoints,
    lanes,
    messages,
    replays,
    unreadable,
)
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

# All but the frame, which may be large, and what lies behind it.
_SUMMARY = tuple(column for column in messages.c if column.name not in ("frame", "sealed_by"))
_BODY: tuple[ColumnElement[Any], ...] = (as_bytes(messages.c.frame), messages.c.sealed_by)
_FIRST = FIRST_IN_LANE.label("first")
_OF_ENDPOINT = (
    endpoints.c.bot,
    endpoints.c.name,
    endpoints.c.paused,
    endpoints.c.state.label("circuit"),
)

# By the numbers of replays: of what else is pending, perhaps a million, nothing is looked at.
_REPLAYING = select(deliveries.c.id).where(
    deliveries.c.replay.in_(select(replays.c.id).where(replays.c.endpoint_id == bindparam("at"))),
    deliveries.c.state == DeliveryState.PENDING.value,
)


class SqlAdminStore:
    """Implements `relay.model.admin.AdminStore`; `actor` is by which way operators come to it."""

    def __init__(self, database: Database, bodies: Bodies, *, actor: str = "command") -> None:
        self._database = database
        self._bodies = bodies
        self._actor = actor

    async def messages(self, query: MessageQuery) -> Sequence[MessageSummary]:
        """List messages."""
        return await self._database.browse(_messages, query)

    async def history(self, message_id: str) -> Sequence[MessageHistory]:
        """Tell all of one message."""
        return await self._database.browse(_histories, message_id, self._bodies)

    async def unreadable(self, bot: str | None, limit: int) -> Sequence[UnreadableRecord]:
        """List frames that could not be read."""
        return await self._database.browse(_unreadable, bot, limit, self._bodies)

    async def dead_letters(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        """List dead letters."""
        return await self._database.browse(sql_dead_letters.find, query, self._bodies)

    async def count_dead_letters(self, query: DeadLetterQuery) -> int:
        """Count dead letters."""
        return await self._database.browse(sql_dead_letters.count, query)

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        """Revive dead letters."""
        return await self._database.write(
            sql_dead_letters.retry, query, now, self._bodies, actor=self._actor
        )

    async def discard(
        self, query: DeadLetterQuery, now: float, *, mark_read: bool
    ) -> Sequence[DeadLetter]:
        """Give dead letters up."""
        return await self._database.write(
            sql_dead_letters.discard,
            query,
            now,
            self._bodies,
            mark_read=mark_read,
            actor=self._actor,
        )

    async def endpoints(self) -> Sequence[EndpointRecord]:
        """List endpoints."""
        return await self._database.browse(_endpoints, self._bodies)

    async def survey_replay(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        """Count on what a replay would send."""
        return await self._database.browse(replaying.survey, order, pick, sofar)

    async def ask_replay(self, order: ReplayOrder, now: float) -> RequestedReplay | None:
        """Ask for a replay."""
        return await self._database.write(_ask_replay, order, now, self._actor)

    async def replays(self) -> Sequence[ReplayRecord]:
        """List replays."""
        return await self._database.browse(replaying.find)

    async def cancel_replay(self, number: int, now: float) -> ReplayRecord | None:
        """Send no more of a replay."""
        return await self._database.write(_cancel_replay, number, now, self._actor)

    async def pause(self, endpoint: EndpointKey) -> bool:
        """Pause an endpoint."""
        return await self._database.write(_pause, endpoint, self._actor)

    async def resume(self, endpoint: EndpointKey) -> bool:
        """Resume an endpoint."""
        return await self._database.write(_resume, endpoint, self._actor)

    async def back(self, endpoint: EndpointKey) -> bool:
        """Let an endpoint be tried again."""
        return await self._database.write(_back, endpoint, self._actor)


# --- Messages -----------------------------------------------------------------------------------


def _messages(connection: Connection, query: MessageQuery) -> list[MessageSummary]:
    wanted = select(*_SUMMARY).order_by(messages.c.seq.desc()).limit(query.limit)
    equal = {
        messages.c.bot: query.bot,
        messages.c.conversation_id: query.conversation_id,
        messages.c.category: query.category,
        messages.c.outcome: query.outcome,
    }
    wanted = wanted.where(
        *(column == value for column, value in equal.items() if value is not None),
        *_message_conditions(query),
    )
    return [_summary(row) for row in connection.execute(wanted)]


def _message_conditions(query: MessageQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    unfinished = messages.c.outcome.is_(None)
    if query.pending is not None:
        conditions.append(unfinished if query.pending else ~unfinished)
    if query.failing:
        conditions.append(unfinished)
    if query.endpoint is not None or query.failing:
        conditions.append(_owed(query))
    if query.since is not None:
        conditions.append(messages.c.received_at >= query.since)
    if query.until is not None:
        conditions.append(messages.c.received_at < query.until)
    if query.after is not None:
        conditions.append(messages.c.seq < query.after)
    return conditions


def _owed(query: MessageQuery) -> ColumnElement[bool]:
    """Say that a message has a delivery as the query wants it."""
    owed = select(deliveries.c.id).where(deliveries.c.seq == messages.c.seq)
    if query.endpoint is not None:
        named = select(endpoints.c.id).where(endpoints.c.name == query.endpoint)
        owed = owed.where(deliveries.c.endpoint_id.in_(named))
    if query.pending or query.failing:
        owed = owed.where(deliveries.c.state == DeliveryState.PENDING.value)
    if query.failing:
        owed = owed.where(deliveries.c.failures > 0)
    return owed.correlate(messages).exists()


def _unreadable(
    connection: Connection, bot: str | None, limit: int, bodies: Bodies
) -> list[UnreadableRecord]:
    last_first = (unreadable.c.last_at.desc(), unreadable.c.digest, unreadable.c.bot)
    wanted = select(*UNREADABLE).order_by(*last_first)
    if bot is not None:
        wanted = wanted.where(unreadable.c.bot == bot)
    return [_unreadable_record(row, bodies) for row in connection.execute(wanted.limit(limit))]


def _unreadable_record(row: Row[Any], bodies: Bodies) -> UnreadableRecord:
    sample = bodies.show(Kind.SAMPLE, (row.bot, row.digest), row.sample, row.sealed_by)
    return UnreadableRecord(
        row.bot, row.digest, row.why, row.times, row.first_at, row.last_at, sample
    )


def _histories(connection: Connection, message_id: str, bodies: Bodies) -> list[MessageHistory]:
    of_id = (
        select(*_SUMMARY, *_BODY)
        .where(messages.c.message_id == message_id)
        .order_by(messages.c.bot)
    )
    return [_history(connection, row, bodies) for row in connection.execute(of_id)]


def _history(connection: Connection, row: Row[Any], bodies: Bodies) -> MessageHistory:
    frame, damage = read_frame(row, bodies)
    made = _deliveries(connection, row, bodies)
    return MessageHistory(_summary(row), made, row.receipt_at, frame, damage)


def _deliveries(
    connection: Connection, message: Row[Any], bodies: Bodies
) -> tuple[DeliveryRecord, ...]:
    rows = connection.execute(
        select(deliveries, *_OF_ENDPOINT, lanes.c.due_at, _FIRST)
        .join_from(deliveries, endpoints)
        .join(lanes, IN_LANE, isouter=True)
        .where(deliveries.c.seq == message.seq)
        .order_by(deliveries.c.id)
    )
    message_id = message.message_id
    return tuple(_delivery(connection, row, message_id, bodies) for row in rows.all())


def _delivery(
    connection: Connection, row: Row[Any], message_id: str, bodies: Bodies
) -> DeliveryRecord:
    endpoint, state = endpoint_of(row), DeliveryState(row.state)
    leads = row.first == row.id
    of_delivery = select(*ATTEMPT).where(attempts.c.delivery_id == row.id).order_by(attempts.c.id)
    return DeliveryRecord(
        endpoint,
        row.required,
        state,
        tuple(
            _attempt(attempt, detail_names(endpoint, message_id, attempt.number), bodies)
            for attempt in connection.execute(of_delivery)
        ),
        due_at=row.due_at if leads else None,
        waits=state is DeliveryState.PENDING and not leads,
        doubtful=row.doubtful,
        ended_at=row.ended_at,
        ended_reason=row.ended_reason,
        circuit=BreakerState.PAUSED if row.paused else BreakerState(row.circuit),
        replay=row.replay,
        ahead=None if leads or state is not DeliveryState.PENDING else _ahead(connection, row),
    )


def _ahead(connection: Connection, row: Row[Any]) -> Ahead | None:
    if row.first is None:
        return None
    lane = (deliveries.c.endpoint_id == row.endpoint_id, deliveries.c.lane == row.lane)
    count = select(func.count()).where(*lane, PENDING, deliveries.c.id < row.id)
    first = select(messages.c.message_id).join(deliveries).where(deliveries.c.id == row.first)
    return Ahead(connection.execute(first).scalar_one(), connection.scalar(count) or 0)


def _attempt(row: Row[Any], names: Names, bodies: Bodies) -> AttemptRecord:
    return AttemptRecord(
        row.number,
        row.started_at,
        row.duration,
        AttemptOutcome(row.outcome),
        row.status,
        Reason(row.reason) if row.reason else None,
        bodies.show_text(Kind.DETAIL, names, row.detail, row.sealed_by),
    )


def _summary(row: Row[Any]) -> MessageSummary:
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


# --- Replays ------------------------------------------------------------------------------------


def _ask_replay(
    connection: Connection, order: ReplayOrder, now: float, actor: str
) -> RequestedReplay | None:
    asked = replaying.ask(connection, order, now)
    if asked is None:
        return None
    if asked.accepted:
        audit = AuditEntry(actor, f"replay={asked.replay.number} {order.words}")
        keeping.notify(connection, OperatorEventKind.REPLAY_ASKED, order.endpoint, audit=audit)
    return asked


def _cancel_replay(
    connection: Connection, number: int, now: float, actor: str
) -> ReplayRecord | None:
    record = replaying.cancel(connection, number, now)
    if record is not None:
        audit = AuditEntry(actor, f"replay={number}")
        keeping.notify(connection, OperatorEventKind.REPLAY_CANCELLED, record.endpoint, audit=audit)
    return record


# --- Endpoints ----------------------------------------------------------------------------------


def _endpoints(connection: Connection, bodies: Bodies) -> list[EndpointRecord]:
    rows = connection.execute(select(*ENDPOINT).order_by(endpoints.c.bot, endpoints.c.name))
    return [_endpoint(connection, row, bodies) for row in rows.all()]


def _endpoint(connection: Connection, row: Row[Any], bodies: Bodies) -> EndpointRecord:
    mine = deliveries.c.endpoint_id == row.id
    again = connection.scalars(_REPLAYING, {"at": row.id}).all()
    owed = (mine, PENDING, ~is_in(deliveries.c.id, "again"))
    pending = select(func.count(), func.min(deliveries.c.id)).where(*owed)
    count, oldest = connection.execute(pending, {"again": again}).one()
    dead = select(func.count()).select_from(deliveries).where(mine, DEAD)
    received_at = select(messages.c.received_at).join(deliveries)
    return EndpointRecord(
        endpoint_of(row),
        read_note(row, bodies),
        count,
        connection.scalar(received_at.where(deliveries.c.id == oldest)),
        connection.scalar(dead) or 0,
        row.configured,
        len(again),
    )


def _pause(connection: Connection, endpoint: EndpointKey, actor: str) -> bool:
    return _change(connection, endpoint, AuditEntry(actor), OperatorEventKind.PAUSED, paused=True)


_REVIVED = case(
    (endpoints.c.state == BreakerState.GONE.value, BreakerState.CLOSED.value),
    else_=endpoints.c.state,
)


def _resume(connection: Connection, endpoint: EndpointKey, actor: str) -> bool:
    values = {"paused": False, "gone_since": None, "state": _REVIVED}
    return _change(connection, endpoint, AuditEntry(actor), OperatorEventKind.RESUMED, **values)


def _back(connection: Connection, endpoint: EndpointKey, actor: str) -> bool:
    values = {"gone_since": None, "state": _REVIVED}
    return _change(connection, endpoint, AuditEntry(actor), OperatorEventKind.BACK, **values)


def _change(
    connection: Connection,
    endpoint: EndpointKey,
    audit: AuditEntry,
    kind: OperatorEventKind,
    **values: object,
) -> bool:
    changed = connection.execute(update(endpoints).where(is_endpoint(endpoint)).values(**values))
    if changed.rowcount:
        keeping.notify(connection, kind, endpoint, audit=audit)
    return bool(changed.rowcount)
