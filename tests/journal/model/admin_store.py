"""What operators ask of the model, and do to it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import islice
from operator import attrgetter

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
    Place,
    UnreadableRecord,
)
from relay.model.journal import AuditEntry, OperatorEventKind
from relay.model.messages import Attempt, BreakerState, DeliveryState, EndpointKey, MessageOutcome
from relay.model.replays import Pick, ReplayOrder, ReplayRecord, RequestedReplay, Survey
from tests.journal.model.journal import MemoryJournal, endpoint_note
from tests.journal.model.store import DeliveryRow, EndpointRow, LaneRow, MessageRow


class MemoryAdminStore:
    """Implements `relay.model.admin.AdminStore`; `actor` is by which way operators come to it."""

    def __init__(self, journal: MemoryJournal, *, actor: str = "api") -> None:
        self._store = journal.store
        self._replays = journal.replays
        self._actor = actor

    async def messages(self, query: MessageQuery) -> Sequence[MessageSummary]:
        """List messages."""
        newest_first = reversed(self._store.by_seq.values())
        found = (_summary(row) for row in newest_first if _matches(row, query))
        return list(islice(found, query.limit))

    async def history(self, message_id: str) -> Sequence[MessageHistory]:
        """Tell all of one message."""
        rows = self._store.by_seq.values()
        found = [row for row in rows if row.message.message_id == message_id]
        return [self._history(row) for row in sorted(found, key=lambda row: row.message.bot)]

    async def unreadable(self, bot: str | None, limit: int) -> Sequence[UnreadableRecord]:
        """List frames that could not be read."""
        rows = (each for each in self._store.unreadable.values() if bot in (None, each.bot))
        return nsmallest(limit, rows, key=lambda each: (-each.last_at, each.digest, each.bot))

    async def dead_letters(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        """List dead letters."""
        return [_dead_letter(row) for row in self._select(query)]

    async def count_dead_letters(self, query: DeadLetterQuery) -> int:
        """Count dead letters."""
        return sum(1 for _ in self._select(replace(query, limit=None)))

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        """Revive dead letters."""
        rows = list(self._select(query, configured=True))
        letters = [_dead_letter(row) for row in rows]
        for row in rows:
            self._store.requeue(row, now)
        self._notify(
            OperatorEventKind.REVIVED, Counter(row.owed.endpoint for row in rows), rows, query
        )
        return letters

    async def discard(
        self, query: DeadLetterQuery, now: float, *, mark_read: bool
    ) -> Sequence[DeadLetter]:
        """Give dead letters up."""
        rows = list(self._select(query))
        letters = [_dead_letter(row) for row in rows]
        for row in rows:
            row.state = DeliveryState.WAIVED if mark_read else DeliveryState.DISCARDED
        became = Counter({row.owed.endpoint: 0 for row in rows})
        for last in {row.message.seq: row for row in rows if row.replay is None}.values():
            became[last.owed.endpoint] += self._judge(last.message, now)
        kind = OperatorEventKind.WAIVED if mark_read else OperatorEventKind.DISCARDED
        self._notify(kind, became, rows, query)
        return letters

    async def endpoints(self) -> Sequence[EndpointRecord]:
        """List endpoints."""
        dead = Counter(row.owed.endpoint for row in self._store.dead())
        return [
            self._endpoint(key, row, dead[key])
            for key, row in sorted(self._store.endpoints.items())
        ]

    async def survey_replay(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        """Count on what a replay would send."""
        return self._replays.survey(order, pick, sofar)

    async def ask_replay(self, order: ReplayOrder, now: float) -> RequestedReplay | None:
        """Ask for a replay."""
        return self._replays.ask(order, now, self._actor)

    async def replays(self) -> Sequence[ReplayRecord]:
        """List replays."""
        return self._replays.records()

    async def cancel_replay(self, number: int, now: float) -> ReplayRecord | None:
        """Send no more of a replay."""
        return self._replays.cancel(number, now, self._actor)

    async def pause(self, endpoint: EndpointKey) -> bool:
        """Pause an endpoint."""
        row = self._store.endpoints.get(endpoint)
        if row is None:
            return False
        row.paused = True
        self._store.notify(OperatorEventKind.PAUSED, endpoint, audit=AuditEntry(self._actor))
        return True

    async def resume(self, endpoint: EndpointKey) -> bool:
        """Resume an endpoint."""
        row = self._store.endpoints.get(endpoint)
        if row is not None:
            row.paused = False
        return self._revive(row, OperatorEventKind.RESUMED, endpoint)

    async def back(self, endpoint: EndpointKey) -> bool:
        """Let an endpoint be tried again."""
        return self._revive(self._store.endpoints.get(endpoint), OperatorEventKind.BACK, endpoint)

    def _revive(
        self, row: EndpointRow | None, kind: OperatorEventKind, endpoint: EndpointKey
    ) -> bool:
        if row is None:
            return False
        state = BreakerState.CLOSED if row.note.state is BreakerState.GONE else row.note.state
        row.note = replace(row.note, state=state, gone_since=None)
        self._store.notify(kind, endpoint, audit=AuditEntry(self._actor))
        return True

    def _select(self, query: DeadLetterQuery, *, configured: bool = False) -> Iterator[DeliveryRow]:
        rows = (row for row in self._store.dead() if _selected(row, query))
        if configured:
            rows = (row for row in rows if self._store.endpoints[row.owed.endpoint].configured)
        return islice(rows, query.limit)

    def _judge(self, row: MessageRow, now: float) -> bool:
        """Judge a message anew; answers whether it became discarded."""
        before = row.outcome
        self._store.reopen(row)
        row.owe_receipt()
        return before != self._store.finish(row, now) == MessageOutcome.DISCARDED

    def _notify(
        self,
        kind: OperatorEventKind,
        counts: Counter[EndpointKey],
        rows: Sequence[DeliveryRow],
        query: DeadLetterQuery,
    ) -> None:
        acted = Counter(row.owed.endpoint for row in rows)
        for endpoint, count in counts.items():
            audit = AuditEntry(self._actor, query.words, acted[endpoint])
            self._store.notify(kind, endpoint, count, audit=audit)

    def _history(self, row: MessageRow) -> MessageHistory:
        deliveries = tuple(self._delivery(delivery) for delivery in row.deliveries)
        return MessageHistory(_summary(row), deliveries, row.receipt_at, row.message.frame)

    def _delivery(self, row: DeliveryRow) -> DeliveryRecord:
        lane = self._store.lanes.get(row.owed.endpoint, {}).get(row.owed.lane)
        first = next(iter(lane.waiting), None) if lane else None
        leads = lane is not None and first == row.id
        due_at = lane.due_at if lane else None
        due_at = row.message.message.received_at if due_at is None else due_at
        return DeliveryRecord(
            row.owed.endpoint,
            row.owed.required,
            row.state,
            tuple(_attempt(attempt) for attempt in row.attempts),
            due_at=due_at if leads else None,
            waits=row.state is DeliveryState.PENDING and not leads,
            doubtful=row.doubtful,
            ended_at=row.ended_at,
            ended_reason=row.ended_reason,
            circuit=endpoint_note(self._store.endpoints.get(row.owed.endpoint)).state,
            replay=row.replay,
            ahead=_ahead(row, lane),
        )

    def _endpoint(self, key: EndpointKey, row: EndpointRow, dead: int) -> EndpointRecord:
        waiting = [
            delivery
            for lane in self._store.lanes.get(key, {}).values()
            for delivery in lane.waiting.values()
        ]
        owed = [delivery for delivery in waiting if delivery.replay is None]
        oldest = min(owed, key=attrgetter("id"), default=None)
        oldest_at = oldest.message.message.received_at if oldest else None
        return EndpointRecord(
            key,
            endpoint_note(row),
            len(owed),
            oldest_at,
            dead,
            row.configured,
            len(waiting) - len(owed),
        )


def _matches(row: MessageRow, query: MessageQuery) -> bool:
    message = row.message
    return (
        query.bot in (None, message.bot)
        and query.conversation_id in (None, message.conversation_id)
        and query.category in (None, message.category)
        and query.outcome in (None, row.outcome)
        and query.pending in (None, row.outcome is None)
        and (query.since is None or message.received_at >= query.since)
        and (query.until is None or message.received_at < query.until)
        and (query.after is None or row.seq < query.after)
        and (not query.failing or row.outcome is None)
        and _owed(row, query)
    )


def _owed(row: MessageRow, query: MessageQuery) -> bool:
    """Say that a message has a delivery as the query wants it."""
    if query.endpoint is None and not query.failing:
        return True
    waits = query.pending or query.failing
    return any(
        query.endpoint in (None, delivery.owed.endpoint.name)
        and (not waits or delivery.state is DeliveryState.PENDING)
        and (not query.failing or delivery.failures > 0)
        for delivery in row.deliveries
    )


def _ahead(row: DeliveryRow, lane: LaneRow | None) -> Ahead | None:
    before = [each for each in lane.waiting.values() if each.id < row.id] if lane else []
    if row.state is not DeliveryState.PENDING or not before:
        return None
    return Ahead(before[0].message.message.message_id, len(before))


def _selected(row: DeliveryRow, query: DeadLetterQuery) -> bool:
    ids, message = query.message_ids, row.message.message
    return (
        (ids is None or message.message_id in ids)
        and query.bot in (None, message.bot)
        and query.endpoint in (None, row.owed.endpoint.name)
        and query.reason in (None, row.ended_reason)
        and query.conversation_id in (None, message.conversation_id)
        and (query.until is None or (row.ended_at or 0.0) < query.until)
        and (query.since is None or (row.ended_at or 0.0) >= query.since)
        and (query.after is None or Place(row.ended_at or 0.0, row.id) > query.after)
    )


def _summary(row: MessageRow) -> MessageSummary:
    message = row.message
    return MessageSummary(
        message.bot,
        message.message_id,
        message.conversation_id,
        message.user_id,
        message.category,
        message.source,
        message.received_at,
        row.outcome,
        row.finished_at,
        row.receipt,
        row.seq,
    )


def _attempt(attempt: Attempt) -> AttemptRecord:
    verdict = attempt.verdict
    return AttemptRecord(
        attempt.number,
        attempt.started_at,
        attempt.duration,
        verdict.outcome,
        verdict.status,
        verdict.reason,
        verdict.detail,
    )


def _dead_letter(row: DeliveryRow) -> DeadLetter:
    message = row.message.message
    last = row.attempts[-1].verdict if row.attempts else None
    return DeadLetter(
        row.owed.endpoint,
        message.message_id,
        message.conversation_id,
        message.category,
        len(row.attempts),
        row.ended_reason or "",
        last.status if last else None,
        last.detail if last else "",
        message.received_at,
        row.ended_at or 0.0,
        row.replay,
        row.id,
    )
