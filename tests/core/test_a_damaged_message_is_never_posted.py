"""A message that the journal can't give back: nobody gets anything in its place, and it is told."""

from relay.delivery.breaker import BreakerPolicy
from relay.model.admin import DeadLetterQuery
from relay.model.messages import BreakerState, MessageOutcome, PriorOutcome, Reason
from relay.telemetry.events import MessageDamaged
from tests.core.couriers import HANG, Answer
from tests.core.recorder import AttemptEnded, DeliverySettled, MessageFinished
from tests.core.rows import SPOILT
from tests.core.samples import BROKEN, CRM, LOG, OK
from tests.core.world import Endpoint, World


async def crash_and_damage(world: World, *ids: str) -> None:
    """Crash, and find these messages damaged at the next start."""
    await world.crash()
    for message_id in ids:
        world.rows.spoil(message_id)
    await world.start()


async def test_it_becomes_a_dead_letter_at_once() -> None:
    """Nothing is posted, nothing is READ, and what comes after it in its lane goes on."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, BROKEN)
        bad, good = world.push(1), world.push(2)
        await world.tell.wait_for(AttemptEnded)
        posted = len(world.courier.posts_of(CRM, bad))
        await crash_and_damage(world, bad)
        world.courier.heal()
        await world.settled(bad, good)
        settled = {event.message_id: event for event in world.tell.of(DeliverySettled)}
        finished = {event.message_id: event.outcome for event in world.tell.of(MessageFinished)}
        await world.read(good)
        assert bad not in world.mixin.read
    assert posted == len(world.courier.posts_of(CRM, bad))
    assert (False, Reason.OTHER) == (settled[bad].delivered, settled[bad].reason)
    assert settled[good].delivered
    assert MessageOutcome.DEAD is finished[bad]
    (damaged,) = world.tell.of(MessageDamaged)
    assert (CRM, bad, SPOILT) == (damaged.endpoint, damaged.message_id, damaged.why)


async def test_no_endpoint_is_to_blame() -> None:
    """Neither its gate nor its last error hear of it, and another endpoint's delivery stays."""
    policy = BreakerPolicy(open_after=1)
    async with World(Endpoint(CRM, gate=policy), Endpoint(LOG)) as world:
        world.courier.usually(CRM, Answer(OK, takes=HANG))
        bad = world.push(1)
        await world.settled(bad, endpoint=LOG)
        await crash_and_damage(world, bad)
        await world.settled(bad, endpoint=CRM)
        assert BreakerState.CLOSED is world.run.dispatchers[CRM].breaker.state
        assert (await world.disk.endpoint_note(CRM)).last_error is None
        assert bad not in world.mixin.read


async def test_what_was_restored_is_posted() -> None:
    """An operator who has put the journal right retries the dead letter, and it is delivered."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, BROKEN)
        bad = world.push(1)
        await world.tell.wait_for(AttemptEnded)
        await crash_and_damage(world, bad)
        await world.settled(bad)
        world.rows.restore(bad)
        world.courier.heal()
        await world.desk.retry(DeadLetterQuery(), world.wall())
        await world.read(bad)
    last = world.courier.posts_of(CRM, bad)[-1]
    assert PriorOutcome.UNKNOWN is last.prior  # of the crash, and not of the damage
