"""The promise: within a conversation messages are delivered in their order, one at a time."""

import pytest

from relay.model.messages import EndpointKey
from tests.core.couriers import Answer
from tests.core.recorder import AttemptEnded
from tests.core.samples import BROKEN, BUSY, CRM, LOG, OK, REFUSED, TIMEOUT, uuid
from tests.core.world import Endpoint, World


def taken(world: World, endpoint: EndpointKey, ids: list[str]) -> list[str]:
    """Give those of the messages that an endpoint took, in that order."""
    posts = world.courier.posts_of(endpoint)
    return [post.message_id for post in posts if post.message_id in ids and post.verdict == OK]


@pytest.mark.parametrize("window", [1, 3, 1000])
async def test_through_failures_and_a_small_window(window: int) -> None:
    """Whatever fails, and however little fits into memory at a time."""
    async with World(Endpoint(CRM, max_deliveries=window), Endpoint(LOG)) as world:
        world.courier.next(CRM, BROKEN, OK, OK, TIMEOUT, REFUSED, OK, BUSY, BROKEN, BROKEN)
        world.courier.next(LOG, OK, BROKEN, BROKEN, OK, TIMEOUT)
        ids = [world.push(n, f"c{n % 3}") for n in range(60)]
        await world.read(*ids)
        for conversation in range(3):
            expected = ids[conversation::3]
            assert expected == taken(world, CRM, expected) == taken(world, LOG, expected)


async def test_one_behind_a_failure_waits_for_it() -> None:
    """And only those of its conversation do."""
    async with World(Endpoint(CRM)) as world:
        first, second, other = world.push(1, "a"), world.push(2, "a"), world.push(3, "b")
        world.courier.for_message(CRM, first, *[BROKEN] * 4)
        await world.settled(other)
        await world.tell.wait_for(AttemptEnded, lambda event: event.message_id == first, count=4)
        assert second not in world.courier.ids(CRM)
        await world.read(first, second)
    assert [first] * 5 + [second] == [n for n in world.courier.ids(CRM) if n != other]


async def test_through_a_crash_and_a_cut() -> None:
    """What was in flight goes first again."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, Answer(OK, takes=10.0))
        ids = [world.push(n) for n in range(6)]
        await world.pass_time(15.0)
        await world.restart()
        await world.pass_time(15.0)
        await world.cut()
        await world.start()
        await world.read(*ids)
    assert [uuid(n) for n in (0, 1, 1, 2, 2, 3, 4, 5)] == world.courier.ids(CRM)


async def test_new_messages_queue_up_behind_a_backlog() -> None:
    """Even if there is room in memory for them, and none of those before them is there."""
    async with World(Endpoint(CRM, max_deliveries=4)) as world:
        world.courier.usually(CRM, Answer(OK, takes=1.0))
        ids = [world.push(n) for n in range(50)]
        for number in range(50, 80):
            await world.pass_time(1.0)
            ids.append(world.push(number))
        await world.read(*ids)
        assert ids == world.courier.ids(CRM)
