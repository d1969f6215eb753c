"""Lanes against a model of the journal: never two of a lane, none stranded, none twice."""

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
from relay.journal.window import fit
from relay.model.journal import Due
from relay.model.messages import Delivery
from tests.core.samples import delivery

NOW = 1000.0
PHASES = [phase for phase in settings().phases if phase is not Phase.explain]
"""Explaining a failure traces every line, which takes minutes."""


class JournalModel:
    """What a journal holds for one endpoint, in lists."""

    def __init__(self) -> None:
        self.lanes: dict[str, list[Delivery]] = {}
        self.due_at: dict[str, float] = {}
        self._last = self._first = 1000

    def record(self, lane: str, size: int, now: float) -> tuple[Delivery, bool]:
        """Add a new delivery at the end of its lane; answers whether it leads it."""
        self._last += 1
        new = delivery(self._last, lane, size=size)
        leads = lane not in self.lanes
        self.lanes.setdefault(lane, []).append(new)
        self.due_at.setdefault(lane, now)
        return new, leads

    def requeue(self, lane: str, now: float) -> Delivery:
        """Bring one back that died long ago: it goes before all others of its lane."""
        self._first -= 1
        revived = delivery(self._first, lane)
        self.lanes.setdefault(lane, []).insert(0, revived)
        self.due_at[lane] = now
        return revived

    def end(self, ended: Delivery, now: float) -> bool:
        """Take one out of its lane; answers whether others wait there."""
        queue = self.lanes[ended.lane]
        queue.remove(ended)
        self.due_at[ended.lane] = now
        if not queue:
            del self.lanes[ended.lane], self.due_at[ended.lane]
        return bool(queue)

    def postpone(self, postponed: Delivery, due_at: float) -> None:
        """Let a lane wait, unless one that was revived goes before."""
        if self.lanes[postponed.lane][0] == postponed:
            self.due_at[postponed.lane] = due_at

    def read(self, load: Load, now: float) -> Due:
        """Answer a load."""
        names = sorted(
            (name for name, at in self.due_at.items() if at <= now and name not in load.skip),
            key=lambda name: self.due_at[name],
        )
        rows = [
            (name, each, len(each.message.frame))
            for name in names
            for each in self.lanes[name][: LANE_DEPTH + 1]
        ]
        window = fit(rows[: load.limit + 1], load.limit, load.max_bytes)
        later = min((at for at in self.due_at.values() if at > now), default=None)
        more = len(window.lanes) < len(names)
        return Due(tuple(window.taken), frozenset(window.whole), more, later)


NAMES = st.sampled_from("abcd")
WAITS = st.sampled_from([None, 0.0, 5.0, 50.0])


class LanesMachine(RuleBasedStateMachine):
    """Lanes over a journal that commits first, and of which one hears later.

    An arrival is heard of before anything else is committed, an outcome or an answer whenever it
    likes: that is what the journal's lock and the ways behind it allow.
    """

    @initialize(
        count=st.sampled_from([1, 3, 6, 50]),
        size=st.sampled_from([4, 10, 20, 500]),
        operators=st.booleans(),
    )
    def begin(self, count: int, size: int, *, operators: bool) -> None:
        self.now = NOW
        self.operators = operators
        self.max_deliveries, self.half = count, size // 2
        self.lanes = Lanes(max_deliveries=count, max_bytes=size)
        self.journal = JournalModel()
        self.in_flight: dict[str, Delivery] = {}
        self.concluded: list[tuple[Delivery, bool | float]] = []
        self.arrived: list[tuple[Delivery, bool]] = []
        self.answer: Due | None = None
        self.unnoticed: list[Delivery] = []
        self.ended: set[int] = set()

    # --- What is committed ----------------------------------------------------------------------

    @rule(
        arrivals=st.lists(st.tuples(NAMES, st.integers(1, 8)), min_size=1, max_size=4),
        hear=st.booleans(),
    )
    def record(self, arrivals: list[tuple[str, int]], *, hear: bool) -> None:
        self.hear_arrivals()
        self.arrived = [self.journal.record(lane, size, self.now) for lane, size in arrivals]
        if hear:
            self.hear_arrivals()

    @precondition(lambda self: self.attempted())
    @rule(waits=st.lists(WAITS, min_size=1, max_size=3), hear=st.booleans())
    def conclude(self, waits: list[float | None], *, hear: bool) -> None:
        for ended, wait in zip(self.attempted(), waits, strict=False):
            self.end(ended, wait)
        while hear and self.concluded:
            self.hear_outcome()

    @precondition(lambda self: self.operators)
    @rule(lane=NAMES)
    def requeue(self, lane: str) -> None:
        self.unnoticed.append(self.journal.requeue(lane, self.now))

    # --- What is heard of -----------------------------------------------------------------------

    @rule()
    def hear_arrivals(self) -> None:
        for new, leads in self.arrived:
            self.lanes.offer(new, leads=leads)
        self.arrived = []

    @precondition(lambda self: self.concluded)
    @rule()
    def hear_outcome(self) -> None:
        ended, what = self.concluded.pop(0)
        del self.in_flight[ended.lane]
        if isinstance(what, bool):
            self.lanes.ended(ended, continues=what)
        else:
            self.lanes.postponed(ended, what)

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
            self.lanes.finish_load(answer)

    @precondition(lambda self: self.unnoticed)
    @rule()
    def notice(self) -> None:
        self.hear_arrivals()  # an operator's action is looked for once in a second only
        self.unnoticed = []
        self.lanes.reread()

    @rule()
    def catch_up(self) -> None:
        """Hear of everything, until nothing more is wanted of the journal."""
        while self.answer or self.concluded or self.wants_to_load():
            self.hear_arrivals()
            if self.answer:
                self.hear_answer(fails=False)
            elif self.concluded:
                self.hear_outcome()
            else:
                self.load()
        self.hear_arrivals()

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
        assert all(each in self.unnoticed for each in earlier), "out of order"
        self.in_flight[got.lane] = got

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    # --- What is seldom, and dangerous ----------------------------------------------------------

    @precondition(lambda self: self.wants_to_load())
    @rule(lane=NAMES)
    def load_is_quicker_than_the_news(self, lane: str) -> None:
        self.record([(lane, 1)], hear=False)
        self.load()
        self.hear_answer(fails=False)

    @precondition(lambda self: self.attempted())
    @rule(size=st.integers(1, 8))
    def news_is_quicker_than_an_outcome(self, size: int) -> None:
        ended = self.attempted()[0]
        self.end(ended, None)
        self.record([(ended.lane, size)], hear=True)

    @precondition(lambda self: self.attempted())
    @rule(size=st.integers(1, 8))
    def outcome_is_committed_behind_the_news(self, size: int) -> None:
        ended = self.attempted()[0]
        self.record([(ended.lane, size)], hear=True)
        self.end(ended, None)

    @precondition(lambda self: self.wants_to_load())
    @rule(lane=NAMES)
    def one_comes_and_goes_during_a_load(self, lane: str) -> None:
        self.record([(lane, 1)], hear=False)
        self.load()
        self.hear_arrivals()
        self.take_some(4, oldest=False)
        self.conclude([None] * 4, hear=True)

    @precondition(lambda self: self.answer and self.answer.whole)
    @rule()
    def a_lane_grows_around_an_answer(self) -> None:
        lane = min(self.answer.whole if self.answer else ())
        self.record([(lane, 1)], hear=True)
        self.hear_answer(fails=False)
        self.record([(lane, 1)], hear=True)

    # --- The promises ---------------------------------------------------------------------------

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.lanes) <= 2 * self.max_deliveries

    @precondition(lambda self: self.nothing_is_under_way())
    @invariant()
    def what_is_due_is_here_or_asked_for(self) -> None:
        outside = [at for lane, at in self.journal.due_at.items() if lane not in self.lanes._lanes]
        if (
            outside
            and len(self.lanes) <= self.max_deliveries // 2
            and self.lanes._bytes <= self.half
        ):
            assert self.lanes.load_at is not None, "stranded"
            assert self.lanes.load_at <= max(self.now, min(outside)), "late"

    def teardown(self) -> None:
        self.now += 1000.0
        while self.goes_on():
            pass
        assert {} == self.journal.lanes, "stranded"
        assert 0 == len(self.lanes)

    # --- Steps ----------------------------------------------------------------------------------

    def attempted(self) -> list[Delivery]:
        """Name what is in flight and has not been concluded."""
        concluded = [ended for ended, _ in self.concluded]
        return [each for each in self.in_flight.values() if each not in concluded]

    def end(self, ended: Delivery, wait: float | None) -> None:
        self.hear_arrivals()
        if wait is None:
            self.ended.add(ended.id)
            self.concluded.append((ended, self.journal.end(ended, self.now)))
        else:
            self.journal.postpone(ended, self.now + wait)
            self.concluded.append((ended, self.now + wait))

    def nothing_is_under_way(self) -> bool:
        return not (self.arrived or self.concluded or self.answer or self.unnoticed)

    def wants_to_load(self) -> bool:
        load_at = self.lanes.load_at
        return self.answer is None and load_at is not None and load_at <= self.now

    def goes_on(self) -> bool:
        """Do the next thing that is left to do; answers whether there was one."""
        self.hear_arrivals()
        if self.unnoticed:
            self.notice()
        elif self.concluded:
            self.hear_outcome()
        elif self.answer:
            self.hear_answer(fails=False)
        elif self.wants_to_load():
            self.load()
        elif self.lanes.ready:
            self.take(oldest=False)
        elif self.attempted():
            self.end(self.attempted()[0], None)
        else:
            return False
        return True


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None, derandomize=True, phases=PHASES
)
