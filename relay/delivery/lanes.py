"""One endpoint's due deliveries: a window in memory over the journal, in lanes.

A lane holds deliveries that must go one after the other: the next waits until the one before has
ended. The window is bounded in count and in bytes. Deliveries come into it as they arrive while
there is room, and from the journal when there was none, after a restart, or when a retry falls due;
a lane that waits for its retry leaves the window. Without I/O: the dispatcher carries a `Load` to
the journal, and what happens meanwhile is minded here.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from relay.model.journal import Due
from relay.model.messages import Delivery

MAX_DELIVERIES = 1000
MAX_BYTES = 16 * 1024 * 1024
LANE_DEPTH = 32
"""So many deliveries of one lane are in memory at most: one hot lane must not keep others out."""
"""The window's bounds. For a moment it may hold twice that: a load, and what arrived meanwhile."""


@dataclass(slots=True)
class _Lane:
    """`whole` says that every unfinished delivery of the lane is in the queue."""

    queue: deque[Delivery]
    whole: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask the journal for."""

    skip: frozenset[str]
    limit: int
    max_bytes: int


@dataclass(slots=True)
class _Meanwhile:
    """What happened while the journal was being read, so that its answer is not believed blindly.

    A lane that `left` may have been read before its end was written: its deliveries are not taken
    again. A lane that `grew` may have been read before that: it is not whole. An answer is `stale`
    as a whole when an operator changed the journal.
    """

    left: set[str] = field(default_factory=set)
    grew: set[str] = field(default_factory=set)
    stale: bool = False


class Lanes:
    """The window of one endpoint."""

    def __init__(self, *, max_deliveries: int = MAX_DELIVERIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._replays: deque[str] = deque()  # ready as well, and go when there is nothing new
        self._replaying = 0
        self._count = 0
        self._bytes = 0
        self._behind = True  # the journal may hold deliveries from before this start
        self._next_due_at: float | None = None
        self._meanwhile: _Meanwhile | None = None

    def __len__(self) -> int:
        """Count the deliveries in memory."""
        return self._count

    @property
    def ready(self) -> bool:
        """Whether a delivery could go now."""
        return bool(self._ready or self._replays)

    def offer(self, delivery: Delivery, *, leads: bool) -> None:
        """Take a new delivery in, if it fits; `leads` if nothing unfinished precedes it.

        Whatever is not taken in stays in the journal and is loaded in its turn.
        """
        lane = self._lanes.get(delivery.lane)
        fits = self._fits(delivery) and not self._journal_goes_first(delivery)
        if lane is not None:
            if delivery.id <= lane.queue[-1].id:
                return  # a load saw it in the journal before we were told
            lane.whole = lane.whole and fits and len(lane.queue) < LANE_DEPTH
            if lane.whole:
                self._append(lane, delivery)
        elif leads and fits:
            self._add(delivery.lane, [delivery], whole=True)
        elif leads:
            self._behind = True
        elif self._meanwhile:
            self._meanwhile.grew.add(delivery.lane)

    def take(self, *, oldest: bool = False, most_replays: int = 1) -> Delivery | None:
        """Give out the next delivery of the lane that has been ready longest, or the oldest one.

        A replay's only if nothing else is ready, and while fewer than `most_replays` are under way.
        """
        line = self._ready or (self._replays if self._replaying < most_replays else None)
        if not line:
            return None
        if oldest:
            key = min(line, key=lambda key: self._lanes[key].queue[0].id)
            line.remove(key)
        else:
            key = line.popleft()
        lane = self._lanes[key]
        lane.busy = True
        self._replaying += lane.queue[0].replay is not None
        return lane.queue[0]

    def ended(self, delivery: Delivery, *, continues: bool) -> None:
        """Let the lane go on; `continues` if the journal knows of more in it."""
        lane = self._leave(delivery)
        self._forget(lane.queue.popleft())
        if lane.queue:
            self._line(lane).append(delivery.lane)
            return
        self._drop(delivery.lane)
        # What was offered since the outcome was written is unknown to the journal's answer.
        self._behind = self._behind or continues or not lane.whole

    def postponed(self, delivery: Delivery, due_at: float) -> None:
        """Let the lane leave the window until its retry falls due."""
        # One that was revived meanwhile goes before it, and does not wait for it.
        lane = self._leave(delivery)
        self._behind = self._behind or not lane.whole
        self._drop(delivery.lane)
        self._wake_at(due_at)

    def returned(self, delivery: Delivery) -> None:
        """Keep a delivery at the front although it failed: it is the next probe, whenever that is.

        Each probe with another message would use up the patience with all of them.
        """
        lane = self._leave(delivery)
        lane.queue[0] = delivery
        self._line(lane).appendleft(delivery.lane)

    def reread(self) -> None:
        """Drop all that is not in flight: the journal has changed behind the window's back."""
        for key, lane in list(self._lanes.items()):
            if lane.busy:
                lane.whole = False
                while len(lane.queue) > 1:
                    self._forget(lane.queue.pop())
            else:
                self._drop(key)
        self._ready.clear()
        self._replays.clear()
        self._behind = True
        if self._meanwhile:
            self._meanwhile.stale = True

    def look_again(self) -> None:
        """Note that the journal has more than it had; what is in memory is still right."""
        self._behind = True

    # --- Loading from the journal ---------------------------------------------------------------

    @property
    def load_at(self) -> float | None:
        """The time from which a load brings something; None while none is needed or fits."""
        half_full = self._count > self._max_deliveries // 2 or self._bytes > self._max_bytes // 2
        if self._meanwhile or half_full:
            return None
        return 0.0 if self._behind else self._next_due_at

    def begin_load(self) -> Load:
        """Start to load; `finish_load` or `fail_load` must follow."""
        self._meanwhile = _Meanwhile()
        self._behind = False
        self._next_due_at = None
        return Load(
            skip=frozenset(self._lanes),
            limit=self._max_deliveries - self._count,
            max_bytes=self._max_bytes - self._bytes,
        )

    def finish_load(self, due: Due) -> None:
        """Take in what the journal answered."""
        meanwhile, self._meanwhile = self._meanwhile or _Meanwhile(), None
        if meanwhile.stale:
            self._behind = True
            return
        for key, deliveries in groupby(due.deliveries, key=attrgetter("lane")):
            if key in meanwhile.left:
                self._behind = True
            elif key not in self._lanes:
                whole = key in due.whole and key not in meanwhile.grew
                self._add(key, deliveries, whole=whole)
        self._behind = self._behind or due.more
        if due.next_due_at is not None:
            self._wake_at(due.next_due_at)

    def fail_load(self) -> None:
        """Note that the journal could not be read: what was wanted is still wanted."""
        self._meanwhile = None
        self._behind = True

    # --- The window's books ---------------------------------------------------------------------

    def _journal_goes_first(self, delivery: Delivery) -> bool:
        """Say whether the journal has what is due: under a steady load it would wait for ever."""
        due_at = self._next_due_at
        return self._behind or (due_at is not None and due_at <= delivery.message.received_at)

    def _fits(self, delivery: Delivery) -> bool:
        if self._count == 0:
            return True
        size = self._bytes + len(delivery.message.frame)
        return self._count < self._max_deliveries and size <= self._max_bytes

    def _add(self, key: str, deliveries: Iterable[Delivery], *, whole: bool) -> None:
        lane = self._lanes[key] = _Lane(deque(), whole)
        for delivery in deliveries:
            self._append(lane, delivery)
        self._line(lane).append(key)

    def _line(self, lane: _Lane) -> deque[str]:
        return self._ready if lane.queue[0].replay is None else self._replays

    def _leave(self, delivery: Delivery) -> _Lane:
        """Note that a delivery is not under way any more."""
        lane = self._lanes[delivery.lane]
        lane.busy = False
        self._replaying -= delivery.replay is not None
        return lane

    def _append(self, lane: _Lane, delivery: Delivery) -> None:
        lane.queue.append(delivery)
        self._count += 1
        self._bytes += len(delivery.message.frame)

    def _forget(self, delivery: Delivery) -> None:
        self._count -= 1
        self._bytes -= len(delivery.message.frame)

    def _drop(self, key: str) -> None:
        for delivery in self._lanes.pop(key).queue:
            self._forget(delivery)
        if self._meanwhile:
            self._meanwhile.left.add(key)

    def _wake_at(self, due_at: float) -> None:
        if self._next_due_at is None or due_at < self._next_due_at:
            self._next_due_at = due_at
