"""What the writer promises: everything, in order, in groups, once the journal takes it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.journal.writer import MAX_GROUP, MAX_GROUP_BYTES, Writer
from relay.model.journal import (
    Answer,
    Arrival,
    Batch,
    Committed,
    Duplicate,
    Entry,
    Finished,
    ReceiptAnswers,
    Recorded,
    Settled,
)
from relay.model.messages import Deferred, Delivered, Message, MessageOutcome
from relay.model.ports import JournalDamaged, JournalUnavailable
from relay.telemetry.events import JournalCommitted, JournalFailed, JournalRecovered
from tests.core.recorder import Recorder
from tests.core.samples import BOT, OK, attempt, delivery, message
from tests.core.virtual_time import EPOCH, run


class Table:
    """A journal that takes a second for each group, and keeps what it was asked to write."""

    def __init__(self, takes: float = 1.0) -> None:
        self.groups: list[Batch] = []
        self.failures = 0
        self.damaged = False
        self.spoilt: Callable[[Entry], bool] = lambda _: False
        self._takes = takes

    async def commit(self, batch: Batch) -> Committed:
        await asyncio.sleep(self._takes)
        if self.damaged:
            raise JournalDamaged("spoilt")
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("full")
        if any(map(self.spoilt, [*batch.arrivals, *batch.outcomes, *batch.receipts])):
            raise ZeroDivisionError
        self.groups.append(batch)
        return Committed(
            [Duplicate(seq=int(each.message.message_id[-4:], 16)) for each in batch.arrivals],
            [Settled(seq=each.delivery.id) for each in batch.outcomes],
            [
                [Finished(str(seq), MessageOutcome.READ) for seq in r.confirmed]
                for r in batch.receipts
            ],
        )

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Give how many arrivals and outcomes each group has."""
        return [(len(batch.arrivals), len(batch.outcomes)) for batch in self.groups]


class Somebody:
    """A party, and a source, that remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[list[tuple[Entry, Answer]]] = []
        self.without: list[Entry] = []

    def arrival(self, message: Message) -> Arrival:
        return Arrival(message, ())

    def committed(self, pairs: Sequence[tuple[Entry, Answer]]) -> None:
        self.told.append(list(pairs))

    def refused(self, entry: Entry, error: Exception) -> None:
        assert isinstance(error, ZeroDivisionError)
        self.without.append(entry)

    @property
    def heard(self) -> list[Entry]:
        """Name everything that is committed, in its order."""
        return [entry for group in self.told for entry, _ in group]


class Stage:
    """A writer that runs, with everything around it."""

    def __init__(self, takes: float = 1.0) -> None:
        self.table, self.tell, self.somebody = Table(takes), Recorder(), Somebody()
        self.writer = Writer(self.table, self.tell, lambda: EPOCH, jitter=lambda: 1.0)  # type: ignore[arg-type] # all of a journal that it needs
        self.running = asyncio.create_task(self.writer.run())

    def end_some(self, *numbers: int, patience: float = 0.0) -> list[Entry]:
        """Put outcomes."""
        made = [Delivered(delivery(n), attempt(OK)) for n in numbers]
        for each in made:
            self.writer.put(self.somebody, each, patience=patience)
        return list(made)

    def arrive(self, *numbers: int, size: int = 2) -> None:
        """Take messages."""
        for number in numbers:
            self.writer.take(self.somebody, message(number, size=size))

    async def close(self) -> None:
        self.writer.close()
        await self.running


# --- Groups -------------------------------------------------------------------------------------


async def test_what_comes_during_a_commit_is_the_next_one() -> None:
    """The group grows while the disk is busy: few commits under load, none late without."""
    on = Stage()
    on.end_some(1)
    await asyncio.sleep(0.5)
    on.end_some(2, 3)
    on.arrive(4)
    await on.writer.idle()
    assert [(0, 1), (1, 2)] == on.table.sizes
    assert [JournalCommitted(1.0, 1), JournalCommitted(1.0, 3)] == on.tell.of(JournalCommitted)
    await on.close()


async def test_each_party_is_called_once_with_its_answers() -> None:
    """Whatever others put in between: each entry comes with what the journal says to it."""
    on, other = Stage(), Somebody()
    (first,) = on.end_some(1)
    receipts, deferred = ReceiptAnswers(BOT, [7]), Deferred(delivery(3))
    on.writer.put(other, receipts)
    on.writer.put(other, deferred)
    (second,) = on.end_some(2)
    on.arrive(5)
    await on.close()
    arrived = Arrival(message(5), ())
    assert [
        [(first, Settled(False, seq=1)), (second, Settled(False, seq=2)), (arrived, Duplicate())]  # noqa: FBT003
    ] == on.somebody.told
    assert [1, 2, 5] == [_seq(answer) for _, answer in on.somebody.told[0]]
    assert [[(receipts, [Finished("7", MessageOutcome.READ)]), (deferred, None)]] == other.told


async def test_a_group_is_bounded() -> None:
    """In count and in bytes; what has ended does not wait behind a burst, nor a burst for that."""
    on = Stage()
    on.arrive(*range(MAX_GROUP + 1))
    on.end_some(*range(MAX_GROUP + 2))
    on.arrive(*range(1000, 1003), size=MAX_GROUP_BYTES)
    await on.close()
    assert [(MAX_GROUP, MAX_GROUP), (2, 2), (1, 0), (1, 0)] == on.table.sizes


async def test_it_is_full_while_more_than_a_group_has_ended() -> None:
    """Who asks to be told is told once there is room."""
    on, told = Stage(), list[float]()
    on.arrive(*range(2 * MAX_GROUP))
    before = on.writer.full
    on.end_some(*range(MAX_GROUP))
    assert (False, True) == (before, on.writer.full)
    on.writer.when_room(lambda: told.append(asyncio.get_running_loop().time()))
    await on.close()
    assert [1.0] == told


async def test_what_may_wait_goes_with_the_next() -> None:
    """It is committed with whatever can't wait, or once its patience is over."""
    on = Stage(takes=0.0)
    on.end_some(1, patience=5.0)
    await asyncio.sleep(2.0)
    on.arrive(1)
    await asyncio.sleep(0.1)
    assert [(1, 1)] == on.table.sizes
    on.end_some(2, patience=5.0)
    await asyncio.sleep(4.9)
    assert 1 == len(on.table.groups)
    await asyncio.sleep(0.2)
    assert 2 == len(on.table.groups)
    on.end_some(3, patience=5.0)
    before = asyncio.get_running_loop().time()
    await on.close()
    assert (3, before) == (len(on.table.groups), asyncio.get_running_loop().time())


async def test_closing_commits_the_rest() -> None:
    """`run` returns once everything is committed, and at once if everything is."""
    on = Stage()
    on.end_some(1, 2)
    await asyncio.sleep(0.5)
    last = on.end_some(3)
    await on.close()
    assert last == [on.somebody.heard[-1]]
    await on.writer.idle()


# --- Trouble ------------------------------------------------------------------------------------


async def test_a_group_is_repeated_until_the_journal_takes_it() -> None:
    """As it is, with backoff, for ever, told at both ends; what comes meanwhile goes behind it."""
    on = Stage(takes=0.0)
    on.table.failures = 10
    on.end_some(1)
    await on.tell.wait_for(JournalFailed)
    accepted = [on.writer.accepted]
    on.end_some(2)
    await on.writer.idle()
    assert [False, True] == [*accepted, on.writer.accepted]
    assert [(0, 1), (0, 1)] == on.table.sizes
    waits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert [JournalFailed("full", wait) for wait in waits] == on.tell.of(JournalFailed)
    assert (1, 2) == (on.tell.count(JournalRecovered), on.tell.count(JournalCommitted))
    await on.close()


async def test_a_damaged_journal_ends_it() -> None:
    """Nothing is blamed for what is the journal's: the loop ends, and with it the relay."""
    on = Stage()
    on.table.damaged = True
    on.end_some(1, 2)
    with pytest.raises(JournalDamaged):
        await on.running
    assert ([], []) == (on.somebody.without, on.somebody.told)


@pytest.mark.parametrize("culprits", [{3}, {0, 6}, set(range(7))])
async def test_a_bug_in_one_entry_stays_inside_it(culprits: set[int]) -> None:
    """The group is split until it stands alone; everything else is committed, in its order."""
    on = Stage(takes=0.0)
    made = on.end_some(*range(7))
    bad = [made[n] for n in sorted(culprits)]
    on.table.spoilt = lambda entry: entry in bad
    on.arrive(8)
    await on.close()
    assert bad == on.somebody.without
    good = [each for each in made if each not in bad]
    assert [*good, Arrival(message(8), ())] == on.somebody.heard


# --- Holding ------------------------------------------------------------------------------------


async def test_while_it_is_held_nothing_is_committed() -> None:
    """The group that is under way ends first, and putting goes on."""
    on = Stage()
    on.end_some(1)
    await asyncio.sleep(0.5)
    async with on.writer.held(), on.writer.held():
        assert 1 == len(on.somebody.told)
        on.end_some(2)
        await asyncio.sleep(60.0)
        assert 1 == len(on.table.groups)
    await on.writer.idle()
    assert 2 == len(on.table.groups)
    await on.close()


async def test_nobody_waits_for_a_group_that_the_journal_does_not_take() -> None:
    """Whoever would hold it hears so, and everything goes on as it was."""
    on = Stage(takes=0.1)
    on.table.failures = 3
    on.end_some(1)
    await asyncio.sleep(0.05)
    with pytest.raises(JournalUnavailable):
        async with on.writer.held():
            pass
    await on.writer.idle()
    async with on.writer.held():
        pass
    await on.close()
    assert 1 == len(on.table.groups)


# --- All together -------------------------------------------------------------------------------

PUTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 2.0]), st.integers(1, 4), st.sampled_from([0.0, 1.0])),
    max_size=12,
)


@settings(deadline=None)
@given(PUTS, st.integers(0, 5), st.sampled_from([0.0, 0.2, 1.0]))
def test_everything_put_is_committed_once_and_in_order(
    puts: list[tuple[float, int, float]], failures: int, takes: float
) -> None:
    """Whenever it comes, however long a commit takes, and however often it fails."""

    async def main() -> tuple[list[Entry], list[Entry]]:
        on = Stage(takes)
        on.table.failures = failures
        expected: list[Entry] = []
        for wait, count, patience in puts:
            await asyncio.sleep(wait)
            expected += on.end_some(*range(len(expected), len(expected) + count), patience=patience)
        await on.close()
        return expected, on.somebody.heard

    expected, heard = run(main())
    assert expected == heard


def _seq(answer: Answer) -> int:
    assert isinstance(answer, Recorded | Settled)
    return answer.seq
