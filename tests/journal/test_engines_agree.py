"""Both journals answer alike, whatever is asked of them in whatever order, and keep the promise."""

import shutil
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Select, select

from relay.desk import DeadLetterQuery, MessageQuery
from relay.journal import OpenJournal, open_journal
from relay.journal.database import Database
from relay.journal.memory import MemoryJournal
from relay.journal.memory_desk import MemoryDesk
from relay.journal.schema import PENDING, deliveries, lanes
from relay.journal.sql import SqlJournal
from relay.journal.sql_desk import SqlDesk
from relay.model import (
    Arrival,
    Deferred,
    Delivery,
    Due,
    Duplicate,
    EndpointKey,
    EndpointNote,
    Fresh,
    GateState,
    Outcome,
    Owed,
    OwedReceipt,
    Reason,
    Recorded,
    Rejected,
    Transient,
)
from tests.journal.samples import CRM, LATER, LOG, NOW, dead, delivered, message, postponed, uuid

P = ParamSpec("P")
T = TypeVar("T")
Pair = tuple[Delivery, Delivery]

ELSE = EndpointKey("other", "crm")
ENDPOINTS = (CRM, LOG, ELSE)
BOTS = ("bot", "other")
MESSAGES = 6
FAR = LATER * 2

seconds = st.integers(0, 20).map(float)
numbers = st.integers(1, MESSAGES)
counts = st.integers(1, 4)
endpoints = st.sampled_from(ENDPOINTS)
lane_names = st.sampled_from(["a", "b'\x00\U0001f600"])
settings_of_endpoints = st.just(set(ENDPOINTS)) | st.sets(endpoints, min_size=1)
frames = st.sampled_from([b"", b"x" * 10, b"x" * 1000])
wanted = st.sampled_from(["required", "required", "optional", ""])
answered = st.sampled_from(["confirmed", "confirmed", "refused", "lost"])
verdicts = st.sampled_from(
    [
        Transient(Reason.HTTP_503, 503, pause=60.0),
        Transient(Reason.TIMEOUT, doubtful=True),
        Rejected(Reason.HTTP_4XX, 400, "no"),
    ]
)
notes = st.builds(
    EndpointNote,
    st.sampled_from(GateState),
    st.sampled_from([None, "timeout"]),
    st.none() | seconds,
    st.none() | seconds,
)
message_queries = st.builds(
    MessageQuery,
    bot=st.none() | st.sampled_from(BOTS),
    conversation_id=st.none() | lane_names,
    pending=st.none() | st.booleans(),
    limit=counts,
)
dead_letter_queries = st.just(DeadLetterQuery()) | st.builds(
    DeadLetterQuery,
    message_ids=st.none() | st.lists(numbers.map(uuid), max_size=4).map(tuple),
    bot=st.none() | st.sampled_from(BOTS),
    endpoint=st.none() | st.sampled_from(["crm", "log"]),
    reason=st.none() | st.sampled_from(["http_4xx", "timeout", "removed"]),
    ended_before=st.none() | seconds.map(lambda after: NOW + after),
    limit=st.none() | counts,
)


@dataclass(slots=True)
class Promise:
    """What the promise of interface.md 1 says of one message, told apart from any journal."""

    unwanted_read: bool
    owed_to: set[EndpointKey] = field(default_factory=set)
    required: set[EndpointKey] = field(default_factory=set)
    taken: set[EndpointKey] = field(default_factory=set)
    receipted: bool = False

    @property
    def receipt_owed(self) -> bool:
        """Whether READ has to be said now."""
        wanted = bool(self.owed_to) or self.unwanted_read
        return wanted and self.required <= self.taken and not self.receipted


@st.composite
def arrivals(draw: st.DrawFn, configured: Collection[EndpointKey], now: float) -> Arrival:
    """Draw a message, perhaps one that has come before, for some of its bot's endpoints."""
    bot, lane = draw(st.sampled_from(BOTS)), draw(lane_names)
    came = message(draw(numbers), bot=bot, conversation=lane, frame=draw(frames))
    came = replace(came, received_at=now - draw(seconds))
    mine = [key for key in ENDPOINTS if key in configured and key.bot == bot]
    wishes = [(key, draw(wanted)) for key in mine]
    owed = [Owed(key, lane, required=wish == "required") for key, wish in wishes if wish]
    return Arrival(came, tuple(owed), draw(st.booleans()))


def without_numbers(answer: Any) -> Any:
    """Leave the journals' own numbers out of an answer: each gives out its own."""
    match answer:
        case Delivery():
            return replace(answer, id=0)
        case Fresh(deliveries=deliveries, leading=leading):
            leaders = [delivery.endpoint for delivery in deliveries if delivery.id in leading]
            return [without_numbers(deliveries), leaders, answer.receipt_owed, answer.finished]
        case Due():
            return replace(answer, deliveries=without_numbers(answer.deliveries))
        case OwedReceipt():
            return answer.message_id
        case list() | tuple():
            return [without_numbers(each) for each in answer]
        case _:
            return answer


class Inline(Database):
    """Does on the caller's thread what the real one does on others: hops take their time."""

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write at once."""
        return self._writer._transact(lambda connection: change(connection, *args, **kwargs))

    async def read(
        self, look: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read at once."""
        return self._readers._transact(lambda connection: look(connection, *args, **kwargs))

    def dispose(self) -> None:
        """Close the connections; no thread was ever started."""
        self._writer._engine.dispose()
        self._readers._engine.dispose()


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise AssertionError(work)


class Engines(RuleBasedStateMachine):
    """Does everything twice, once with each engine."""

    directory: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        path = self.directory / "journal.db"
        shutil.copy(self.directory / "empty.db", path)
        self._database = Inline(path)
        memory = MemoryJournal()
        self._memory = OpenJournal(memory, MemoryDesk(memory.store))
        self._sql = OpenJournal(SqlJournal(self._database), SqlDesk(self._database))
        self._now = NOW
        self._configured: set[EndpointKey] = set()
        self._known: set[EndpointKey] = set()
        self._promises: dict[tuple[str, str], Promise] = {}

    def teardown(self) -> None:
        """Compare everything there is to tell, then close."""
        try:
            self._compare_all()
        finally:
            self._database.dispose()

    # --- Running --------------------------------------------------------------------------------

    def _both(self, ask: Callable[[OpenJournal, int], Coroutine[Any, Any, T]]) -> tuple[T, T]:
        """Ask both engines, and compare their answers."""
        ours = at_once(ask(self._memory, 0)), at_once(ask(self._sql, 1))
        assert without_numbers(ours[0]) == without_numbers(ours[1])
        return ours

    def _pending(self) -> list[Pair]:
        """Give everything unfinished, as each engine numbers it."""
        pairs: list[Pair] = []
        for key in sorted(self._known):
            memory, sql = self._due(key, FAR)
            pairs += zip(memory.deliveries, sql.deliveries, strict=True)
        return pairs

    def _due(
        self,
        key: EndpointKey,
        now: float,
        skip: Collection[str] = (),
        limit: int = 1000,
        max_bytes: int = 10**6,
    ) -> tuple[Due, Due]:
        return self._both(
            lambda each, _: each.journal.due(key, now, skip=skip, limit=limit, max_bytes=max_bytes)
        )

    def _owed(self, bot: str, limit: int) -> tuple[Sequence[OwedReceipt], Sequence[OwedReceipt]]:
        return self._both(lambda each, _: each.journal.owed_receipts(bot, after=0, limit=limit))

    def _some(self, data: st.DataObject) -> list[Pair]:
        """Choose deliveries that may have been in flight; of a lane there is one at a time."""
        lanes_: dict[tuple[EndpointKey, str], list[Pair]] = {}
        for pair in self._pending():
            lanes_.setdefault((pair[0].endpoint, pair[0].lane), []).append(pair)
        chosen = [data.draw(st.sampled_from([None, *pairs])) for pairs in lanes_.values()]
        return [pair for pair in chosen if pair]

    # --- A relay's doing ------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        """Begin the first run."""
        self._start(set(ENDPOINTS))

    def _start(self, configured: set[EndpointKey]) -> None:
        self._configured = configured
        self._known |= configured
        self._both(lambda each, _: each.journal.start(sorted(configured), self._now))

    @rule(data=st.data(), configured=settings_of_endpoints, clean=st.booleans())
    def restart(self, data: st.DataObject, configured: set[EndpointKey], *, clean: bool) -> None:
        """Stop, cutting attempts short, or crash, and start with other settings."""
        if clean:
            pairs = self._some(data)
            cut = [[Deferred(pair[engine]) for pair in pairs] for engine in (0, 1)]
            self._both(lambda each, engine: each.journal.defer(cut[engine]))
            self._both(lambda each, _: each.journal.stop())
        self._start(configured)

    @rule(data=st.data(), after=seconds)
    def record(self, data: st.DataObject, after: float) -> None:
        """Receive messages, new ones and known ones, a while later."""
        self._now += after
        group = data.draw(st.lists(arrivals(self._configured, self._now), min_size=1, max_size=5))
        answers, _ = self._both(lambda each, _: each.journal.record(group))
        for arrival, answer in zip(group, answers, strict=True):
            self._received(arrival, answer)

    def _received(self, arrival: Arrival, answer: Recorded) -> None:
        key = (arrival.message.bot, arrival.message.message_id)
        known = self._promises.get(key)
        if known is None:
            promise = self._promises[key] = Promise(arrival.unwanted_read)
            promise.owed_to = {owed.endpoint for owed in arrival.owed}
            promise.required = {owed.endpoint for owed in arrival.owed if owed.required}
            assert isinstance(answer, Fresh)
            assert promise.receipt_owed == answer.receipt_owed
        else:
            assert Duplicate(receipt_owed=known.receipted) == answer
            known.receipted = False

    @rule(
        key=endpoints,
        skip=st.sets(lane_names, max_size=2),
        limit=counts,
        max_bytes=st.sampled_from([1, 1500, 10_000]),
        ahead=seconds,
    )
    def due(
        self, key: EndpointKey, skip: set[str], limit: int, max_bytes: int, ahead: float
    ) -> None:
        """Read a window."""
        if key in self._known:
            memory, _ = self._due(key, self._now + ahead, sorted(skip), limit, max_bytes)
            assert len(memory.deliveries) <= limit

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """End attempts well."""
        pairs = self._some(data)
        self._settle(pairs, [delivered] * len(pairs))

    @rule(data=st.data(), after=seconds)
    def end(self, data: st.DataObject, after: float) -> None:
        """End attempts in each way, a while later."""
        self._now += after
        pairs = self._some(data)
        self._settle(pairs, [data.draw(self._ends()) for _ in pairs])

    def _settle(self, pairs: Sequence[Pair], ends: Sequence[Callable[[Delivery], Outcome]]) -> None:
        groups = [
            [end(pair[engine]) for pair, end in zip(pairs, ends, strict=True)] for engine in (0, 1)
        ]
        self._both(lambda each, engine: each.journal.settle(groups[engine], self._now))
        for (delivery, _), end in zip(pairs, ends, strict=True):
            if end is delivered:
                self._promise(delivery).taken.add(delivery.endpoint)

    def _ends(self) -> st.SearchStrategy[Callable[[Delivery], Outcome]]:
        later = st.builds(
            lambda after, verdict: partial(postponed, due_at=self._now + after, verdict=verdict),
            seconds,
            verdicts,
        )
        never = st.builds(lambda verdict: partial(dead, verdict=verdict), verdicts)
        return st.just(delivered) | later | never

    def _promise(self, delivery: Delivery) -> Promise:
        return self._promises[delivery.message.bot, delivery.message.message_id]

    @rule(data=st.data(), bot=st.sampled_from(BOTS), limit=counts)
    def settle_receipts(self, data: st.DataObject, bot: str, limit: int) -> None:
        """Let Mixin take some receipts of a page and refuse others."""
        pages = self._owed(bot, limit)
        answers = data.draw(st.lists(answered, min_size=len(pages[0]), max_size=len(pages[0])))
        groups = [
            {
                answer: [
                    owed.seq for owed, given in zip(page, answers, strict=True) if given == answer
                ]
                for answer in ("confirmed", "refused")
            }
            for page in pages
        ]
        self._both(
            lambda each, engine: each.journal.settle_receipts(bot, **groups[engine], now=self._now)
        )
        for owed, answer in zip(pages[0], answers, strict=True):
            self._promises[bot, owed.message_id].receipted |= answer != "lost"

    @rule(ago=seconds, limit=counts)
    def prune(self, ago: float, limit: int) -> None:
        """Forget what is old; nothing that still owes READ."""
        self._both(lambda each, _: each.journal.prune(self._now - ago, limit=limit))
        kept = at_once(self._memory.desk.messages(MessageQuery(limit=1000)))
        left = {(summary.bot, summary.message_id) for summary in kept}
        for key in self._promises.keys() - left:
            assert not self._promises.pop(key).receipt_owed

    # --- An operator's doing --------------------------------------------------------------------

    @rule(query=dead_letter_queries, what=st.sampled_from(["retry", "discard", "waive"]))
    def decide(self, query: DeadLetterQuery, what: str) -> None:
        """Revive dead letters or give them up."""
        if what == "retry":
            self._both(lambda each, _: each.desk.retry(query, self._now))
            return
        waived = what == "waive"
        letters, _ = self._both(
            lambda each, _: each.desk.discard(query, self._now, mark_read=waived)
        )
        for letter in letters if waived else ():
            self._promises[letter.endpoint.bot, letter.message_id].taken.add(letter.endpoint)

    @rule(key=endpoints, note=notes, resumed=st.booleans())
    def note(self, key: EndpointKey, note: EndpointNote, *, resumed: bool) -> None:
        """Write down how an endpoint fares, and pause it or resume it."""
        self._both(lambda each, _: each.journal.note_endpoint(key, note))
        self._both(lambda each, _: each.journal.endpoint_note(key))
        self._both(lambda each, _: each.desk.resume(key) if resumed else each.desk.pause(key))
        self._both(lambda each, _: each.journal.endpoint_note(key))

    @rule(query=message_queries, letters=dead_letter_queries, number=numbers)
    def look(self, query: MessageQuery, letters: DeadLetterQuery, number: int) -> None:
        """List and show."""
        self._both(lambda each, _: each.desk.messages(query))
        self._both(lambda each, _: each.desk.dead_letters(letters))
        self._show(number)

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
        memory, _ = self._both(lambda each, _: _census_without_size(each))
        assert {0} >= {bot.imbalance for bot in memory.bots.values()}

    @invariant()
    def a_lane_is_there_while_something_waits_in_it(self) -> None:
        """Lanes are neither left over, which would be read for ever, nor missing."""
        waiting = select(deliveries.c.endpoint_id, deliveries.c.lane).where(PENDING)
        kept = select(lanes.c.endpoint_id, lanes.c.lane)
        rows = [at_once(self._database.read(_rows, statement)) for statement in (waiting, kept)]
        assert rows[0] == rows[1]

    def _compare_all(self) -> None:
        self._both(lambda each, _: each.desk.messages(MessageQuery(limit=1000)))
        self._both(lambda each, _: each.desk.dead_letters(DeadLetterQuery()))
        self._both(lambda each, _: each.desk.endpoints())
        self._both(lambda each, _: each.journal.notices(0))
        for number in range(1, MESSAGES + 1):
            self._show(number)
        self._pending()

    def _show(self, number: int) -> None:
        self._both(lambda each, _: each.desk.history(uuid(number)))


def _rows(connection: Connection, statement: Select[Any]) -> set[Any]:
    return set(connection.execute(statement).all())


async def _census_without_size(each: OpenJournal) -> Any:
    return replace(await each.journal.census(), size_bytes=0)


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """Make an empty journal to copy: what makes it anew each time takes longer than the tests."""
    async with open_journal(f"sqlite:///{tmp_path}/empty.db"):
        return tmp_path


def test_both_engines_answer_alike(directory: Path) -> None:
    """Whatever is done in whatever order, both engines agree and READ means what it says."""
    machine = type("Here", (Engines,), {"directory": directory})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(__import__("os").environ.get("N", "40")),
            stateful_step_count=30,
            derandomize=True,
            report_multiple_bugs=False,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
