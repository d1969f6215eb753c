"""What dispatching promises: what is due, once, judged, recorded, and only then the next."""

import asyncio
from itertools import pairwise

import pytest

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.journal.writer import MAX_GROUP
from relay.model.messages import (
    BreakerState,
    MessageOutcome,
    PriorOutcome,
    Reason,
)
from relay.telemetry.events import AttemptCrashed, BreakerMoved, JournalFailed
from tests.core.couriers import Answer
from tests.core.recorder import AttemptEnded, AttemptStarted, DeliverySettled, MessageFinished
from tests.core.samples import BROKEN, BUSY, CRM, LOG, OK, TIMEOUT, uuid
from tests.core.world import Endpoint, World

IMPATIENT = RetryPolicy(give_up_after=0.0)
BRIEF = RetryPolicy(first=0.1, max=0.1, rejected_attempts=3)
ONE = BreakerPolicy(concurrency=1)


# --- One delivery -------------------------------------------------------------------------------


async def test_a_delivery_is_told_from_its_start_to_its_end() -> None:
    """Started, ended, settled, and the message finished, each as an event."""
    async with World(Endpoint(CRM, retry=BRIEF)) as world:
        world.courier.next(CRM, Answer(BROKEN, 0.25), Answer(OK, 0.5))
        first = world.push(1)
        await world.tell.wait_for(MessageFinished)
        assert [1, 2] == [event.number for event in world.tell.of(AttemptStarted)]
        failed, succeeded = world.tell.of(AttemptEnded)
        settled = world.tell.of(DeliverySettled)[0]
    assert (1, BROKEN) == (failed.attempt.number, failed.attempt.verdict)
    assert pytest.approx(0.25) == failed.attempt.duration
    assert (OK, None) == (succeeded.attempt.verdict, succeeded.due_at)
    assert failed.due_at is not None
    assert failed.attempt.started_at < failed.due_at <= succeeded.attempt.started_at
    assert (CRM, first, True, 2, None) == (
        settled.endpoint,
        settled.message_id,
        settled.delivered,
        settled.attempts,
        settled.reason,
    )
    ended = succeeded.attempt.started_at + succeeded.attempt.duration
    received = world.rows.messages["bot", first].received_at
    assert pytest.approx(ended - received) == settled.delay


async def test_a_dead_letter_says_why() -> None:
    """The reason of the last attempt is told, and its message finishes unread."""
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.usually(CRM, TIMEOUT)
        first = world.push(1)
        finished = await world.tell.wait_for(MessageFinished)
        settled = world.tell.of(DeliverySettled)[0]
    assert (False, Reason.TIMEOUT) == (settled.delivered, settled.reason)
    assert MessageOutcome.DEAD is finished.outcome
    assert first not in world.mixin.read


async def test_attempts_say_what_is_known_of_the_earlier_ones() -> None:
    """None before the first, failed after clear failures, and unknown for ever after a timeout."""
    async with World(Endpoint(CRM, retry=BRIEF)) as world:
        world.courier.next(CRM, BROKEN, BROKEN, TIMEOUT, BROKEN, OK)
        await world.read(world.push(1))
    assert [
        (1, PriorOutcome.NONE),
        (2, PriorOutcome.FAILED),
        (3, PriorOutcome.FAILED),
        (4, PriorOutcome.UNKNOWN),
        (5, PriorOutcome.UNKNOWN),
    ] == [(post.number, post.prior) for post in world.courier.posts]


async def test_a_bug_in_one_message_stays_inside_it() -> None:
    """It is told with its trace and retried like a rejection, until it is dead; others go on."""
    async with World(Endpoint(CRM, retry=BRIEF)) as world:
        bad = world.push(1, "a")
        world.courier.always(CRM, bad, "crash")
        good = world.push(2, "b")
        await world.settled(bad, good)
        crashes = world.tell.of(AttemptCrashed)
        settled = {event.message_id: event for event in world.tell.of(DeliverySettled)}
        assert BreakerState.CLOSED is world.run.dispatchers[CRM].breaker.state
    assert [bad] * 3 == [event.message_id for event in crashes]
    assert all("ZeroDivisionError" in event.trace for event in crashes)
    assert (False, Reason.OTHER) == (settled[bad].delivered, settled[bad].reason)
    assert settled[good].delivered
    unknown = [post.prior for post in world.courier.posts_of(CRM, bad)][1:]
    assert [PriorOutcome.UNKNOWN] * 2 == unknown


async def test_an_outcome_that_can_not_be_written_is_charged_to_nobody() -> None:
    """By a bug of ours: its delivery goes again, as `unknown`, and others go on meanwhile."""
    async with World(Endpoint(CRM)) as world:
        await world.pass_time(1.0)
        world.disk.broken = 1
        first = world.push(1, "a")
        await world.tell.wait_for(AttemptCrashed)
        world.courier.interrupted()
        await world.read(world.push(2, "b"), within=5.0)
        second = world.push(3, "a")
        await world.read(first, second)
    assert [(first, 1), (first, 1), (second, 1)] == [
        (post.message_id, post.number) for post in world.courier.posts if post.lane == "a"
    ]


async def test_what_follows_a_probe_in_its_conversation_goes() -> None:
    """The journal keeps its lane for the retry of the probe: what comes later goes all the same."""
    async with World(Endpoint(CRM, retry=BRIEF, gate=BreakerPolicy(open_after=3))) as world:
        await world.pass_time(1.0)
        world.courier.next(CRM, *[BROKEN] * 5)
        await world.read(world.push(1), within=1000.0)
        await world.pass_time(1.0)
        await world.read(world.push(2), within=1.0)


async def test_attempts_wait_for_a_writer_that_does_not_keep_up() -> None:
    """What is delivered and not committed may come twice: it is never more than a group or so."""
    endpoint = Endpoint(CRM, gate=BreakerPolicy(concurrency=64), max_deliveries=5000)
    async with World(endpoint, latency=0.0) as world:
        world.courier.usually(CRM, Answer(OK, 0.001))
        for number in range(3000):
            world.push(number, f"c{number}")
        await world.run.writer.idle()
        world.disk.full = True
        await world.pass_time(60.0)
        uncommitted = len(world.courier.posts) - world.tell.count(DeliverySettled)
        assert MAX_GROUP <= uncommitted <= 2 * MAX_GROUP + 64
        world.disk.full = False
        await world.read(*(uuid(n) for n in range(3000)))


async def test_nothing_follows_an_outcome_before_it_is_committed() -> None:
    """The next of its lane and the receipt wait for the commit (W4)."""
    async with World(Endpoint(CRM)) as world:
        first, second = world.push(1), world.push(2)
        await world.tell.wait_for(AttemptStarted)
        world.disk.full = True
        await world.pass_time(60.0)
        assert world.courier.posts[0].verdict == OK
        assert [first] == world.courier.ids(CRM)
        assert [] == world.mixin.batches
        world.disk.full = False
        await world.read(first, second)
    assert [first, second] == world.courier.ids(CRM)


async def test_a_message_of_two_endpoints_is_read_after_both() -> None:
    """The receipt follows the last required delivery."""
    async with World(Endpoint(CRM), Endpoint(LOG)) as world:
        world.courier.next(LOG, Answer(OK, takes=100.0))
        first = world.push(1)
        await world.settled(first, endpoint=CRM)
        await world.pass_time(90.0)
        assert [] == world.mixin.batches
        await world.read(first)


# --- How many at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3, 16])
async def test_at_most_so_many_are_in_flight(concurrency: int) -> None:
    """`concurrency` lanes go side by side, and no more."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=concurrency))) as world:
        ids = [world.push(n, f"c{n}") for n in range(40)]
        await world.read(*ids)
    assert concurrency == world.courier.most_in_flight[CRM]


async def test_without_ordering_nothing_waits() -> None:
    """One conversation's messages go side by side if the bot says so."""
    async with World(Endpoint(CRM), by_conversation=False) as world:
        ids = [world.push(n) for n in range(16)]
        await world.read(*ids)
    assert 16 == world.courier.most_in_flight[CRM]


# --- The gate -----------------------------------------------------------------------------------


async def test_an_open_gate_lets_one_probe_through_at_a_time() -> None:
    """While it is open nothing else is attempted or charged."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=4, open_after=3))) as world:
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(20)]
        opened = await world.tell.wait_for(
            BreakerMoved, lambda event: event.state is BreakerState.OPEN
        )
        assert (1, "http_5xx, status 500") == (opened.limit, opened.detail)
        before = len(world.courier.posts)
        await world.pass_time(300.0)
        attempted = {post.message_id for post in world.courier.posts[: before + 1]}
        probes = world.courier.posts[before + 1 :]
        ends = [post.ended_at or 0.0 for post in world.courier.posts[before:]]
        starts = [post.started_at for post in probes]
        assert all(start > end for start, end in zip(starts, ends, strict=False))
        world.courier.heal()
        await world.read(*ids)
    attempted |= {post.message_id for post in probes}
    assert {1} == {len(world.courier.posts_of(CRM, n)) for n in ids if n not in attempted}


async def test_a_probe_is_the_same_delivery_at_growing_intervals() -> None:
    """The oldest due delivery probes again and again: the gate's wait replaces its own."""
    gate = BreakerPolicy(concurrency=1, open_after=1, probe_first=1.0, probe_max=8.0)
    retry = RetryPolicy(first=600.0, max=600.0)
    async with World(Endpoint(CRM, gate=gate, retry=retry)) as world:
        world.courier.usually(CRM, Answer(BROKEN, 0.0))
        first, second = world.push(1, "a"), world.push(2, "b")
        await world.tell.wait_for(AttemptEnded, count=7)
        starts = [post.started_at for post in world.courier.posts]
        gaps = [later - sooner for sooner, later in pairwise(starts)]
        assert pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0, 8.0], abs=0.05) == gaps
        assert [first] * 7 == world.courier.ids(CRM)
        world.courier.heal()
        await world.read(first, second)


async def test_a_probe_takes_the_oldest_that_is_due() -> None:
    """Not the one that has been ready longest: who came first gets through first."""
    gate = BreakerPolicy(concurrency=1, open_after=1)
    async with World(Endpoint(CRM, gate=gate)) as world:
        world.courier.next(CRM, OK, BROKEN)
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, lane) for n, lane in ((1, "a"), (2, "a"), (3, "b"), (4, "c"))]
        await world.tell.wait_for(AttemptEnded, count=4)
        first, second, third, _ = ids
        assert [first, third, second, second] == world.courier.ids(CRM)
        world.courier.heal()
        await world.read(*ids)


async def test_a_long_outage_uses_up_the_patience_with_one_message_only() -> None:
    """However long a receiver is away: what was never attempted is charged nothing."""
    async with World(Endpoint(CRM, max_deliveries=50)) as world:
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(200)]
        await world.tell.wait_for(BreakerMoved, lambda event: event.state is BreakerState.OPEN)
        await world.pass_time(100.0)
        charged = set(world.courier.ids(CRM))
        await world.pass_time(24 * 3600.0)
        assert len(set(world.courier.ids(CRM)) - charged) <= 1
        assert len(charged) < 50
        world.courier.heal()
        await world.read(*ids)


async def test_retry_after_pauses_the_whole_endpoint() -> None:
    """Nothing is posted there until the receiver's time has come; another endpoint goes on."""
    async with World(Endpoint(CRM, gate=ONE), Endpoint(LOG)) as world:
        world.courier.next(CRM, Answer(BUSY, 0.0))
        ids = [world.push(n, f"c{n}") for n in range(3)]
        await world.settled(*ids, endpoint=LOG)
        assert 1 == len(world.courier.posts_of(CRM))
        await world.read(*ids)
    first, second, *_ = world.courier.posts_of(CRM)
    assert second.started_at - first.started_at > 29.99


async def test_the_gate_is_told_when_it_moves_only() -> None:
    """Neither state nor limit repeats itself."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=2, open_after=2))) as world:
        world.courier.next(CRM, BROKEN, BROKEN, BROKEN)
        await world.read(*(world.push(n, f"c{n}") for n in range(10)))
        moves = [(event.state, event.limit) for event in world.tell.of(BreakerMoved)]
    assert all(sooner != later for sooner, later in pairwise(moves))
    assert [(BreakerState.CLOSED, 2), (BreakerState.CLOSED, 1), (BreakerState.OPEN, 1)] == moves[:3]
    assert (BreakerState.CLOSED, 2) == moves[-1]


# --- The journal in trouble ---------------------------------------------------------------------


async def test_a_journal_that_can_not_be_read_is_asked_again() -> None:
    """What it holds is delivered as soon as it can be read."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        await world.tell.wait_for(AttemptEnded)
        await world.crash()
        world.courier.heal()
        posts, reads = len(world.courier.posts), world.disk.reads
        await world.start()
        world.disk.unreadable = True
        await world.pass_time(100.0)
        assert posts == len(world.courier.posts)
        assert 50 <= world.disk.reads - reads <= 250
        world.disk.unreadable = False
        await world.read(first)


async def test_what_is_in_memory_goes_on_while_the_journal_can_not_be_read() -> None:
    """A failed load is told, and does not stand before what is ready."""
    gate = BreakerPolicy(concurrency=2)
    async with World(Endpoint(CRM, gate=gate, max_deliveries=10)) as world:
        world.courier.usually(CRM, Answer(OK, 1.0))
        for number in range(40):
            world.push(number, f"c{number}")
        await world.tell.wait_for(AttemptEnded)
        world.disk.unreadable = True
        before = len(world.courier.posts)
        await world.pass_time(30.0)
        assert len(world.courier.posts) > before
        assert world.tell.count(JournalFailed) > 0


async def test_a_note_that_can_not_be_written_is_written_later() -> None:
    """It is only a note: no delivery waits for it."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1, open_after=1))) as world:
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        await world.tell.wait_for(AttemptEnded)
        world.disk.full = True
        await world.pass_time(30.0)
        world.disk.full = False
        world.courier.heal()
        await world.read(first)
        await world.pass_time(0.1)
        assert BreakerState.CLOSED is (await world.disk.endpoint_note(CRM)).state


async def test_a_wall_clock_that_is_set_forward_is_noticed() -> None:
    """A sleeper looks at the clock again within half a minute."""
    async with World(Endpoint(CRM, retry=RetryPolicy(first=3600.0, max=3600.0))) as world:
        world.courier.next(CRM, BROKEN)
        first = world.push(1)
        await world.tell.wait_for(AttemptEnded)
        await world.pass_time(1.0)
        world.clock_is_set(3600.0)
        await world.tell.wait_for(AttemptStarted, count=2, within=35.0)
        await world.read(first)


async def test_nothing_turns_in_circles() -> None:
    """An idle relay with a backlog it may not deliver hardly reads the journal."""
    async with World(Endpoint(CRM, max_deliveries=4), latency=0.0) as world:
        await world.desk.pause(CRM)
        await world.pass_time(2.0)
        for number in range(20):
            world.push(number, f"c{number}")
        await world.pass_time(5.0)
        reads = world.disk.reads
        await world.pass_time(3000.0)
        assert world.disk.reads - reads <= 100
        await world.desk.resume(CRM)
        await world.read(*(uuid(n) for n in range(20)))
        assert asyncio.get_running_loop().time() < 3100.0
