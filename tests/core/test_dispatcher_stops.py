"""What stopping promises: nothing starts, what is in flight may end, or is cut."""

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.model.messages import PriorOutcome
from relay.telemetry.events import AttemptDeferred
from tests.core.couriers import HANG, Answer
from tests.core.recorder import AttemptEnded, AttemptStarted
from tests.core.samples import BROKEN, CRM, OK
from tests.core.world import Endpoint, World

ONE = BreakerPolicy(concurrency=1)


async def test_a_stop_starts_nothing_and_lets_what_is_in_flight_end() -> None:
    """What ends in time is recorded; what waits is attempted after the next start."""
    async with World(Endpoint(CRM, gate=ONE)) as world:
        world.courier.next(CRM, Answer(OK, 20.0))
        first, second = world.push(1, "a"), world.push(2, "b")
        await world.tell.wait_for(AttemptStarted)
        await world.stop()
        assert (0, [first]) == (world.cut_attempts, world.courier.ids(CRM))
        assert {first} == world.mixin.read
        await world.start()
        assert world.clean
        await world.read(second)
    assert [PriorOutcome.NONE] * 2 == [post.prior for post in world.courier.posts]


async def test_a_stop_does_not_wait_for_sleepers() -> None:
    """Retries, probes and pauses are left to the next start."""
    async with World(Endpoint(CRM, retry=RetryPolicy(first=600.0))) as world:
        world.courier.next(CRM, BROKEN)
        world.push(1)
        await world.tell.wait_for(AttemptEnded)
        before = world.wall()
        await world.stop()
        assert world.wall() - before < 2.0


async def test_a_cut_attempt_is_deferred() -> None:
    """It is told, and the gate forgets it."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, Answer(OK, HANG))
        first = world.push(1)
        await world.tell.wait_for(AttemptStarted)
        dispatcher = world.run.dispatchers[CRM]
        await world.cut()
        assert (1, 0) == (world.cut_attempts, dispatcher.breaker.in_flight)
        assert [AttemptDeferred(CRM, first)] == world.tell.of(AttemptDeferred)
        assert 0 == world.tell.count(AttemptEnded)
        await world.start()


async def test_a_crash_is_no_cut() -> None:
    """A worker that is cancelled otherwise ends, and pretends nothing."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, Answer(OK, HANG))
        world.push(1)
        await world.tell.wait_for(AttemptStarted)
        await world.crash()
        assert 0 == world.tell.count(AttemptDeferred)
        await world.start()
