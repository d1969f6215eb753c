"""Lanes against a model of the journal: never two of a lane, none stranded, none twice."""

from dataclasses import dataclass, field

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from relay.delivery.lanes import LANE_DEPTH, Lanes, Load
from relay.model.journal import Due
from relay.model.messages import Delivery
from tests.core.samples import delivery
from tests.journal.model.window import fit

NOW = 1000.0
PHASES = [phase for phase in settings().phases if phase is not Phase.explain]
"""Explaining a failure traces every line, which takes minutes."""


class JournalModel:
    """What a journal holds for one endpoint: unfinished deliveries, and rows of lanes to load."""

    def __init__(self) -> None:
        self.lanes: dict[str, list[Delivery]] = {}
        self.rows: dict[str, float] = {}
        self._last = self._first = 1000

    def record(self, lane: str, size: int, now: float, *, in_window: bool) -> tuple[Delivery, bool]:
        """Add a new delivery at the end of its lane; answers whether it has no row to wait for."""
        self._last += 1
        new = delivery(self._last, lane, size=size)
        leads = lane not in self.rows
        self.lanes.setdefault(lane, []).append(new)
        if not in_window:
            self.rows.setdefault(lane, now)
        return new, leads

    def requeue(self, lane: str, now: float) -> Delivery:
        """Bring one back that died long ago: it goes before all others of its lane."""
        self._first -= 1
        revived = delivery(self._first, lane)
        self.lanes.setdefault(lane, []).insert(0, revived)
        self.rows[lane] = now
        return revived

    def end(self, ended: Delivery) -> None:
        """Take one out of its lane."""
        queue = self.lanes[ended.lane]
        queue.remove(ended)
        if not queue:
            del self.lanes[ended.lane]

    def postpone(self, postponed: Delivery, due_at: float) -> None:
        """Let a lane wait, unless one that was revived goes before."""
        if self.lanes[postponed.lane][0] == postponed or postponed.lane not in self.rows:
            self.rows[postponed.lane] = due_at

    def forget(self, lane: str, upto: int) -> None:
        """Forget that a lane has something to load, unless it has more than that."""
        if all(each.id <= upto for each in self.lanes.get(lane, ())):
            self.rows.pop(lane, None)

    def dropped(self, now: float) -> None:
        """Remember every lane with unfinished deliveries."""
        for lane in self.lanes:
            self.rows.setdefault(lane, now)

    def read(self, load: Load, now: float) -> Due:
        """Answer a load."""
        names = sorted(
            (name for name, at in self.rows.items() if at <= now and name not in load.skip),
            key=lambda name: self.rows[name],
        )
        rows = [
            (name, each, len(each.message.frame))
            for name in names
            for each in self.lanes.get(name, [])[: LANE_DEPTH + 1]
        ]
        window = fit(rows[: load.limit + 1], load.limit, load.max_bytes)
        later = min((at for at in self.rows.values() if at > now), default=None)
        more = len(window.lanes) < len(names)
        return Due(tuple(window.taken), frozenset(window.whole), more, later)


NAMES = st.sampled_from("abcd")
WAITS = st.sampled_from([None, 0.0, 5.0, 50.0])


@dataclass
class Written:
    """One transaction as it is put, and what is heard of it once it is committed."""

    whole: list[tuple[str, int]] = field(default_factory=list)
    dropped: int = 0
    ends: list[tuple[Delivery, float | None]] = field(default_factory=list)
    probes: set[int] = field(default_factory=set)
    arrivals: list[tuple[str, int, bool]] = field(default_factory=list)
    answers: list[tuple[Delivery, bool] | None] = field(default_factory=list)
    committed: bool = False


class LanesMachine(RuleBasedStateMachine):
    """Lanes over a journal that commits first, and of which one hears later.

    As the writer does it: entries wait, one group is prepared, committed, and heard of, and then
    the next; a load reads at any time, and is heard of at any time after it.
    """

    @initialize(
        count=st.sampled_from([1, 3, 6, 50]),
        size=st.sampled_from([4, 10, 20, 500]),
        operators=st.booleans(),
    )
    def begin(self, count: int, size: int, *, operators: bool) -> None:
        self.now = NOW
        self.operators = operators
        self.max_deliveries, self.max_bytes = count, size
        self.lanes = Lanes(max_deliveries=count, max_bytes=size)
        self.journal = JournalModel()
        self.in_flight: dict[str, Delivery] = {}
        self.next = Written()
        self.under_way: Written | None = None
        self.answer: Due | None = None
        self.unnoticed: set[int] = set()
        self.ended: set[int] = set()

    # --- What is put, and committed -------------------------------------------------------------

    @rule(arrivals=st.lists(st.tuples(NAMES, st.integers(1, 8)), min_size=1, max_size=4))
    def arrive(self, arrivals: list[tuple[str, int]]) -> None:
        self.next.arrivals += [(lane, size, False) for lane, size in arrivals]

    @precondition(lambda self: self.attempted())
    @rule(waits=st.lists(WAITS, min_size=1, max_size=3))
    def conclude(self, waits: list[float | None]) -> None:
        for ended, wait in zip(self.attempted(), waits, strict=False):
            self.put_end(ended, wait)

    @precondition(lambda self: self.attempted() and not self.operators)
    @rule(wait=st.sampled_from([0.0, 5.0, 50.0]))
    def fail_a_probe(self, wait: float) -> None:
        """Postpone one, and keep it at the front all the same: it is the next probe too.

        One that is revived meanwhile may come behind it.
        """
        probe = self.attempted()[0]
        self.put_end(probe, wait)
        self.next.probes.add(probe.id)

    @precondition(lambda self: self.under_way is None)
    @rule()
    def prepare(self) -> None:
        """Make the group up: places are kept for what arrives."""
        group, self.next = self.next, Written()
        group.arrivals = [
            (lane, size, self.lanes.reserve(lane, size, self.now))
            for lane, size, _ in group.arrivals
        ]
        self.under_way = group

    @precondition(lambda self: self.under_way is not None and not self.under_way.committed)
    @rule(known=st.sets(st.integers(0, 3)))
    def commit(self, known: set[int]) -> None:
        """Write the group, in the order of a batch; the journal may know some of the messages."""
        group = self.under_way
        assert group is not None
        for whole in group.whole:
            self.journal.forget(*whole)
        if group.dropped:
            self.journal.dropped(self.now)
        for place, (lane, size, reserved) in enumerate(group.arrivals):
            again = place in known
            group.answers.append(
                None if again else self.journal.record(lane, size, self.now, in_window=reserved)
            )
        for ended, due_at in group.ends:
            if due_at is None:
                self.ended.add(ended.id)
                self.journal.end(ended)
            else:
                self.journal.postpone(ended, due_at)
        group.committed = True

    @precondition(lambda self: self.under_way is not None and self.under_way.committed)
    @rule(arrivals_first=st.booleans())
    def hear(self, *, arrivals_first: bool) -> None:
        group, self.under_way = self.under_way, None
        assert group is not None
        if arrivals_first:
            self.hear_arrivals(group)
        for _ in range(group.dropped):
            self.lanes.noted()
        for whole in group.whole:
            self.lanes.forgotten(*whole)
        for ended, due_at in group.ends:
            del self.in_flight[ended.lane]
            if ended.id in group.probes:
                self.lanes.returned(ended)
            elif due_at is not None:
                self.lanes.postponed(ended, due_at)
            elif self.lanes.ended(ended):
                self.next.whole.append((ended.lane, 0))
        if not arrivals_first:
            self.hear_arrivals(group)

    def hear_arrivals(self, group: Written) -> None:
        for (lane, size, reserved), answer in zip(group.arrivals, group.answers, strict=True):
            if answer is not None:
                new, leads = answer
                self.lanes.offer(new, reserved=reserved, leads=leads)
            elif reserved:
                self.lanes.release(lane, size)

    @rule()
    def write(self) -> None:
        """Commit everything that waits, and hear of it."""
        while self.something_to_write():
            if self.under_way is None:
                self.prepare()
            elif not self.under_way.committed:
                self.commit(set())
            else:
                self.hear(arrivals_first=False)

    # --- Operators ------------------------------------------------------------------------------

    @precondition(lambda self: self.operators)
    @rule(lane=NAMES)
    def requeue(self, lane: str) -> None:
        self.unnoticed.add(self.journal.requeue(lane, self.now).id)

    @precondition(lambda self: self.unnoticed)
    @rule()
    def notice(self) -> None:
        self.unnoticed = set()
        self.lanes.reread()
        self.next.dropped += 1

    # --- Loads ----------------------------------------------------------------------------------

    @precondition(lambda self: self.wants_to_load())
    @rule()
    def load(self) -> None:
        self.answer = self.journal.read(self.lanes.begin_load(), self.now)

    @precondition(lambda self: self.answer)
    @rule(fails=st.booleans())
    def hear_answer(self, *, fails: bool) -> None:
        answer, self.answer = self.answer, None
        if fails or answer is None:
            self.lanes.fail_load()
        else:
            self.next.whole += self.lanes.finish_load(answer)

    @rule()
    def catch_up(self) -> None:
        """Hear of everything, until nothing more is wanted of the journal."""
        while self.something_to_write() or self.answer or self.wants_to_load():
            self.write()
            if self.answer:
                self.hear_answer(fails=False)
            elif self.wants_to_load():
                self.load()

    # --- The dispatcher, and time ---------------------------------------------------------------

    @precondition(lambda self: self.lanes.ready)
    @rule(count=st.integers(1, 4), oldest=st.booleans())
    def take_some(self, count: int, *, oldest: bool) -> None:
        for _ in range(count):
            if self.lanes.ready:
                self.take(oldest=oldest)

    def take(self, *, oldest: bool) -> None:
        got = self.lanes.take(oldest=oldest)
        assert got is not None
        assert got.lane not in self.in_flight, "two of a lane in flight"
        assert got.id not in self.ended, "taken twice"
        earlier = [each for each in self.journal.lanes[got.lane] if each.id < got.id]
        assert all(each.id in self.unnoticed for each in earlier), "out of order"
        self.in_flight[got.lane] = got

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    # --- What is seldom, and dangerous ----------------------------------------------------------

    @precondition(lambda self: self.wants_to_load())
    @rule(lane=NAMES)
    def load_is_quicker_than_the_news(self, lane: str) -> None:
        self.write()
        self.arrive([(lane, 1)])
        self.prepare()
        self.commit(set())
        if self.wants_to_load():
            self.load()
            self.hear_answer(fails=False)

    @precondition(lambda self: self.wants_to_load())
    @rule(lane=NAMES)
    def one_comes_and_goes_during_a_load(self, lane: str) -> None:
        self.write()
        self.arrive([(lane, 1)])
        if self.wants_to_load():
            self.load()
        self.write()
        self.take_some(4, oldest=False)
        self.conclude([None] * 4)
        self.write()

    @precondition(lambda self: self.attempted())
    @rule(size=st.integers(1, 8), wait=WAITS)
    def news_come_with_an_outcome(self, size: int, wait: float | None) -> None:
        self.write()
        if attempted := self.attempted():
            self.put_end(attempted[0], wait)
            self.arrive([(attempted[0].lane, size)])
            self.write()

    @precondition(lambda self: self.wants_to_load())
    @rule(lane=NAMES)
    def a_place_is_kept_while_a_load_is_under_way(self, lane: str) -> None:
        self.write()
        self.arrive([(lane, 1)])
        self.prepare()
        if self.wants_to_load():
            self.load()
            self.hear_answer(fails=False)
        self.write()

    # --- The promises ---------------------------------------------------------------------------

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.lanes) <= 2 * self.max_deliveries

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Each is in memory, or its lane has a row, or a row is about to be committed."""
        if self.unnoticed or self.next.dropped or (self.under_way and self.under_way.dropped):
            return
        known = {each.id for lane in self.lanes._lanes.values() for each in lane.queue}
        unheard = self.under_way.answers if self.under_way else []
        known |= {answer[0].id for answer in unheard if answer}
        for lane, queue in self.journal.lanes.items():
            missing = [each for each in queue if each.id not in known]
            assert not missing or lane in self.journal.rows, "forgotten"

    @precondition(lambda self: self.nothing_is_under_way())
    @invariant()
    def what_is_due_is_here_or_asked_for(self) -> None:
        outside = [at for lane, at in self.journal.rows.items() if lane not in self.lanes._lanes]
        half_full = (
            len(self.lanes) > self.max_deliveries // 2 or self.lanes._bytes > self.max_bytes // 2
        )
        if outside and not half_full:
            assert self.lanes.load_at is not None, "stranded"
            assert self.lanes.load_at <= max(self.now, min(outside)), "late"

    @precondition(lambda self: self.nothing_is_under_way())
    @invariant()
    def what_is_here_whole_has_no_row(self) -> None:
        """Have nothing to load of what fits into memory: the journal is not read for it."""
        for name, lane in self.lanes._lanes.items():
            assert not (lane.whole and name in self.journal.rows), "loaded in vain"

    def teardown(self) -> None:
        self.now += 1000.0
        while self.goes_on():
            pass
        assert {} == self.journal.lanes, "stranded"
        assert {} == self.journal.rows, "a row without anything to load"
        assert 0 == len(self.lanes)
        assert (0, {}) == (self.lanes._bytes, self.lanes._lanes)

    # --- Steps ----------------------------------------------------------------------------------

    def attempted(self) -> list[Delivery]:
        """Name what is in flight and has not been concluded."""
        groups = [self.next, self.under_way] if self.under_way else [self.next]
        concluded = {ended.id for group in groups for ended, _ in group.ends}
        return [each for each in self.in_flight.values() if each.id not in concluded]

    def put_end(self, ended: Delivery, wait: float | None) -> None:
        self.next.ends.append((ended, None if wait is None else self.now + wait))

    def something_to_write(self) -> bool:
        return self.next != Written() or self.under_way is not None

    def nothing_is_under_way(self) -> bool:
        return not (self.something_to_write() or self.answer or self.unnoticed)

    def wants_to_load(self) -> bool:
        load_at = self.lanes.load_at
        return self.answer is None and load_at is not None and load_at <= self.now

    def goes_on(self) -> bool:
        """Do the next thing that is left to do; answers whether there was one."""
        if self.unnoticed:
            self.notice()
        elif self.something_to_write():
            self.write()
        elif self.answer:
            self.hear_answer(fails=False)
        elif self.wants_to_load():
            self.load()
        elif self.lanes.ready:
            self.take(oldest=False)
        elif self.attempted():
            self.put_end(self.attempted()[0], None)
        elif self.lanes.load_at is not None:
            self.now = self.lanes.load_at
        else:
            return False
        return True


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None, derandomize=True, phases=PHASES
)
