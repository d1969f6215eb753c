"""A journal as plain Python objects: what the engines are compared with."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import islice

from relay.delivery.lanes import LANE_DEPTH
from relay.model.admin import UnreadableRecord
from relay.model.journal import (
    Arrival,
    Batch,
    BotCensus,
    Committed,
    Discarded,
    Due,
    Duplicate,
    EndpointNote,
    Finished,
    Fresh,
    OperatorEvent,
    OwedReceipt,
    ReceiptAnswers,
    Recorded,
    Settled,
    Stats,
    UnreadableFrame,
    WholeLane,
)
from relay.model.messages import (
    BreakerState,
    DeadLettered,
    Delivered,
    Delivery,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Outcome,
    Postponed,
    ReceiptState,
    Rejected,
)
from relay.model.replays import EndpointInfo, Pick, ReplayRecord, ReplayTurn, RunningReplay
from tests.journal.model.replays import MemoryReplays
from tests.journal.model.rules import (
    KEPT_NOTICES,
    LONGEST_WAIT,
    MAX_UNREADABLE,
    NOTICES_AT_ONCE,
    RECEIPTED,
    REMOVED,
    set_back,
)
from tests.journal.model.store import DeliveryRow, EndpointRow, MessageRow, Store


class MemoryJournal:
    """Implements `relay.model.ports.Journal`."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.replays = MemoryReplays(self.store)
        self._stopped_cleanly = True

    async def start(self, endpoints: Collection[EndpointKey], now: float) -> bool:
        """Begin a run."""
        clean, self._stopped_cleanly = self._stopped_cleanly, False
        self._mind_the_clock(now)
        for delivery in self.store.deliveries.values():
            delivery.doubtful |= not clean and delivery.state is DeliveryState.PENDING
        for key, row in self.store.endpoints.items():
            row.configured = key in endpoints
        for key in endpoints:
            self.store.endpoints.setdefault(key, EndpointRow())
        self._follow_settings(now)
        for key, lanes in self.store.lanes.items():
            for lane in lanes.values():
                lane.due_at = lane.due_at if lane.waiting else None
            self.store.tidy(key)
            self.store.make_lanes_again(key, now)
        return clean

    async def reconfigure(
        self, *, added: Collection[EndpointKey], removed: Collection[EndpointKey], now: float
    ) -> Mapping[EndpointKey, int]:
        """Configure endpoints, and others no longer."""
        owed = Counter(row.owed.endpoint for row in self.store.owed(removed))
        if owed:
            return owed
        for key in removed:
            self.store.endpoints[key].configured = False
        for key in added:
            self.store.endpoints.setdefault(key, EndpointRow()).configured = True
        self._follow_settings(now)
        return {}

    async def discard_owed(
        self, endpoints: Collection[EndpointKey], now: float, *, limit: int
    ) -> Discarded:
        """Give up what is owed to endpoints."""
        rows = list(islice(self.store.owed(endpoints), limit))
        for row in rows:
            row.state, row.ended_at, row.ended_reason = DeliveryState.DISCARDED, now, REMOVED
            self.store.leave_lane(row, close=True)
        messages = {row.message.seq: row.message for row in rows}.values()
        ends = [(row.message.bot, self.store.finish(row, now)) for row in messages]
        return Discarded(len(rows), Counter((bot, end) for bot, end in ends if end is not None))

    def _mind_the_clock(self, now: float) -> None:
        back = set_back(self.store.last_seen, now)
        for lane in (lane for of in self.store.lanes.values() for lane in of.values()):
            if lane.due_at is None:
                continue
            if back and lane.due_at > now:
                lane.due_at = max(now, lane.due_at - back)
            if lane.due_at > now + LONGEST_WAIT:
                lane.due_at = now

    async def stop(self) -> None:
        """End the run cleanly."""
        self._stopped_cleanly = True

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch."""
        for whole in batch.whole:
            self._close_whole(whole)
        for endpoint in batch.dropped:
            self.store.make_lanes_again(endpoint, batch.now)
        for bot, frame in batch.frames:
            self._keep_unreadable(bot, frame, batch.now)
        taken: set[tuple[EndpointKey, str]] = {
            (key, name)
            for key, lanes in self.store.lanes.items()
            for name, lane in lanes.items()
            if lane.due_at is not None
        }
        recorded = [self._record(arrival, taken) for arrival in batch.arrivals]
        settled = [self._settle(outcome, batch.now) for outcome in batch.outcomes]
        for cut in batch.deferred:
            if (row := self.store.deliveries.get(cut.delivery.id)) is not None:
                row.doubtful = True
        finished = [self._settle_receipts(each, batch.now) for each in batch.receipts]
        for endpoint, note in batch.notes:
            self._note_endpoint(endpoint, note)
        return Committed(recorded, settled, finished)

    def _close_whole(self, whole: WholeLane) -> None:
        lane = self.store.lanes.get(whole.endpoint, {}).get(whole.lane)
        if lane is not None and max(lane.waiting, default=0) <= whole.upto:
            lane.due_at = None
        self.store.tidy(whole.endpoint)

    async def due(
        self,
        endpoint: EndpointKey,
        now: float,
        *,
        skip: Collection[str],
        limit: int,
        max_bytes: int,
    ) -> Due:
        """Read what is due."""
        lanes = self.store.lanes.get(endpoint, {})
        known = [(row.due_at, key) for key, row in lanes.items() if row.due_at is not None]
        due = [key for at, key in sorted(known) if at <= now and key not in skip]
        later = min((at for at, _ in known if at > now), default=None)
        taken: list[Delivery] = []
        whole: set[str] = set()
        for number, key in enumerate(due):
            whole.add(key)
            for place, row in enumerate(lanes[key].waiting.values()):
                size = len(row.message.message.frame)
                full = len(taken) == limit or (bool(taken) and size > max_bytes)
                if full or place == LANE_DEPTH:
                    whole.discard(key)
                    if full:
                        more = not place or number + 1 < len(due)
                        return Due(tuple(taken), frozenset(whole), more, later)
                    break
                taken.append(row.delivery())
                max_bytes -= size
        return Due(tuple(taken), frozenset(whole), more=False, next_due_at=later)

    async def owed_receipts(self, bot: str, *, after: int, limit: int) -> Sequence[OwedReceipt]:
        """Read owed receipts."""
        owed = (
            OwedReceipt(seq, row.message.message_id)
            for seq, row in self.store.by_seq.items()
            if seq > after and row.message.bot == bot and row.receipt is ReceiptState.OWED
        )
        return list(islice(owed, limit))

    def _settle_receipts(self, answers: ReceiptAnswers, now: float) -> Sequence[Finished]:
        ended: list[Finished] = []
        states = dict.fromkeys(answers.refused, ReceiptState.REFUSED)
        states |= dict.fromkeys(answers.confirmed, ReceiptState.CONFIRMED)
        for seq, state in sorted(states.items()):
            row = self.store.by_seq.get(seq)
            if row is None or (row.message.bot, row.receipt) != (answers.bot, ReceiptState.OWED):
                continue
            row.receipt, row.receipt_at = state, now
            if (outcome := self.store.finish(row, now)) is not None:
                ended.append(Finished(row.message.message_id, outcome))
        return ended

    def _keep_unreadable(self, bot: str, frame: UnreadableFrame, now: float) -> None:
        """Keep a sample, the last seen last; forget what was not seen for longest."""
        kept, key = self.store.unreadable, (bot, frame.digest)
        known = kept.pop(key, None)
        first = UnreadableRecord(bot, frame.digest, frame.why, 0, now, now, frame.sample)
        record = known or first
        kept[key] = replace(record, times=record.times + 1, last_at=now)
        of_bot = [each for each in kept if each[0] == bot]
        for oldest in of_bot[: len(of_bot) - MAX_UNREADABLE]:
            del kept[oldest]

    def _note_endpoint(self, endpoint: EndpointKey, note: EndpointNote) -> None:
        """Write down how an endpoint fares; whether it is paused is an operator's to say."""
        row = self.store.endpoints.get(endpoint)
        if row is not None:
            paused = note.state is BreakerState.PAUSED
            row.note = replace(note, state=BreakerState.CLOSED) if paused else note

    async def endpoint_note(self, endpoint: EndpointKey) -> EndpointNote:
        """Read what is written of an endpoint."""
        return endpoint_note(self.store.endpoints.get(endpoint))

    async def register_endpoints(
        self, endpoints: Sequence[EndpointInfo], now: float
    ) -> Sequence[ReplayRecord]:
        """Take note of addresses."""
        return self.replays.register_endpoints(endpoints, now)

    async def replays_under_way(self) -> Sequence[RunningReplay]:
        """List replays that have not ended."""
        return self.replays.under_way()

    async def feed_replay(
        self, endpoint: EndpointKey, pick: Pick, now: float, *, most: int
    ) -> ReplayTurn:
        """Put further deliveries into their lanes."""
        return self.replays.feed(endpoint, pick, now, most)

    async def operator_events(self, after: int) -> Sequence[OperatorEvent]:
        """Read operators' actions."""
        later = (notice for notice in self.store.notices if notice.id > after)
        return list(islice(later, NOTICES_AT_ONCE))

    async def census(self) -> Stats:
        """Count the stock."""
        dead = Counter(row.owed.endpoint for row in self.store.dead())
        bots = {bot: self._count(bot) for bot in self._bots()}
        size = sum(len(row.message.frame) for row in self.store.by_seq.values())
        dead_letters = {key: dead[key] for key in self.store.endpoints}
        return Stats(bots, dead_letters, size, self._oldest_pending())

    def _oldest_pending(self) -> dict[EndpointKey, float]:
        owed = [row for row in self.store.owed(self.store.endpoints) if row.replay is None]
        # The oldest come first, and the first to be written last stays.
        return {row.owed.endpoint: row.message.message.received_at for row in reversed(owed)}

    async def prune(self, before: float, *, limit: int) -> int:
        """Remove old finished messages."""
        old = (
            row
            for row in self.store.by_seq.values()
            if _prunable(row, before) and not self.replays.held(row.seq)
        )
        rows = nsmallest(limit, old, key=lambda row: (row.finished_at or 0.0, row.seq))
        for row in rows:
            self.store.remove(row)
        self.replays.forget(before)
        del self.store.notices[:-KEPT_NOTICES]
        return len(rows)

    async def shrink(self) -> int:
        """Give nothing back: there is no disk."""
        return 0

    # --- One at a time --------------------------------------------------------------------------

    def _record(self, arrival: Arrival, taken: set[tuple[EndpointKey, str]]) -> Recorded:
        message = arrival.message
        known = self.store.messages.get((message.bot, message.message_id))
        if known is not None:
            again = known.receipt in RECEIPTED
            known.receipt = ReceiptState.OWED if again else known.receipt
            return Duplicate(receipt_owed=again, seq=known.seq)
        row = self.store.add_message(message)
        added = [
            self.store.add_delivery(
                row, owed, due_at=None if owed.in_window else message.received_at
            )
            for owed in arrival.owed
        ]
        leading = [each for each in added if each.lane not in taken]
        taken.update(each.lane for each in added)
        owes = (bool(added) or arrival.unwanted_read) and row.owe_receipt()
        return Fresh(
            tuple(each.delivery() for each in added),
            frozenset(each.id for each in leading),
            receipt_owed=owes,
            finished=self.store.finish(row, message.received_at),
            seq=row.seq,
        )

    def _settle(self, outcome: Outcome, now: float) -> Settled:
        row = self.store.deliveries.get(outcome.delivery.id)
        if row is None:  # pruned in flight: of a replay that was cancelled meanwhile
            return Settled()
        self._charge(row, outcome)
        match outcome:
            case Postponed(due_at=due_at):
                if row.state is DeliveryState.PENDING:
                    self.store.postpone(row, due_at)
                return Settled()
            case Delivered():
                row.state, row.ended_at = DeliveryState.DELIVERED, now
            case DeadLettered(attempt=attempt):
                self.store.bury(row, str(attempt.verdict.reason), now)
        self.store.leave_lane(row)
        if row.replay is not None:
            return Settled()
        owed = row.message.owe_receipt()
        return Settled(owed, self.store.finish(row.message, now), row.message.seq)

    def _charge(self, row: DeliveryRow, outcome: Outcome) -> None:
        verdict = outcome.attempt.verdict
        row.attempts.append(outcome.attempt)
        row.charged = self.store.next_charge()
        if row.first_attempt_at is None:
            row.first_attempt_at = outcome.attempt.started_at
        row.failures += verdict.reason is not None
        row.rejections += isinstance(verdict, Rejected)
        row.doubtful |= getattr(verdict, "doubtful", False)

    def _follow_settings(self, now: float) -> None:
        """Bury what is owed to endpoints that are gone from the settings; revive what is back."""
        touched: set[MessageRow] = set()
        for row in self.store.deliveries.values():
            removed = row.state is DeliveryState.DEAD and row.ended_reason == REMOVED
            configured = self.store.endpoints[row.owed.endpoint].configured
            if removed and configured:
                self.store.requeue(row, now)
            elif row.state is DeliveryState.PENDING and not configured:
                self.store.bury(row, REMOVED, now)
                self.store.leave_lane(row)
                touched.add(row.message)
        for message in touched:
            self.store.finish(message, now)

    def _bots(self) -> set[str]:
        return {key.bot for key in self.store.endpoints} | set(self.store.received)

    def _count(self, bot: str) -> BotCensus:
        rows = [row for row in self.store.by_seq.values() if row.message.bot == bot]
        pending = [row for row in rows if row.outcome is None]
        unread = (row.message.received_at for row in pending if _on_its_way(row))
        balance = self.store.received[bot] - self.store.finished[bot] - len(pending)
        owed = sum(row.receipt is ReceiptState.OWED for row in rows)
        return BotCensus(len(pending), next(unread, None), owed, balance)


def endpoint_note(row: EndpointRow | None) -> EndpointNote:
    """Read an endpoint's note; an operator's pause goes before the gate's own state."""
    if row is None:
        return EndpointNote(BreakerState.CLOSED)
    if not row.paused:
        return row.note
    note = row.note
    return EndpointNote(BreakerState.PAUSED, note.last_error, None, note.gone_since)


_KEPT = frozenset({DeliveryState.DEAD, DeliveryState.PENDING})


def _prunable(row: MessageRow, before: float) -> bool:
    return (
        row.outcome not in (None, MessageOutcome.DEAD)
        and row.receipt is not ReceiptState.OWED
        and not {delivery.state for delivery in row.deliveries} & _KEPT
        and (row.finished_at or 0.0) < before
    )


def _on_its_way(row: MessageRow) -> bool:
    """Say whether a message may still become READ without an operator."""
    lost = (DeliveryState.DEAD, DeliveryState.DISCARDED)
    return row.receipt not in RECEIPTED and not any(state in lost for state in row.required())
