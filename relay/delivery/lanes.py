"""One endpoint's due deliveries: a window in memory over the journal, in lanes.

A lane holds deliveries that must go one after the other: the next waits until the one before has
ended. The window is bounded in count and in bytes. Deliveries come into it as they arrive while
there is room, and from the journal when there was none, after a restart, or when a retry falls due;
a lane that waits for its retry leaves the window.

Every unfinished delivery is in memory, or the journal's table of lanes has a row of its lane, or a
row is about to be committed. So the table is written only where memory does not suffice: an arrival
gets a place in memory *before* it is journaled (`reserve`), and needs no row then.

Without I/O: the dispatcher carries a `Load` to the journal, and what happens meanwhile is minded
here.
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
"""The window's bounds. For a moment it may hold twice that: a load, and what arrived meanwhile."""

LANE_DEPTH = 32
"""So many deliveries of one lane are in memory at most: one hot lane must not keep others out."""


@dataclass(slots=True)
class _Lane:
    """`whole`: every unfinished delivery of the lane is in the queue, or comes to a reserved place.

    `sure`: it is known what the journal has of the lane; one that is made for an arrival is not,
    until its commit has told whether something precedes it there.
    """

    queue: deque[Delivery]
    whole: bool
    sure: bool = True
    busy: bool = False
    reserved: int = 0
    reserved_bytes: int = 0


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
    again. A lane that `grew`, up to that id, may have been read before: it is not whole. So may a
    replay's that was `fed`. An answer is `stale` as a whole when an operator changed the journal.
    """

    left: set[str] = field(default_factory=set)
    grew: dict[str, int] = field(default_factory=dict)
    stale: bool = False
    fed: bool = False


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
        self._unwritten = 0  # so often the journal has yet to note which lanes were let go
        self._next_due_at: float | None = None
        self._meanwhile: _Meanwhile | None = None

    def __len__(self) -> int:
        """Count the deliveries in memory, and the places that are kept."""
        return self._count

    @property
    def ready(self) -> bool:
        """Whether a delivery could go now."""
        return bool(self._ready or self._replays)

    def crowded(self, more: int) -> bool:
        """Say whether so many deliveries more would not fit."""
        return self._count + more >= self._max_deliveries or self._bytes >= self._max_bytes

    # --- What arrives ---------------------------------------------------------------------------

    def reserve(self, name: str, size: int, now: float) -> bool:
        """Keep a place for a delivery that is about to be journaled, if it fits.

        Else it is the journal's to remember, until it is loaded in its turn. `offer` or `release`
        follows with the commit.
        """
        lane = self._lanes.get(name)
        fits = self._fits(size) and not self._journal_goes_first(now)
        if lane is not None:
            lane.whole = lane.whole and fits and len(lane.queue) + lane.reserved < LANE_DEPTH
            if not lane.whole:
                return False
        elif fits:
            lane = self._lanes[name] = _Lane(deque(), whole=True, sure=False)
        else:
            return False
        lane.reserved += 1
        lane.reserved_bytes += size
        self._count += 1
        self._bytes += size
        return True

    def offer(self, delivery: Delivery, *, reserved: bool, leads: bool) -> None:
        """Take a delivery that is in the journal now to its place, if one was `reserved` for it.

        `leads`: the journal has nothing else to load of its lane.
        """
        lane = self._lanes.get(delivery.lane)
        if not reserved:
            self._left_to_journal(delivery, lane)
        elif lane is None or not lane.reserved:
            return  # the lane was let go meanwhile, and its places with it
        elif lane.sure or leads:
            lane.sure = True
            self._free_place(lane, len(delivery.message.frame))
            self._append(lane, delivery)
            if len(lane.queue) == 1 and not lane.busy:
                self._line(lane).append(delivery.lane)
        else:
            # Where no lane is known to wait, what the journal has of this one is due.
            self._behind = self._behind or not lane.whole or self._next_due_at is None
            self._drop(delivery.lane)

    def release(self, name: str, size: int) -> None:
        """Give back a place: the delivery that it was reserved for is not in the journal."""
        lane = self._lanes.get(name)
        if lane is None or not lane.reserved:
            return
        self._free_place(lane, size)
        if not (lane.queue or lane.reserved):
            self._behind = self._behind or not lane.whole
            self._drop(name)

    # --- What goes ------------------------------------------------------------------------------

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

    def waits_behind(self, delivery: Delivery) -> bool:
        """Say whether others of its lane wait for a delivery that is under way to end."""
        lane = self._lanes[delivery.lane]
        return len(lane.queue) > 1 or not lane.whole

    def ended(self, delivery: Delivery) -> bool:
        """Let the lane go on.

        Answers whether the journal may remember something to load of a lane that has ended here:
        it forgets that, unless it really has something.
        """
        lane = self._leave(delivery)
        self._forget(lane.queue.popleft())
        if lane.queue:
            self._line(lane).append(delivery.lane)
        elif not lane.reserved:
            self._drop(delivery.lane)
            self._behind = self._behind or not lane.whole
            return not lane.whole
        return False

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
        lane.whole = False  # its failure has made the journal remember it as well
        self._line(lane).appendleft(delivery.lane)

    # --- What an operator changed ---------------------------------------------------------------

    def reread(self) -> None:
        """Drop all that is not in flight: the journal has changed behind the window's back.

        Nothing is loaded until the journal has noted that (`noted`).
        """
        for key, lane in list(self._lanes.items()):
            if lane.busy:
                lane.whole = False
                self._free_places(lane)
                while len(lane.queue) > 1:
                    self._forget(lane.queue.pop())
            else:
                self._drop(key)
        self._ready.clear()
        self._replays.clear()
        self._behind = True
        self._unwritten += 1
        if self._meanwhile:
            self._meanwhile.stale = True

    def noted(self) -> None:
        """Note that the journal knows which lanes were let go."""
        self._unwritten -= 1

    def look_again(self) -> None:
        """Note that the journal has more that is due; what is in memory is still right."""
        self._behind = True

    def replay_fed(self) -> None:
        """Note that the journal has more of a replay, in lanes that may be in memory."""
        self._behind = True
        for lane in self._lanes.values():
            if lane.queue and lane.queue[0].replay is not None:
                lane.whole = False
        if self._meanwhile:
            self._meanwhile.fed = True

    # --- Loading from the journal ---------------------------------------------------------------

    @property
    def load_at(self) -> float | None:
        """The time from which a load brings something; None while none is needed or fits."""
        half_full = self._count > self._max_deliveries // 2 or self._bytes > self._max_bytes // 2
        if self._meanwhile or half_full or self._unwritten:
            return None
        return 0.0 if self._behind else self._next_due_at

    def begin_load(self) -> Load:
        """Start to load; `finish_load` or `fail_load` must follow."""
        self._meanwhile = _Meanwhile()
        self._behind = False
        self._next_due_at = None
        return Load(
            skip=frozenset(key for key, lane in self._lanes.items() if lane.sure),
            limit=self._max_deliveries - self._count,
            max_bytes=self._max_bytes - self._bytes,
        )

    def finish_load(self, due: Due) -> list[tuple[str, int]]:
        """Take in what the journal answered.

        Answers with the lanes that are here whole now, each with its last delivery's id: the
        journal need not remember that they have something to load.
        """
        meanwhile, self._meanwhile = self._meanwhile or _Meanwhile(), None
        whole: list[tuple[str, int]] = []
        if meanwhile.stale:
            self._behind = True
            return whole
        for key, deliveries in groupby(due.deliveries, key=attrgetter("lane")):
            lane = self._lanes.get(key)
            if key in meanwhile.left:
                self._behind = True
            elif lane is not None:
                # One that is not sure gives way once its commit tells what precedes it.
                lane.whole = lane.whole and lane.sure
            else:
                lane = self._add(key, deliveries)
                last = lane.queue[-1].id
                lane.whole = key in due.whole and meanwhile.grew.get(key, 0) <= last
                if meanwhile.fed and lane.queue[0].replay is not None:
                    lane.whole = False
                if lane.whole:
                    whole.append((key, last))
        # What is whole and has nothing has ended meanwhile: there is nothing to remember of it.
        whole += [(key, 0) for key in due.whole - self._lanes.keys() - meanwhile.left]
        self._behind = self._behind or due.more
        if due.next_due_at is not None:
            self._wake_at(due.next_due_at)
        return whole

    def forgotten(self, key: str, upto: int) -> None:
        """Note that the journal has forgotten a lane, unless it has deliveries above `upto`."""
        lane = self._lanes.get(key)
        if lane is not None and lane.queue and 0 < upto < lane.queue[-1].id:
            lane.whole = False

    def fail_load(self) -> None:
        """Note that the journal could not be read: what was wanted is still wanted."""
        self._meanwhile = None
        self._behind = True

    # --- The window's books ---------------------------------------------------------------------

    def _journal_goes_first(self, now: float) -> bool:
        """Say whether the journal has what is due: under a steady load it would wait for ever."""
        return self._behind or (self._next_due_at is not None and self._next_due_at <= now)

    def _fits(self, size: int) -> bool:
        if self._count == 0:
            return True
        return self._count < self._max_deliveries and self._bytes + size <= self._max_bytes

    def _left_to_journal(self, delivery: Delivery, lane: _Lane | None) -> None:
        """Mind that the journal has a delivery that is not here."""
        if lane is None:
            self._behind = True
        elif lane.queue and delivery.id <= lane.queue[-1].id:
            return  # a load saw it in the journal before we were told
        else:
            lane.whole = False
        if self._meanwhile:
            self._meanwhile.grew[delivery.lane] = delivery.id

    def _add(self, key: str, deliveries: Iterable[Delivery]) -> _Lane:
        lane = self._lanes[key] = _Lane(deque(), whole=False)
        for delivery in deliveries:
            self._append(lane, delivery)
        self._line(lane).append(key)
        return lane

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

    def _free_place(self, lane: _Lane, size: int) -> None:
        lane.reserved -= 1
        lane.reserved_bytes -= size
        self._count -= 1
        self._bytes -= size

    def _free_places(self, lane: _Lane) -> None:
        self._count -= lane.reserved
        self._bytes -= lane.reserved_bytes
        lane.reserved = lane.reserved_bytes = 0

    def _drop(self, key: str) -> None:
        lane = self._lanes.pop(key)
        self._free_places(lane)
        for delivery in lane.queue:
            self._forget(delivery)
        if self._meanwhile:
            self._meanwhile.left.add(key)

    def _wake_at(self, due_at: float) -> None:
        if self._next_due_at is None or due_at < self._next_due_at:
            self._next_due_at = due_at
