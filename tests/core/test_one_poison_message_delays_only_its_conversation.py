"""The promise: a message that a receiver refuses delays its conversation for minutes, not days."""

from relay.model.messages import BreakerState, MessageOutcome
from relay.telemetry.events import BreakerMoved
from tests.core.recorder import DeliverySettled
from tests.core.samples import BOT, CRM, REFUSED
from tests.core.world import Endpoint, World

MINUTE = 60.0


async def test_it_dies_within_minutes_and_its_conversation_goes_on() -> None:
    """Ten attempts, then it is a dead letter, and the next is delivered."""
    async with World(Endpoint(CRM)) as world:
        poison, behind = world.push(1, "a"), world.push(2, "a")
        world.courier.always(CRM, poison, REFUSED)
        started = world.wall()
        await world.read(behind)
        assert world.wall() - started < 15 * MINUTE
        dead, delivered = world.tell.of(DeliverySettled)
        assert (poison, False, 10) == (dead.message_id, dead.delivered, dead.attempts)
        assert (behind, True, 1) == (delivered.message_id, delivered.delivered, delivered.attempts)


async def test_it_stays_unread() -> None:
    """Only a 2xx or an operator would change that, however often Mixin pushes it again."""
    async with World(Endpoint(CRM)) as world:
        poison = world.push(1)
        world.courier.always(CRM, poison, REFUSED)
        await world.settled(poison)
        world.push_unread()
        await world.pass_time(60 * MINUTE)
        assert (10, []) == (len(world.courier.posts), world.mixin.batches)
        assert MessageOutcome.DEAD is world.rows.messages[BOT, poison].outcome


async def test_other_conversations_go_on_at_once() -> None:
    """And the endpoint's gate does not move for it."""
    async with World(Endpoint(CRM)) as world:
        poison = world.push(0, "a")
        world.courier.always(CRM, poison, REFUSED)
        started = world.wall()
        ids = [world.push(n, f"c{n}") for n in range(1, 50)]
        await world.read(*ids, within=5.0)
        assert world.wall() - started < 5.0
        await world.settled(poison)
        assert [(BreakerState.CLOSED, 16)] == [
            (event.state, event.limit) for event in world.tell.of(BreakerMoved)
        ]


async def test_many_of_them_do_not_hold_up_the_rest() -> None:
    """One in ten messages is refused, each in a conversation of its own."""
    async with World(Endpoint(CRM, max_deliveries=20)) as world:
        ids = [world.push(n, f"c{n}") for n in range(200)]
        for poison in ids[::10]:
            world.courier.always(CRM, poison, REFUSED)
        good = [each for n, each in enumerate(ids) if n % 10]
        await world.read(*good, within=30.0)
        await world.settled(*ids)
        assert set(good) == world.mixin.read
