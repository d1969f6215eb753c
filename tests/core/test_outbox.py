"""What the outbox promises: every receipt that is owed, in batches, until Mixin has it."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.journal.writer import Writer
from relay.model.journal import Arrival, OwedReceipt
from relay.model.messages import MessageOutcome, ReceiptsFailed, ReceiptsRejected
from relay.receipts.isolation import AT_ONCE, EARLY, HELD_AT_ONCE, MAX_BATCH
from relay.receipts.outbox import LINGER, MAX_IN_MEMORY, PACE, Outbox
from relay.telemetry.events import ReceiptRefused, ReceiptsConfirmed, ReceiptsRetried, ReceiptsStuck
from tests.core.acknowledgers import FakeAcknowledger
from tests.core.disk import Disk
from tests.core.recorder import PATIENCE, MessageFinished, Recorder, confirmed_ids, until_all
from tests.core.samples import BOT, message, uuid
from tests.core.virtual_time import EPOCH, run, wall_clock
from tests.journal.samples import record

FAILED = ReceiptsFailed("500")
REJECTED = ReceiptsRejected(10002, "bad id")
UNAUTHORIZED = ReceiptsFailed("401", unauthorized=True)


@dataclass
class Stage:
    """An outbox with everything around it."""

    disk: Disk
    mixin: FakeAcknowledger
    tell: Recorder
    outbox: Outbox
    writer: Writer
    running: asyncio.Task[None]
    writing: asyncio.Task[None]

    async def owe(self, *numbers: int) -> list[str]:
        """Owe the receipts of new messages, and say so."""
        owed = [Arrival(message(n), (), unwanted_read=True) for n in numbers]
        for number, answer in zip(numbers, await record(self.disk, owed), strict=True):
            self.outbox.owe(OwedReceipt(answer.seq, uuid(number)))
        return [uuid(n) for n in numbers]

    async def read(self, *message_ids: str, within: float = PATIENCE) -> None:
        """Wait until Mixin has receipts."""
        last = until_all(message_ids, confirmed_ids)
        await self.tell.wait_for(ReceiptsConfirmed, last, within=within)

    async def end(self) -> None:
        self.outbox.close()
        await self.running
        self.writer.close()
        await self.writing
        assert [] == self.mixin.violations


async def stage(*, owed: int = 0, jitter: float = 1.0, takes: float = 0.05) -> Stage:
    """Set an outbox up on a journal that owes so many receipts from before."""
    disk, mixin, tell = Disk(), FakeAcknowledger(takes), Recorder()
    await disk.start([], EPOCH)
    await record(disk, [Arrival(message(n), (), unwanted_read=True) for n in range(owed)])
    clock = wall_clock(asyncio.get_running_loop())
    writer = Writer(disk, tell, clock, jitter=lambda: jitter)
    outbox = Outbox(BOT, disk, writer, mixin, telemetry=tell, clock=clock, jitter=lambda: jitter)
    running, writing = asyncio.create_task(outbox.run()), asyncio.create_task(writer.run())
    return Stage(disk, mixin, tell, outbox, writer, running, writing)


def sizes(mixin: FakeAcknowledger) -> list[int]:
    """Give the sizes of the batches."""
    return [len(batch) for _, batch in mixin.batches]


# --- Batches ------------------------------------------------------------------------------------


async def test_a_receipt_is_sent_soon_and_its_message_finishes() -> None:
    """It waits for others, but not for long."""
    on = await stage()
    await asyncio.sleep(10.0)
    (first,) = await on.owe(1)
    await on.read(first, within=LINGER + 0.1)
    await on.tell.wait_for(MessageFinished)
    assert [MessageFinished(BOT, first, MessageOutcome.UNWANTED)] == on.tell.of(MessageFinished)
    await on.end()


async def test_what_a_journal_owes_from_before_is_sent_at_the_start() -> None:
    """After a crash between outcome and receipt only the receipt is left (W5)."""
    on = await stage(owed=3)
    await on.read(*(uuid(n) for n in range(3)))
    assert [3] == sizes(on.mixin)
    await on.end()


async def test_batches_go_by_deadline_and_not_by_idleness() -> None:
    """A steady trickle, never idle, does not put off the first of it."""
    on = await stage()
    await asyncio.sleep(10.0)
    for number in range(100):
        await on.owe(number)
        await asyncio.sleep(LINGER / 4)
        if number == 8:
            assert on.mixin.batches
    await on.read(uuid(99))
    assert max(sizes(on.mixin)) <= 12
    await on.end()


async def test_a_full_batch_does_not_linger() -> None:
    """A hundred are enough."""
    on = await stage()
    await asyncio.sleep(10.0)
    started = asyncio.get_running_loop().time()
    ids = await on.owe(*range(MAX_BATCH))
    await on.read(*ids)
    assert [MAX_BATCH] == sizes(on.mixin)
    assert on.mixin.batches[0][0] - started < LINGER / 2
    await on.end()


async def test_batches_are_bounded_in_size_and_number() -> None:
    """At most a hundred at a time, and a few batches side by side."""
    on = await stage(owed=1050)
    await on.read(*(uuid(n) for n in range(1050)))
    assert [100] * 10 + [50] == sizes(on.mixin)
    assert 4 == on.mixin.most_in_flight
    await on.end()


async def test_an_idle_outbox_sends_nothing() -> None:
    """Mixin is not asked anything while nothing is owed."""
    on = await stage()
    await asyncio.sleep(1000.0)
    assert [] == on.mixin.batches
    await on.end()


# --- Bad ids ------------------------------------------------------------------------------------


async def test_a_final_error_isolates_the_bad_id() -> None:
    """The batch is split until it stands alone; all others are confirmed in the same round."""
    on = await stage()
    on.mixin.bad = {uuid(37)}
    ids = await on.owe(*range(100))
    good = [each for each in ids if each != uuid(37)]
    await on.read(*good, within=5.0)
    assert [ReceiptRefused(BOT, uuid(37), "bad id")] == on.tell.of(ReceiptRefused)
    assert len(on.mixin.batches) <= 2 * 7 + 1
    assert 0 == on.tell.count(ReceiptsRetried)
    await on.end()


async def test_a_refused_receipt_is_not_sent_again() -> None:
    """Mixin has said its last word; the message finishes as it would have."""
    on = await stage()
    on.mixin.usual = REJECTED
    await on.owe(1, 2)
    await on.tell.wait_for(MessageFinished, count=2)
    batches = len(on.mixin.batches)
    on.mixin.heal()
    await on.owe(3)
    await on.read(uuid(3))
    assert (uuid(3),) == on.mixin.batches[-1][1]
    assert batches + 1 == len(on.mixin.batches)
    await on.end()


# --- Repetition ---------------------------------------------------------------------------------


async def test_what_is_not_confirmed_is_repeated_with_backoff() -> None:
    """For ever: 1, 2, 4 … 60 seconds, each time told."""
    on = await stage()
    on.mixin.usual = FAILED
    await on.owe(1)
    await on.tell.wait_for(ReceiptsRetried, count=9)
    waits = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert [ReceiptsRetried(BOT, 1, "500", wait) for wait in waits] == on.tell.of(ReceiptsRetried)
    on.mixin.heal()
    await on.read(uuid(1), within=61.0)
    await on.end()


async def test_the_backoff_starts_anew_after_a_round_without_failure() -> None:
    """The next trouble begins with a second again."""
    on = await stage()
    on.mixin.next(FAILED, FAILED)
    await on.owe(1)
    await on.read(uuid(1))
    on.mixin.next(FAILED)
    await on.owe(2)
    await on.tell.wait_for(ReceiptsRetried, count=3)
    assert [1.0, 2.0, 1.0] == [event.retry_in for event in on.tell.of(ReceiptsRetried)]
    await on.end()


async def test_a_wait_that_mixin_asks_for_is_kept() -> None:
    """Retry-After is the least."""
    on = await stage()
    on.mixin.next(ReceiptsFailed("429", retry_after=45.0))
    await on.owe(1)
    await on.read(uuid(1))
    first, second = (at for at, _ in on.mixin.batches)
    assert second - first >= 45.0
    await on.end()


@pytest.mark.parametrize("jitter", [0.0, 1.0])
async def test_a_refused_token_is_tried_slowly(jitter: float) -> None:
    """Never in a storm: at least half a minute, growing to ten."""
    on = await stage(jitter=jitter)
    on.mixin.usual = UNAUTHORIZED
    await on.owe(1)
    await on.tell.wait_for(ReceiptsRetried, count=6)
    waits = [event.retry_in for event in on.tell.of(ReceiptsRetried)]
    least = (1 + jitter) / 2
    assert [least * wait for wait in (60.0, 120.0, 240.0, 480.0, 600.0, 600.0)] == waits
    on.mixin.heal()
    await on.read(uuid(1))
    await on.end()


async def test_an_outage_is_not_answered_with_a_storm() -> None:
    """While nothing gets through a round gives up after a hundred, however much is owed."""
    on = await stage(owed=2000)
    on.mixin.usual = FAILED
    await on.tell.wait_for(ReceiptsRetried, count=15)
    assert len(on.mixin.batches) <= 15 * 100
    assert max(event.count for event in on.tell.of(ReceiptsRetried)) <= 400
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(2000)))
    await on.end()


async def test_after_an_outage_full_batches_go_again() -> None:
    """A long one does not leave a backlog to be sent one by one."""
    on = await stage(owed=2000)
    on.mixin.usual = FAILED
    await asyncio.sleep(3600.0)
    batches = len(on.mixin.batches)
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(2000)), within=65.0)
    assert len(on.mixin.batches) - batches < 60
    await on.end()


@pytest.mark.parametrize("count", [1, 5, 50])
async def test_ids_that_always_fail_hold_up_nobody(count: int) -> None:
    """Even if Mixin has no final word for them, and they are the oldest."""
    on = await stage(owed=200)
    on.mixin.cursed = {uuid(n) for n in range(count)}
    await on.read(*(uuid(n) for n in range(count, 200)), within=900.0)
    (later,) = await on.owe(1000)
    await on.read(later, within=300.0)
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(count)))
    await on.end()


async def test_an_id_that_always_fails_is_put_aside() -> None:
    """Once it stands alone, it waits by itself, a minute at most, and others go at once."""
    on = await stage()
    on.mixin.cursed = {uuid(1)}
    await on.owe(1, 2, 3)
    await on.read(uuid(2), uuid(3), within=20.0)
    for number in range(10, 20):
        (later,) = await on.owe(number)
        await on.read(later, within=LINGER + 0.1)
        await asyncio.sleep(30.0)
    tried = [at for at, batch in on.mixin.batches if batch == (uuid(1),)]
    gaps = [round(after - before) for before, after in pairwise(tried)]
    assert [60, 60] == gaps[-2:]
    on.mixin.heal()
    await on.read(uuid(1), within=61.0)
    await on.end()


async def test_an_id_that_is_aside_is_tried_alone() -> None:
    """It never spoils a batch again, and is forgotten once it got through."""
    on = await stage()
    on.mixin.cursed = {uuid(1)}
    await on.owe(1, 2, 3)
    await on.read(uuid(2), uuid(3), within=20.0)
    aside = len(on.mixin.batches)
    for number in range(10, 100):
        await on.owe(number)
        await asyncio.sleep(1.0)
    assert [] == [ids for _, ids in on.mixin.batches[aside:] if uuid(1) in ids and len(ids) > 1]
    on.mixin.heal()
    await on.read(uuid(1), within=61.0)
    batches = len(on.mixin.batches)
    await asyncio.sleep(200.0)
    assert batches == len(on.mixin.batches)
    await on.end()


async def test_a_receipt_that_was_taken_is_recorded_once_the_journal_takes_it() -> None:
    """It counts as confirmed from then on only, and is sent no second time but after a crash."""
    on = await stage()
    (first,) = await on.owe(1)
    on.disk.full = True
    await asyncio.sleep(200.0)
    assert [(first,)] == [batch for _, batch in on.mixin.batches]
    assert 0 == on.tell.count(ReceiptsConfirmed)
    on.disk.full = False
    await on.read(first)
    assert 1 == len(on.mixin.batches)
    await on.end()


async def test_a_receipt_whose_answer_can_not_be_recorded_is_sent_again() -> None:
    """A bug in one answer costs another READ, and nothing else; also of what was held back."""
    on = await stage()
    on.mixin.bad = {uuid(1)}
    on.disk.broken = 1
    await on.owe(1, 2)
    await on.read(uuid(2))
    await on.tell.wait_for(ReceiptRefused)
    assert 2 <= len([batch for _, batch in on.mixin.batches if batch == (uuid(2),)])
    await on.end()


async def test_a_journal_that_can_not_be_read_is_asked_again() -> None:
    """What it owes from before waits for that, and nothing else does."""
    on = await stage(owed=1)
    on.disk.unreadable = True
    (second,) = await on.owe(1)
    await on.read(second)
    await asyncio.sleep(200.0)
    assert [(second,)] == [batch for _, batch in on.mixin.batches]
    on.disk.unreadable = False
    await on.read(uuid(0))
    await on.end()


async def test_the_journal_is_read_for_what_memory_does_not_have() -> None:
    """After a start, an overflow, and an operator's word: never for what commits tell of."""
    on = await stage()
    await asyncio.sleep(1.0)
    reads = on.disk.receipt_reads
    for number in range(0, 1000, 10):
        await on.owe(*range(number, number + 10))
        await asyncio.sleep(LINGER)
    await on.read(uuid(999))
    assert reads == on.disk.receipt_reads
    await record(on.disk, [Arrival(message(2000), (), unwanted_read=True)])
    on.outbox.look_again()
    await on.read(uuid(2000))
    on.mixin.usual = FAILED
    await on.owe(*range(3000, 3000 + MAX_IN_MEMORY + 50))
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(3000, 3000 + MAX_IN_MEMORY + 50)))
    assert MAX_IN_MEMORY + 50 + 1001 <= len(on.mixin.read)
    await on.end()


# --- Hundreds of bad ids ------------------------------------------------------------------------

SCATTERED = range(3, 4500, 10)


async def test_hundreds_of_old_ids_that_always_fail_hold_up_nobody() -> None:
    """450 of the oldest, among thousands: others are READ within seconds, later ones at once."""
    on = await stage(owed=3000)
    on.mixin.cursed = {uuid(n) for n in range(450)}
    await on.read(*(uuid(n) for n in range(450, 500)), within=60.0)
    await on.read(*(uuid(n) for n in range(500, 3000)), within=0.1)
    for number in range(10_000, 10_020):
        (later,) = await on.owe(number)
        await on.read(later, within=LINGER + 0.2)
        await asyncio.sleep(30.0)
    await on.end()


@pytest.mark.parametrize("verdict", ["cursed", "bad"])
async def test_scattered_ids_that_always_fail_are_sorted_out(verdict: str) -> None:
    """One in ten of thousands, with or without a final word: the others within a minute or so."""
    on = await stage(owed=4500)
    setattr(on.mixin, verdict, {uuid(n) for n in SCATTERED})
    await on.read(*(uuid(n) for n in range(4500) if n not in SCATTERED), within=90.0)
    assert on.mixin.most_in_flight <= AT_ONCE + HELD_AT_ONCE
    seconds = Counter(int(at) for at, _ in on.mixin.batches)
    assert max(seconds.values()) <= (AT_ONCE + HELD_AT_ONCE) / PACE + HELD_AT_ONCE
    await on.end()


async def test_bad_ids_alone_hold_up_nothing_new() -> None:
    """With nothing else it looks like an outage, yet what is new gets through."""
    on = await stage(owed=450)
    on.mixin.cursed = {uuid(n) for n in range(450)}
    await asyncio.sleep(3600.0)
    for number in range(1000, 1100):
        (later,) = await on.owe(number)
        await on.read(later, within=EARLY + 1.0)
        await asyncio.sleep(20.0)
    asked = len(on.mixin.batches)
    await asyncio.sleep(600.0)
    assert len(on.mixin.batches) - asked <= 2 * 600
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(450)), within=600.0)
    await on.end()


async def test_a_receipt_that_is_stuck_is_told_of_once() -> None:
    """After a minute of failing alone, and again when Mixin has it after all."""
    on = await stage(owed=20)
    on.mixin.cursed = {uuid(3), uuid(7)}
    await on.tell.wait_for(ReceiptsStuck, lambda event: event.count == 2)
    await asyncio.sleep(3600.0)
    told = on.tell.of(ReceiptsStuck)
    assert {uuid(3), uuid(7)} == {each for event in told for each in event.stuck}
    assert len(told) <= 2
    on.mixin.heal()
    await on.tell.wait_for(ReceiptsStuck, lambda event: event.count == 0)
    cured = [each for event in on.tell.of(ReceiptsStuck) for each in event.cured]
    assert [uuid(3), uuid(7)] == sorted(cured)
    await on.end()


async def test_an_outage_with_steady_traffic_is_no_storm_and_ends_soon() -> None:
    """Single receipts, less than one a second; soon after it everything is READ."""
    on = await stage(owed=5000)
    await on.read(*(uuid(n) for n in range(5000)))
    on.mixin.usual = FAILED
    await asyncio.sleep(10.0)
    begun = len(on.mixin.batches)
    for number in range(10_000, 13_600):
        await on.owe(number)
        await asyncio.sleep(1.0)
    assert len(on.mixin.batches) - begun <= 3600 / EARLY * AT_ONCE
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(10_000, 13_600)), within=20.0)
    await on.end()


async def test_an_outage_over_bad_ids_is_told_from_them() -> None:
    """Everything fails, then all but the bad ids get through, and those alone wait."""
    on = await stage(owed=2000)
    on.mixin.usual = FAILED
    await asyncio.sleep(1800.0)
    on.mixin.heal()
    on.mixin.cursed = {uuid(n) for n in range(450)}
    await on.read(*(uuid(n) for n in range(450, 2000)), within=120.0)
    await on.end()


async def test_a_wait_that_a_bad_id_asks_for_is_its_own() -> None:
    """Retry-After in the answer to one id alone holds up no other."""
    on = await stage()
    on.mixin.cursed, on.mixin.curse = {uuid(1)}, ReceiptsFailed("503", retry_after=300.0)
    ids = await on.owe(*range(1, 100))
    await on.read(*ids[1:], within=400.0)
    for number in range(200, 220):
        (later,) = await on.owe(number)
        await on.read(later, within=LINGER + 0.2)
        await asyncio.sleep(60.0)
    await on.end()


async def test_the_end_of_an_outage_is_found_without_anything_new() -> None:
    """Thousands of bad ids were left, which looks like an outage; nothing else was ever owed."""
    on = await stage(owed=2000)
    on.mixin.cursed = {uuid(n) for n in range(1, 2000)}
    await asyncio.sleep(7200.0)
    on.mixin.heal()
    await on.read(*(uuid(n) for n in range(2000)), within=600.0)
    await on.end()


async def test_what_was_held_back_and_not_recorded_is_sent_again() -> None:
    """A full disk in the middle of the sorting out loses nothing."""
    on = await stage(owed=200)
    on.mixin.cursed = {uuid(1)}
    await on.read(*(uuid(n) for n in range(100, 200)))
    on.disk.full = True
    await asyncio.sleep(60.0)
    on.disk.full = False
    await on.read(*(uuid(n) for n in range(100) if n != 1), within=120.0)
    await on.end()


@given(
    st.sets(st.integers(0, 599), max_size=450),
    st.sets(st.integers(0, 599), max_size=20),
    st.floats(0.0, 300.0),
)
@settings(max_examples=40, deadline=None)
def test_whatever_fails_the_others_are_read(cursed: set[int], bad: set[int], outage: float) -> None:
    """With any bad ids after any outage: exactly the good ones, and the rest once it is healed."""

    async def story() -> None:
        on = await stage(owed=600)
        on.mixin.usual = FAILED
        await asyncio.sleep(outage)
        on.mixin.heal()
        on.mixin.cursed = {uuid(n) for n in cursed}
        on.mixin.bad = {uuid(n) for n in bad}
        later = await on.owe(1000)
        good = [uuid(n) for n in range(600) if n not in cursed | bad]
        await on.read(*later, *good, within=180.0)
        assert not on.mixin.read & (on.mixin.cursed | on.mixin.bad)
        on.mixin.cursed.clear()
        if rest := [uuid(n) for n in cursed - bad]:
            await on.read(*rest, within=900.0)
        await on.end()

    run(story())


# --- Closing ------------------------------------------------------------------------------------


async def test_closing_sends_what_is_owed() -> None:
    """At once, without lingering."""
    on = await stage()
    await asyncio.sleep(1.0)
    await on.owe(1)
    before = asyncio.get_running_loop().time()
    await on.end()
    assert {uuid(1)} == on.mixin.read
    assert asyncio.get_running_loop().time() - before < LINGER


async def test_closing_during_a_round_sends_what_has_come_since() -> None:
    """The last round begins after the close."""
    on = await stage(takes=5.0)
    await asyncio.sleep(1.0)
    await on.owe(2)
    await asyncio.sleep(1.0)
    assert 1 == len(on.mixin.batches)
    await on.owe(1)
    await on.end()
    assert {uuid(1), uuid(2)} == on.mixin.read


async def test_closing_does_not_wait_for_an_outage() -> None:
    """One last round, and what fails is owed at the next start."""
    on = await stage()
    on.mixin.usual = FAILED
    await on.owe(1)
    await on.tell.wait_for(ReceiptsRetried, count=6)
    before = asyncio.get_running_loop().time()
    await on.end()
    assert asyncio.get_running_loop().time() - before < 1.0
    assert 1 == len(await on.disk.owed_receipts(BOT, after=0, limit=10))
