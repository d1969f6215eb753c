"""Both journals answer alike, whatever is asked of them in whatever order, and keep the promise."""

import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec import structs

from relay.journal.encryption.keys import Keyring
from relay.journal.open import OpenJournal, open_journal
from relay.journal.statements import Connection
from relay.model.admin import DeadLetterQuery, MessageQuery
from relay.model.journal import (
    Arrival,
    Batch,
    Due,
    Duplicate,
    EndpointNote,
    Fresh,
    OwedReceipt,
    Recorded,
    UnreadableFrame,
    WholeLane,
)
from relay.model.messages import BreakerState, Deferred, Delivery, EndpointKey, Postponed
from relay.model.replays import ReplayOrder, Survey
from tests.journal.answers import without_numbers
from tests.journal.chances import (
    BOTS,
    ENDPOINTS,
    LANES,
    End,
    draw_arrival,
    draw_end,
    draw_query,
)
from tests.journal.inline import at_once, open_inline
from tests.journal.model.admin_store import MemoryAdminStore
from tests.journal.model.journal import MemoryJournal
from tests.journal.promise import Promise
from tests.journal.raw import miscounted
from tests.journal.samples import (
    KEYS,
    LATER,
    NOW,
    defer,
    delivered,
    keep_unreadable,
    note_endpoint,
    record,
    settle,
    settle_receipts,
    uuid,
)

T = TypeVar("T")
Pair = tuple[Delivery, Delivery]


class Engines(RuleBasedStateMachine):
    """Does everything twice, once with each engine."""

    directory: ClassVar[Path]
    keys: ClassVar[Keyring | None]

    def __init__(self) -> None:
        super().__init__()
        path = self.directory / "journal.db"
        shutil.copy(self.directory / "empty.db", path)
        self._database, self._sql = open_inline(path, self.keys)
        memory = MemoryJournal()
        self._memory = OpenJournal(memory, MemoryAdminStore(memory))
        self._now = NOW
        self._seen = 0
        self._dice = Random(1)
        self._configured: set[EndpointKey] = set()
        self._known: set[EndpointKey] = set()
        self._promises: dict[tuple[str, str], Promise] = {}
        self._held: dict[tuple[EndpointKey, str], dict[int, Pair]] = {}
        self._weights: dict[Callable[[Random], None], int] = {
            self.record: 8,
            self.end: 6,
            self.deliver: 4,
            self.settle_receipts: 4,
            self.read_window: 2,
            self.load: 4,
            self.drop: 1,
            self.restart: 2,
            self.reload: 2,
            self.prune: 2,
            self.note_endpoint: 1,
            self.retry: 3,
            self.discard: 3,
            self.pause_or_resume: 1,
            self.keep_unreadable: 1,
            self.replay: 4,
            self.look: 1,
        }
        self._start(set(ENDPOINTS))

    def teardown(self) -> None:
        """Compare everything there is to tell, then close."""
        try:
            self._compare_all()
        finally:
            self._database.dispose()

    # --- Asking both ----------------------------------------------------------------------------

    def _both(self, ask: Callable[[OpenJournal, int], Coroutine[Any, Any, T]]) -> tuple[T, T]:
        """Ask both engines, and compare their answers."""
        ours = at_once(ask(self._memory, 0)), at_once(ask(self._sql, 1))
        assert without_numbers(ours[0]) == without_numbers(ours[1])
        return ours

    def _due(self, key: EndpointKey, now: float = LATER * 2, **bounds: Any) -> tuple[Due, Due]:
        ask: dict[str, Any] = {"skip": (), "limit": 1000, "max_bytes": 10**6} | bounds
        return self._both(lambda each, _: each.journal.due(key, now, **ask))

    def _owed(self, bot: str, limit: int) -> tuple[Sequence[OwedReceipt], Sequence[OwedReceipt]]:
        return self._both(lambda each, _: each.journal.owed_receipts(bot, after=0, limit=limit))

    def _show(self, number: int) -> None:
        self._both(lambda each, _: each.admin.history(uuid(number)))

    def _in_flight(self, dice: Random) -> list[Pair]:
        """Choose deliveries that may be under way, one of a lane.

        Mostly that is the first one, but an operator may have revived one before it.
        """
        in_lanes = {lane: [*held.values()] for lane, held in self._held.items() if held}
        for key in sorted(self._known):
            memory, sql = self._due(key)
            for pair in zip(memory.deliveries, sql.deliveries, strict=True):
                if pair[1].id not in self._held.get((key, pair[0].lane), {}):
                    in_lanes.setdefault((key, pair[0].lane), []).append(pair)
        pairs = [dice.choice([each[0], *each]) for each in in_lanes.values()]
        dice.shuffle(pairs)
        return pairs[: dice.randint(len(pairs) // 2, len(pairs))]

    @rule(seed=st.integers(0, 2**16))
    def step(self, seed: int) -> None:
        """Do one thing, by chance: Hypothesis prefers few and equal seeds, hence the chain."""
        dice = self._dice
        dice.seed(dice.getrandbits(64) + seed)
        (act,) = dice.choices(list(self._weights), list(self._weights.values()))
        note(act.__name__)
        act(dice)

    # --- A relay's doing ------------------------------------------------------------------------

    def _start(self, configured: set[EndpointKey]) -> None:
        self._configured = configured
        self._known |= configured
        self._both(lambda each, _: each.journal.start(sorted(configured), self._now))

    def restart(self, dice: Random) -> None:
        """Stop, cutting attempts short, or crash, and start with other settings."""
        if dice.random() < 0.5:
            pairs = self._in_flight(dice)
            cut = [[Deferred(pair[engine]) for pair in pairs] for engine in (0, 1)]
            self._both(lambda each, engine: defer(each.journal, cut[engine]))
            self._both(lambda each, _: each.journal.stop())
        self._held.clear()
        self._start({key for key in ENDPOINTS if dice.random() < 0.7})

    def reload(self, dice: Random) -> None:
        """Add endpoints and remove others, which may be owed something, that may be given up."""
        self._now += dice.randrange(20)
        wanted = {key for key in ENDPOINTS if dice.random() < 0.7}
        removed = sorted(self._configured - wanted)
        added = sorted(wanted - self._configured)
        if dice.random() < 0.5:
            self._both(lambda each, _: each.journal.discard_owed(removed, self._now, limit=1000))
            self._let_go(*removed)
        owed, _ = self._both(
            lambda each, _: each.journal.reconfigure(added=added, removed=removed, now=self._now)
        )
        if not owed:
            self._configured = wanted
            self._known |= wanted

    def record(self, dice: Random) -> None:
        """Receive messages, new ones and known ones, from a clock that is set back at times."""
        self._now += dice.randrange(20)
        group = []
        for _ in range(dice.randint(0, 8)):
            again = dice.random() < 0.3
            self._seen += not again
            number = dice.randint(1, self._seen) if again and self._seen else self._seen
            arrival = draw_arrival(dice, number, self._configured)
            came = structs.replace(arrival.message, received_at=self._now - dice.randrange(20))
            group.append(structs.replace(arrival, message=came))
        both = self._both(lambda each, _: record(each.journal, group))
        for arrival, *answers in zip(group, *both, strict=True):
            self._received(arrival, answers[0])
            made = [each.deliveries if isinstance(each, Fresh) else () for each in answers]
            for owed, *pair in zip(arrival.owed, *made, strict=bool(made[0])):
                if owed.in_window:
                    self._hold((pair[0], pair[1]))

    def _received(self, arrival: Arrival, answer: Recorded) -> None:
        key = (arrival.message.bot, arrival.message.message_id)
        known = self._promises.get(key)
        if known is None:
            promise = self._promises[key] = Promise.of(arrival)
            assert isinstance(answer, Fresh)
            assert promise.receipt_owed == answer.receipt_owed
        else:
            assert Duplicate(receipt_owed=known.receipted) == answer
            known.receipted = False

    def _hold(self, pair: Pair) -> None:
        """Keep a delivery in memory."""
        self._held.setdefault((pair[0].endpoint, pair[0].lane), {})[pair[1].id] = pair

    def _let_go(self, *endpoints: EndpointKey) -> None:
        """Keep nothing of endpoints in memory any more."""
        for lane in [lane for lane in self._held if lane[0] in endpoints]:
            del self._held[lane]

    def load(self, dice: Random) -> None:
        """Load lanes into memory whole; the journal need not remember them."""
        key, limit = dice.choice(sorted(self._known)), dice.randint(1, 20)
        dues = self._due(key, self._now, limit=limit)
        upto: list[dict[str, int]] = [dict.fromkeys(dues[0].whole, 0) for _ in dues]
        for pair in zip(dues[0].deliveries, dues[1].deliveries, strict=True):
            if pair[0].lane in dues[0].whole:
                self._hold(pair)
                for engine in (0, 1):
                    upto[engine][pair[0].lane] = pair[engine].id
        batches = [
            Batch(self._now, whole=[WholeLane(key, lane, last) for lane, last in each.items()])
            for each in upto
        ]
        self._both(lambda each, engine: each.journal.commit(batches[engine]))

    def drop(self, dice: Random) -> None:
        """Let what is in memory of an endpoint go; the journal remembers it again."""
        key = dice.choice(sorted(self._known))
        self._let_go(key)
        self._both(lambda each, _: each.journal.commit(Batch(self._now, dropped=[key])))

    def read_window(self, dice: Random) -> None:
        """Read what is due, within bounds."""
        limit = dice.randint(1, 6)
        for key in sorted(self._known):
            skip = dice.choice([(), (), (LANES[0],), LANES])
            max_bytes = dice.choice([1, 1500, 10_000])
            now = self._now + dice.randrange(20)
            memory, _ = self._due(key, now, skip=skip, limit=limit, max_bytes=max_bytes)
            assert len(memory.deliveries) <= limit

    def deliver(self, dice: Random) -> None:
        """End attempts well."""
        pairs = self._in_flight(dice)
        self._settle(pairs, [delivered] * len(pairs))

    def end(self, dice: Random) -> None:
        """End attempts in each way."""
        self._now += dice.randrange(20)
        pairs = self._in_flight(dice)
        self._settle(pairs, [draw_end(dice, self._now) for _ in pairs])

    def _settle(self, pairs: Sequence[Pair], ends: Sequence[End]) -> None:
        groups = [
            [end(pair[engine]) for pair, end in zip(pairs, ends, strict=True)] for engine in (0, 1)
        ]
        self._both(lambda each, engine: settle(each.journal, groups[engine], self._now))
        for (delivery, other), outcome in zip(pairs, groups[0], strict=True):
            lane = (delivery.endpoint, delivery.lane)
            if isinstance(outcome, Postponed):
                self._held.pop(lane, None)
            self._held.get(lane, {}).pop(other.id, None)
        for (delivery, _), end in zip(pairs, ends, strict=True):
            if end is delivered and delivery.replay is None:
                taken = self._promises[delivery.message.bot, delivery.message.message_id].taken
                taken.add(delivery.endpoint)

    def settle_receipts(self, dice: Random) -> None:
        """Let Mixin take some receipts of a page, refuse others and lose the rest."""
        bot = dice.choice(BOTS)
        pages = self._owed(bot, dice.randint(1, 6))
        answers = dice.choices(["confirmed", "refused", "lost"], [3, 1, 1], k=len(pages[0]))
        sorted_ = [
            {
                answer: [
                    owed.seq for owed, given in zip(page, answers, strict=True) if given == answer
                ]
                for answer in ("confirmed", "refused")
            }
            for page in pages
        ]
        self._both(
            lambda each, engine: settle_receipts(
                each.journal, bot, **sorted_[engine], now=self._now
            )
        )
        for owed, answer in zip(pages[0], answers, strict=True):
            self._promises[bot, owed.message_id].receipted |= answer != "lost"

    def prune(self, dice: Random) -> None:
        """Forget what is old; nothing that still owes READ."""
        before, limit = self._now - dice.randrange(20), dice.randint(1, 6)
        self._both(lambda each, _: each.journal.prune(before, limit=limit))
        kept = at_once(self._memory.admin.messages(MessageQuery(limit=1000)))
        left = {(summary.bot, summary.message_id) for summary in kept}
        for key in self._promises.keys() - left:
            assert not self._promises.pop(key).receipt_owed

    def note_endpoint(self, dice: Random) -> None:
        """Write down how an endpoint fares."""
        key, state = dice.choice(ENDPOINTS), dice.choice(list(BreakerState))
        note = EndpointNote(state, dice.choice([None, "timeout"]), self._now, self._now)
        self._both(lambda each, _: note_endpoint(each.journal, key, note))
        self._both(lambda each, _: each.journal.endpoint_note(key))

    def keep_unreadable(self, dice: Random) -> None:
        """Keep what is no event."""
        bot, frame = dice.choice(BOTS), UnreadableFrame(dice.choice("de"), "not gzip", b"\x00")
        self._both(lambda each, _: keep_unreadable(each.journal, bot, frame, self._now))

    # --- An operator's doing --------------------------------------------------------------------

    def retry(self, dice: Random) -> None:
        """Revive dead letters."""
        query = draw_query(dice, self._now, self._seen)
        self._both(lambda each, _: each.admin.retry(query, self._now))

    def discard(self, dice: Random) -> None:
        """Give dead letters up."""
        query, waived = draw_query(dice, self._now, self._seen), dice.random() < 0.5
        letters, _ = self._both(
            lambda each, _: each.admin.discard(query, self._now, mark_read=waived)
        )
        for letter in [each for each in letters if waived and each.replay is None]:
            self._promises[letter.endpoint.bot, letter.message_id].taken.add(letter.endpoint)

    def replay(self, dice: Random) -> None:
        """Ask for a replay, let one go on, or cancel one."""
        self._now += dice.randrange(20)
        key, most = dice.choice(ENDPOINTS), dice.randint(0, 4)
        since, until = self._now - dice.randrange(200), dice.choice([None, self._now - 50])
        order, lane = ReplayOrder(key, since, until), dice.choice([*LANES, None])
        self._both(lambda each, _: each.admin.survey_replay(order, lambda _: lane, Survey()))
        self._both(lambda each, _: each.admin.ask_replay(order, self._now))
        for _ in range(dice.randint(0, 3) if key in self._configured else 0):
            self._both(
                lambda each, _: each.journal.feed_replay(key, lambda _: lane, self._now, most=most)
            )
        if dice.random() < 0.2:
            number = dice.randint(1, 5)
            self._both(lambda each, _: each.admin.cancel_replay(number, self._now))
        self._both(lambda each, _: each.journal.replays_under_way())
        self._both(lambda each, _: each.admin.replays())

    def pause_or_resume(self, dice: Random) -> None:
        """Pause an endpoint, or resume it."""
        key, paused = dice.choice(ENDPOINTS), dice.random() < 0.5
        self._both(lambda each, _: each.admin.pause(key) if paused else each.admin.resume(key))

    def look(self, dice: Random) -> None:
        """List and show."""
        letters = draw_query(dice, self._now, self._seen)
        query = MessageQuery(
            bot=dice.choice([None, *BOTS]),
            conversation_id=dice.choice([None, *LANES]),
            pending=dice.choice([None, True, False]),
            limit=dice.randint(1, 5),
        )
        self._both(lambda each, _: each.admin.messages(query))
        self._both(lambda each, _: each.admin.dead_letters(letters))
        self._both(lambda each, _: each.admin.unreadable(query.bot, query.limit))
        self._show(dice.randint(1, self._seen + 1))

    # --- What always holds ----------------------------------------------------------------------

    @invariant()
    def read_is_owed_exactly_when_it_may_be_said(self) -> None:
        """READ is owed if and only if every required endpoint has taken the message."""
        promised = {key for key, promise in self._promises.items() if promise.receipt_owed}
        assert promised == {
            (bot, receipt.message_id) for bot in BOTS for receipt in self._owed(bot, 1000)[0]
        }

    @invariant()
    def nothing_is_lost_from_the_books(self) -> None:
        """Received is finished plus pending, and both engines count alike."""
        memory, _ = self._both(lambda each, _: each.journal.census())
        assert {0} >= {bot.imbalance for bot in memory.bots.values()}

    @invariant()
    def what_waits_is_in_memory_or_its_lane_is_known(self) -> None:
        """Nothing is stranded: what memory does not hold, the journal has something to load of."""
        held = {number for lane in self._held.values() for number in lane}
        assert set() == {number for (number,) in at_once(self._database.read(_unknown))} - held

    @invariant()
    def lanes_are_due_alike(self) -> None:
        """Both engines know of the same lanes, and when they are due."""
        lanes = self._memory.journal.store.lanes.items()  # type: ignore[attr-defined]
        model = {(*key, name, row.due_at) for key, of in lanes for name, row in of.items()}
        assert {each for each in model if each[3] is not None} == {
            tuple(row) for row in at_once(self._database.read(_lanes))
        }

    @invariant()
    def the_counts_are_right(self) -> None:
        """Messages count what their deliveries say, as long as something is open."""
        assert [] == at_once(self._database.read(miscounted))

    def _compare_all(self) -> None:
        self._both(lambda each, _: each.admin.messages(MessageQuery(limit=1000)))
        self._both(lambda each, _: each.admin.dead_letters(DeadLetterQuery()))
        self._both(lambda each, _: each.admin.endpoints())
        self._both(lambda each, _: each.journal.operator_events(0))
        for number in range(1, self._seen + 1):
            self._show(number)
        for key in sorted(self._known):
            self._due(key)


def _unknown(connection: Connection) -> list[Any]:
    return connection.rows(
        "SELECT id FROM deliveries WHERE state = 'pending'"
        " AND (endpoint_id, lane) NOT IN (SELECT endpoint_id, lane FROM lanes)"
    )


def _lanes(connection: Connection) -> list[Any]:
    return connection.rows(
        "SELECT bot, name, lane, due_at FROM lanes JOIN endpoints ON endpoints.id = endpoint_id"
    )


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """Make an empty journal to copy: to make each anew would take longer than the tests."""
    async with open_journal(f"sqlite:///{tmp_path}/empty.db"):
        return tmp_path


@pytest.mark.parametrize(("keys", "examples"), [(None, 40), (KEYS, 8)], ids=["plain", "sealed"])
def test_both_engines_answer_alike(directory: Path, keys: Keyring | None, examples: int) -> None:
    """Whatever is done in whatever order, both engines agree and READ means what it says."""
    run_state_machine_as_test(
        type("Here", (Engines,), {"directory": directory, "keys": keys}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
