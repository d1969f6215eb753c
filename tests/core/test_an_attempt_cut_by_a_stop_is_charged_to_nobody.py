"""The promise: an attempt that a stop cuts short counts against nobody, and is not forgotten."""

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.model.messages import BreakerState, DeliveryState, PriorOutcome
from relay.telemetry.events import AttemptDeferred, BreakerMoved
from tests.core.couriers import Answer
from tests.core.recorder import AttemptStarted
from tests.core.samples import BROKEN, CRM, OK, uuid
from tests.core.world import Endpoint, World

LONG = Answer(OK, takes=60.0)


async def test_the_delivery_is_as_it_was_but_for_the_doubt() -> None:
    """No attempt, no failure, no lost patience: only `unknown`, as the request may be taken."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, LONG, OK)
        first = world.push(1)
        await world.tell.wait_for(AttemptStarted)
        await world.stop(drain=5.0)
        (delivery,) = world.rows.deliveries
        row = delivery.row
        assert (DeliveryState.PENDING, 0, 0, None, True) == (
            delivery.state,
            row.attempts,
            row.failures,
            row.first_attempt_at,
            bool(row.doubtful),
        )
        await world.start()
        assert world.clean
        await world.read(first)
    assert [(1, PriorOutcome.NONE), (1, PriorOutcome.UNKNOWN)] == [
        (post.number, post.prior) for post in world.courier.posts
    ]


async def test_no_number_of_cuts_kills() -> None:
    """Not even a delivery with no patience at all."""
    impatient = RetryPolicy(give_up_after=0.0, rejected_attempts=1)
    async with World(Endpoint(CRM, retry=impatient)) as world:
        world.courier.usually(CRM, LONG)
        first = world.push(1)
        for count in range(1, 21):
            await world.tell.wait_for(AttemptStarted, count=count)
            await world.cut()
            await world.start()
        world.courier.heal()
        await world.restart()
        await world.read(first)


async def test_no_number_of_cuts_opens_the_gate() -> None:
    """Nor does one narrow it."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(open_after=1))) as world:
        world.courier.usually(CRM, LONG)
        for number in range(10):
            world.push(number, f"c{number}")
        await world.tell.wait_for(AttemptStarted, count=10)
        await world.cut()
        assert 10 == world.tell.count(AttemptDeferred) == world.cut_attempts
        states = {(event.state, event.limit) for event in world.tell.of(BreakerMoved)}
        assert {(BreakerState.CLOSED, 16)} == states
        world.courier.heal()
        await world.start()
        await world.read(*(uuid(n) for n in range(10)))


async def test_a_cut_probe_leaves_the_gate_open() -> None:
    """It proves nothing, for good or ill."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1, open_after=1))) as world:
        world.courier.next(CRM, BROKEN, LONG)
        first = world.push(1)
        await world.tell.wait_for(BreakerMoved, lambda event: event.state is BreakerState.PROBING)
        gate = world.run.dispatchers[CRM].breaker
        await world.cut()
        assert (BreakerState.OPEN, 0) == (gate.state, gate.in_flight)
        await world.start()
        await world.read(first)


async def test_what_ends_within_the_drain_is_not_cut() -> None:
    """Only those that take longer are."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, Answer(OK, 3.0), LONG)
        quick, slow = world.push(1, "a"), world.push(2, "b")
        await world.tell.wait_for(AttemptStarted, count=2)
        await world.stop(drain=5.0)
        assert (1, {quick}) == (world.cut_attempts, world.mixin.read)
        await world.start()
        await world.read(slow)
        assert [1, 2] == [len(world.courier.posts_of(CRM, each)) for each in (quick, slow)]


async def test_a_crash_leaves_every_unfinished_delivery_in_doubt() -> None:
    """A start that follows no clean stop says `unknown` of all of them (W3)."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1))) as world:
        world.courier.usually(CRM, LONG)
        ids = [world.push(n, f"c{n}") for n in range(3)]
        await world.tell.wait_for(AttemptStarted)
        world.courier.heal()
        await world.restart()
        assert not world.clean
        await world.read(*ids)
    assert [PriorOutcome.UNKNOWN] * 3 == [post.prior for post in world.courier.posts[1:]]
