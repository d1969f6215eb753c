"""What recording outcomes promises: whoever waits goes on once it is committed, not before."""

import asyncio

import pytest

from relay.delivery.outcomes import Outcomes
from relay.model.journal import Arrival, Fresh, Owed, Settled
from relay.model.messages import (
    Deferred,
    Delivered,
    Delivery,
    MessageOutcome,
    Postponed,
    PriorOutcome,
)
from tests.core.disk import Disk
from tests.core.recorder import Recorder
from tests.core.samples import BROKEN, CRM, OK, attempt, message
from tests.core.virtual_time import EPOCH
from tests.journal.model.journal import MemoryJournal


async def ready(disk: Disk, count: int = 1) -> list[Delivery]:
    """Let a journal hold so many deliveries, each in a lane of its own."""
    await disk.start([CRM], EPOCH)
    owed = [Arrival(message(n), (Owed(CRM, f"l{n}", required=True),)) for n in range(count)]
    recorded = await disk.record(owed)
    return [each.deliveries[0] for each in recorded if isinstance(each, Fresh)]


async def test_an_outcome_is_answered_once_it_is_committed() -> None:
    """What follows from it comes from the journal, and after the commit."""
    disk = Disk(MemoryJournal(), latency=1.0)
    (one,) = await ready(disk)
    outcomes = Outcomes(disk, Recorder(), lambda: EPOCH)
    running = asyncio.create_task(outcomes.run())
    settled = await outcomes.record(Delivered(one, attempt(OK)))
    assert Settled(lane_continues=False, receipt_owed=True) == settled
    assert 1 == len(await disk.owed_receipts("bot", after=0, limit=10))
    outcomes.close()
    await running


async def test_outcomes_that_come_together_are_committed_together() -> None:
    """Each waits for its own answer, and gets it."""
    disk = Disk(MemoryJournal(), latency=0.1)
    one, two, three = await ready(disk, 3)
    tell = Recorder()
    outcomes = Outcomes(disk, tell, lambda: EPOCH)
    waiting = [
        asyncio.create_task(outcomes.record(outcome))
        for outcome in (
            Delivered(one, attempt(OK)),
            Delivered(two, attempt(OK)),
            Postponed(three, attempt(BROKEN), EPOCH + 5),
        )
    ]
    await asyncio.sleep(0)
    outcomes.close()
    await outcomes.run()
    answers = [task.result() for task in waiting]
    assert [False, False, True] == [answer.lane_continues for answer in answers]
    assert [True, True, False] == [answer.receipt_owed for answer in answers]
    assert [None] * 3 == [answer.finished for answer in answers]
    assert 1 == len(tell.facts)


async def test_a_cut_is_marked() -> None:
    """A delivery whose attempt a stop cut short is doubtful, and no attempt the older."""
    disk = Disk(MemoryJournal())
    (one,) = await ready(disk)
    outcomes = Outcomes(disk, Recorder(), lambda: EPOCH)
    running = asyncio.create_task(outcomes.run())
    await outcomes.defer(Deferred(one))
    due = await disk.due(CRM, EPOCH, skip=(), limit=10, max_bytes=1000)
    assert [(0, PriorOutcome.UNKNOWN)] == [
        (each.attempts, each.prior_outcome) for each in due.deliveries
    ]
    outcomes.close()
    await running


async def test_one_who_has_gone_holds_up_nobody() -> None:
    """A worker that was cancelled while it waited leaves the others their answers."""
    disk = Disk(MemoryJournal(), latency=0.1)
    one, two = await ready(disk, 2)
    outcomes = Outcomes(disk, Recorder(), lambda: EPOCH)
    running = asyncio.create_task(outcomes.run())
    gone = asyncio.create_task(outcomes.record(Delivered(one, attempt(OK))))
    stays = asyncio.create_task(outcomes.record(Delivered(two, attempt(OK))))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (await stays).receipt_owed
    assert 2 == len(await disk.owed_receipts("bot", after=0, limit=10))
    outcomes.close()
    await running


async def test_an_outcome_waits_for_a_full_disk() -> None:
    """It is neither lost nor answered while the journal takes no writes."""
    disk = Disk(MemoryJournal())
    (one,) = await ready(disk)
    outcomes = Outcomes(disk, Recorder(), lambda: EPOCH)
    running = asyncio.create_task(outcomes.run())
    disk.full = True
    waiting = asyncio.create_task(outcomes.record(Delivered(one, attempt(OK))))
    await asyncio.sleep(60.0)
    assert not waiting.done()
    disk.full = False
    settled = await waiting
    assert (True, None) == (settled.receipt_owed, settled.finished)
    assert MessageOutcome.READ not in [row.outcome for row in disk.journal.store.by_seq.values()]
    outcomes.close()
    await running
