"""What the model holds, and the rules that keep it consistent."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from relay.model.admin import UnreadableRecord
from relay.model.journal import AuditEntry, EndpointNote, OperatorEvent, OperatorEventKind, Owed
from relay.model.messages import (
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    EndpointKey,
    Message,
    MessageOutcome,
    ReceiptState,
)
from tests.journal.model.rules import finished, read_owed


@dataclass(slots=True, eq=False)
class DeliveryRow:
    """One delivery as it stands."""

    id: int
    owed: Owed
    message: "MessageRow"
    state: DeliveryState = DeliveryState.PENDING
    failures: int = 0
    rejections: int = 0
    first_attempt_at: float | None = None
    doubtful: bool = False
    ended_at: float | None = None
    ended_reason: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    charged: int = 0
    replay: int | None = None

    @property
    def lane(self) -> tuple[EndpointKey, str]:
        """The key of its lane."""
        return self.owed.endpoint, self.owed.lane

    def delivery(self) -> Delivery:
        """Make the value that the relay works with."""
        return Delivery(
            self.id,
            self.owed.endpoint,
            self.owed.lane,
            self.message.message,
            attempts=len(self.attempts),
            failures=self.failures,
            rejections=self.rejections,
            first_attempt_at=self.first_attempt_at,
            doubtful=self.doubtful,
            replay=self.replay,
            seq=self.message.seq,
            required=self.owed.required,
        )


@dataclass(slots=True, eq=False)
class MessageRow:
    """One message as it stands."""

    seq: int
    message: Message
    receipt: ReceiptState = ReceiptState.NONE
    receipt_at: float | None = None
    outcome: MessageOutcome | None = None
    finished_at: float | None = None
    deliveries: list[DeliveryRow] = field(default_factory=list)

    def required(self) -> list[DeliveryState]:
        """Give the states of the deliveries that may hold READ back."""
        return [row.state for row in self.deliveries if row.owed.required]

    def owe_receipt(self) -> bool:
        """Owe READ if it may be said now; answers whether that is new."""
        if self.receipt is not ReceiptState.NONE or not read_owed(self.required()):
            return False
        self.receipt = ReceiptState.OWED
        return True


@dataclass(slots=True)
class LaneRow:
    """A lane with what waits in it by ids; without `due_at` a journal has no row of it."""

    due_at: float | None = None
    waiting: dict[int, DeliveryRow] = field(default_factory=dict)


@dataclass(slots=True)
class EndpointRow:
    """One endpoint, configured or not."""

    configured: bool = True
    paused: bool = False
    address: str | None = None
    note: EndpointNote = field(default_factory=lambda: EndpointNote(BreakerState.CLOSED))


class Store:
    """Everything that the journal in memory holds."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, str], MessageRow] = {}
        self.by_seq: dict[int, MessageRow] = {}
        self.deliveries: dict[int, DeliveryRow] = {}
        self.lanes: dict[EndpointKey, dict[str, LaneRow]] = {}
        self.endpoints: dict[EndpointKey, EndpointRow] = {}
        self.notices: list[OperatorEvent] = []
        self.unreadable: dict[tuple[str, str], UnreadableRecord] = {}
        self.received: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self._last_message = 0
        self._last_delivery = 0
        self._last_charge = 0

    @property
    def last_seen(self) -> float | None:
        """Tell the time that the last thing happened at which the journal knows of."""
        messages = (row.message.received_at for row in reversed(self.by_seq.values()))
        last = max(self.deliveries.values(), key=lambda row: row.charged, default=None)
        ended = last and last.charged and last.attempts[-1].started_at + last.attempts[-1].duration
        times = [time for time in (next(messages, None), ended) if time]
        return max(times, default=None)

    def next_charge(self) -> int:
        """Give a number to an attempt that is written down."""
        self._last_charge += 1
        return self._last_charge

    def add_message(self, message: Message) -> MessageRow:
        """Insert a message."""
        self._last_message += 1
        row = MessageRow(self._last_message, message)
        self.messages[message.bot, message.message_id] = self.by_seq[row.seq] = row
        self.received[message.bot] += 1
        return row

    def add_delivery(
        self, message: MessageRow, owed: Owed, *, due_at: float | None, replay: int | None = None
    ) -> DeliveryRow:
        """Insert a delivery; its lane has something to load from `due_at` on, if that is given."""
        self._last_delivery += 1
        row = DeliveryRow(self._last_delivery, owed, message, replay=replay)
        self.deliveries[row.id] = row
        message.deliveries.append(row)
        lane = self.join_lane(row)
        if lane.due_at is None:
            lane.due_at = due_at
        return row

    def lane_of(self, row: DeliveryRow) -> LaneRow:
        """Give a delivery's lane."""
        return self.lanes.setdefault(row.owed.endpoint, {}).setdefault(row.owed.lane, LaneRow())

    def join_lane(self, row: DeliveryRow) -> LaneRow:
        """Let a delivery wait in its lane, in the order of ids."""
        lane = self.lane_of(row)
        lane.waiting[row.id] = row
        lane.waiting = dict(sorted(lane.waiting.items()))
        return lane

    def leave_lane(self, row: DeliveryRow, *, close: bool = False) -> None:
        """Take a delivery out of its lane, and `close` the lane if nothing waits there."""
        lane = self.lane_of(row)
        lane.waiting.pop(row.id, None)
        if close and not lane.waiting:
            lane.due_at = None
        self.tidy(row.owed.endpoint)

    def tidy(self, endpoint: EndpointKey) -> None:
        """Forget lanes in which nothing waits and of which there is no row."""
        lanes = self.lanes.get(endpoint, {})
        for name in [name for name, lane in lanes.items() if lane == LaneRow()]:
            del lanes[name]

    def postpone(self, row: DeliveryRow, due_at: float) -> None:
        """Let a lane wait, unless a dead letter requeued meanwhile goes before its first."""
        lane = self.lane_of(row)
        if lane.due_at is None or next(iter(lane.waiting)) == row.id:
            lane.due_at = due_at

    def make_lanes_again(self, endpoint: EndpointKey, now: float) -> None:
        """Note each lane with something in it as one to load."""
        for lane in self.lanes.get(endpoint, {}).values():
            if lane.waiting and lane.due_at is None:
                lane.due_at = now

    def finish(self, row: MessageRow, now: float) -> MessageOutcome | None:
        """Finish a message if nothing is left to do; answers with its outcome if that is new."""
        if row.outcome is not None:
            return None
        states = [delivery.state for delivery in row.deliveries if delivery.replay is None]
        row.outcome = finished(states, row.required(), row.receipt)
        if row.outcome is not None:
            row.finished_at = now
            self.finished[row.message.bot] += 1
        return row.outcome

    def reopen(self, row: MessageRow) -> None:
        """Let a finished message be unfinished again."""
        if row.outcome is not None:
            row.outcome = row.finished_at = None
            self.finished[row.message.bot] -= 1

    def remove(self, row: MessageRow) -> None:
        """Forget a message."""
        del self.messages[row.message.bot, row.message.message_id], self.by_seq[row.seq]
        for delivery in row.deliveries:
            del self.deliveries[delivery.id]

    def notify(
        self,
        kind: OperatorEventKind,
        endpoint: EndpointKey,
        count: int = 0,
        *,
        audit: AuditEntry = AuditEntry(),  # noqa: B008 - frozen
    ) -> None:
        """Leave a notice for the running relay."""
        last = self.notices[-1].id if self.notices else 0
        self.notices.append(OperatorEvent(last + 1, kind, endpoint, count, audit))

    def dead(self) -> Iterator[DeliveryRow]:
        """Go through the dead letters, oldest first."""
        rows = (row for row in self.deliveries.values() if row.state is DeliveryState.DEAD)
        return iter(sorted(rows, key=lambda row: (row.ended_at or 0.0, row.id)))

    def owed(self, endpoints: Collection[EndpointKey]) -> Iterator[DeliveryRow]:
        """Go through the unfinished deliveries of some endpoints, oldest first."""
        rows = self.deliveries.values()
        pending = (row for row in rows if row.state is DeliveryState.PENDING)
        return (row for row in pending if row.owed.endpoint in endpoints)

    def requeue(self, row: DeliveryRow, now: float) -> None:
        """Make a dead letter due again, its patience anew."""
        row.state = DeliveryState.PENDING
        row.failures = row.rejections = 0
        row.first_attempt_at = row.ended_at = row.ended_reason = None
        lane = self.join_lane(row)
        if lane.due_at is None or next(iter(lane.waiting)) == row.id:
            lane.due_at = min(now, lane.due_at or now)
        if row.replay is None:
            self.reopen(row.message)

    def bury(self, row: DeliveryRow, reason: str, now: float) -> None:
        """End a delivery as a dead letter."""
        row.state, row.ended_at, row.ended_reason = DeliveryState.DEAD, now, reason
