"""Replays in the model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from relay.model.journal import AuditEntry, OperatorEventKind, Owed
from relay.model.messages import DeliveryState, EndpointKey
from relay.model.replays import (
    EndpointInfo,
    Pick,
    PriorDelivery,
    ReplayOrder,
    ReplayRecord,
    ReplayTurn,
    RequestedReplay,
    RunningReplay,
    Survey,
)
from tests.journal.model.rules import (
    CANCELLED,
    LOOKED_THROUGH_AT_ONCE,
    REMOVED,
    REPLAYED_BYTES,
    Room,
    looked_through,
    replay_lane,
)
from tests.journal.model.store import DeliveryRow, MessageRow, Store


@dataclass(slots=True, eq=False)
class ReplayRow:
    """One replay as it stands."""

    number: int
    order: ReplayOrder
    asked_at: float
    begin: int
    position: int
    upto: int
    queued: int = 0
    ended_at: float | None = None
    cancelled: bool = False


def _is_pending(row: DeliveryRow) -> bool:
    return row.state is DeliveryState.PENDING


class MemoryReplays:
    """Asks for replays and carries them out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[int, ReplayRow] = {}
        self._last = 0

    def register_endpoints(
        self, newcomers: Sequence[EndpointInfo], now: float
    ) -> list[ReplayRecord]:
        """Take note of addresses; new endpoints get what is retained, if they want it."""
        names = frozenset(each.endpoint for each in newcomers)
        begun = [
            self._record(self._begin(ReplayOrder(each.endpoint), now))
            for each in newcomers
            if each.retained and self._is_new(each, names) and self._last_seq
        ]
        for each in newcomers:
            self._store.endpoints[each.endpoint].address = each.address
        return begun

    def survey(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        """Count on for a page."""
        upto = self._last_seq if sofar.upto is None else sofar.upto
        chosen, position, _ = self._front(order, pick, after=sofar.position, upto=upto)
        return Survey(sofar.messages + len(chosen), position, upto)

    def ask(self, order: ReplayOrder, now: float, actor: str) -> RequestedReplay | None:
        """Write a replay down, unless another one to the same endpoint is under way."""
        endpoint = self._store.endpoints.get(order.endpoint)
        if endpoint is None or not endpoint.configured:
            return None
        if (busy := self._under_way_at(order.endpoint)) is not None:
            return RequestedReplay(self._record(busy), accepted=False)
        record = self._record(self._begin(order, now))
        audit = AuditEntry(actor, f"replay={record.number} {order.words}")
        self._store.notify(OperatorEventKind.REPLAY_ASKED, order.endpoint, audit=audit)
        return RequestedReplay(record, accepted=True)

    def records(self) -> list[ReplayRecord]:
        """List replays, the newest first."""
        return [self._record(row) for row in reversed(self._rows.values())]

    def cancel(self, number: int, now: float, actor: str) -> ReplayRecord | None:
        """Send no more of a replay."""
        row = self._rows.get(number)
        if row is None:
            return None
        for delivery in self._deliveries(number):
            removed = delivery.ended_reason == REMOVED and delivery.state is DeliveryState.DEAD
            if delivery.state is DeliveryState.PENDING or removed:
                self._store.leave_lane(delivery, close=True)
                delivery.state = DeliveryState.DISCARDED
                delivery.ended_at, delivery.ended_reason = now, CANCELLED
        self._end(row, now, cancelled=True)
        audit = AuditEntry(actor, f"replay={number}")
        self._store.notify(OperatorEventKind.REPLAY_CANCELLED, row.order.endpoint, audit=audit)
        return self._record(row)

    def under_way(self) -> list[RunningReplay]:
        """List replays that have not ended, to endpoints that are configured."""
        return [
            RunningReplay(row.order.endpoint, self._waiting(row), row.position >= row.upto)
            for row in self._rows.values()
            if row.ended_at is None and self._store.endpoints[row.order.endpoint].configured
        ]

    def feed(self, endpoint: EndpointKey, pick: Pick, now: float, most: int) -> ReplayTurn:
        """Put the next deliveries into their lanes, or end a replay that has none left."""
        row = self._under_way_at(endpoint)
        if row is None or not self._store.endpoints[endpoint].configured:
            return ReplayTurn()
        waiting = [each for each in self._deliveries(row.number) if _is_pending(each)]
        if row.position < row.upto:
            size = sum(len(each.message.message.frame) for each in waiting)
            room = Room(most, REPLAYED_BYTES - size, empty=not waiting)
            chosen, row.position, full = self._front(
                row.order, pick, room, after=row.position, upto=row.upto
            )
            for message, lane in chosen:
                owed = Owed(endpoint, replay_lane(lane), required=False)
                self._store.add_delivery(message, owed, due_at=now, replay=row.number)
            row.queued += len(chosen)
            return ReplayTurn(len(chosen), more=row.position < row.upto and not full)
        if waiting:
            return ReplayTurn()
        self._end(row, now)
        return ReplayTurn(ended=self._record(row))

    def held(self, seq: int) -> bool:
        """Say whether a replay may still send a message."""
        rows = [row for row in self._rows.values() if row.ended_at is None]
        rows = [row for row in rows if self._store.endpoints[row.order.endpoint].configured]
        held = [range(row.position + 1, row.upto + 1) for row in rows if row.position < row.upto]
        return any(held) and min(each.start for each in held) <= seq < max(e.stop for e in held)

    def forget(self, before: float) -> None:
        """Forget replays that ended before that time."""
        for row in list(self._rows.values()):
            if row.ended_at is not None and row.ended_at < before:
                del self._rows[row.number]

    # --- Looking through ------------------------------------------------------------------------

    @property
    def _last_seq(self) -> int:
        return next(reversed(self._store.by_seq), 0)

    def _front(
        self,
        order: ReplayOrder,
        pick: Pick,
        room: Room | None = None,
        *,
        after: int,
        upto: int,
    ) -> tuple[list[tuple[MessageRow, str]], int, bool]:
        """Look through the next messages, for as many that are to go as there is room for."""
        rows = (row for seq, row in self._store.by_seq.items() if after < seq <= upto)
        page = list(islice(rows, LOOKED_THROUGH_AT_ONCE))
        whole = len(page) < LOOKED_THROUGH_AT_ONCE
        position, size = upto if whole else page[-1].seq, 0
        chosen: list[tuple[MessageRow, str]] = []
        for row, lane in self._chosen(order, pick, page):
            size += len(row.message.frame)
            if room is not None and not room.fits(len(chosen), size):
                return chosen, row.seq - 1, True
            chosen.append((row, lane))
        return chosen, position, False

    def _chosen(
        self, order: ReplayOrder, pick: Pick, page: Sequence[MessageRow]
    ) -> Iterator[tuple[MessageRow, str]]:
        for row in page:
            if row.message.bot != order.endpoint.bot:
                continue
            made = [
                PriorDelivery(each.state, each.ended_at, each.replay is not None)
                for each in row.deliveries
                if each.owed.endpoint == order.endpoint
            ]
            if order.covers(row.message.received_at, made):
                lane = pick(row.message)
                if lane is not None:
                    yield row, lane

    # --- The books ------------------------------------------------------------------------------

    def _begin(self, order: ReplayOrder, now: float) -> ReplayRow:
        self._last += 1
        begin = next(iter(self._store.by_seq), 1) - 1
        row = ReplayRow(self._last, order, now, begin, begin, self._last_seq)
        self._rows[row.number] = row
        return row

    def _end(self, row: ReplayRow, now: float, *, cancelled: bool = False) -> None:
        if row.ended_at is None:
            row.ended_at, row.cancelled = now, cancelled

    def _is_new(self, newcomer: EndpointInfo, names: frozenset[EndpointKey]) -> bool:
        if self._store.endpoints[newcomer.endpoint].address is not None:
            return False
        return names.issuperset(
            key
            for key, row in self._store.endpoints.items()
            if key.bot == newcomer.endpoint.bot and row.address == newcomer.address
        )

    def _under_way_at(self, endpoint: EndpointKey) -> ReplayRow | None:
        rows = (row for row in self._rows.values() if row.ended_at is None)
        return next((row for row in rows if row.order.endpoint == endpoint), None)

    def _deliveries(self, number: int) -> Iterator[DeliveryRow]:
        return (row for row in self._store.deliveries.values() if row.replay == number)

    def _waiting(self, row: ReplayRow) -> int:
        return self._count(row, DeliveryState.PENDING)

    def _count(self, row: ReplayRow, state: DeliveryState) -> int:
        return sum(delivery.state is state for delivery in self._deliveries(row.number))

    def _record(self, row: ReplayRow) -> ReplayRecord:
        return ReplayRecord(
            row.number,
            row.order.endpoint,
            row.order.since,
            row.order.until,
            row.asked_at,
            row.ended_at,
            row.cancelled,
            looked_through(row.begin, row.position, row.upto),
            row.queued,
            self._count(row, DeliveryState.PENDING),
            self._count(row, DeliveryState.DELIVERED),
            self._count(row, DeliveryState.DEAD),
        )
