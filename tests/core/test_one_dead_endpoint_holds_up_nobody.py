"""The promise: an endpoint that is down, slow, gone or paused is nobody else's trouble."""

import pytest

from relay.delivery.breaker import BreakerPolicy
from relay.telemetry.events import ReceiptsConfirmed
from tests.core.couriers import HANG, Answer, Script
from tests.core.samples import BROKEN, BUSY, CRM, GONE, LOG, OK, REFUSED, TIMEOUT
from tests.core.world import Endpoint, World

DEAD: list[Script] = [
    BROKEN,
    BUSY,
    GONE,
    REFUSED,
    Answer(TIMEOUT, takes=15.0),
    Answer(takes=HANG),
]


@pytest.mark.parametrize("dead", DEAD, ids=["500", "429", "410", "400", "timeout", "hang"])
async def test_the_other_endpoint_gets_everything_at_once(dead: Script) -> None:
    """A hundred messages reach the one within seconds while the other takes none."""
    async with World(Endpoint(CRM, max_deliveries=10), Endpoint(LOG)) as world:
        world.courier.usually(CRM, dead)
        started = world.wall()
        ids = [world.push(n, f"c{n % 7}") for n in range(100)]
        await world.settled(*ids, endpoint=LOG)
        assert world.wall() - started < 5.0
        assert 100 == len(world.courier.posts_of(LOG))
        assert 0 == world.tell.count(ReceiptsConfirmed)


@pytest.mark.parametrize("dead", DEAD, ids=["500", "429", "410", "400", "timeout", "hang"])
async def test_a_long_outage_costs_the_journal_next_to_nothing(dead: Script) -> None:
    """An hour of it: nothing is read for the living one, and only attempts at the dead one cost.

    A minute has a message at the living one in three transactions, and a look at what is old; an
    attempt at the dead one, which waits for its turn, has its outcome, and sometimes a note.
    """
    async with World(Endpoint(CRM), Endpoint(LOG, required=False)) as world:
        world.courier.usually(LOG, dead)
        for number in range(60):
            await world.settled(world.push(number, "one"), endpoint=CRM)
            await world.pass_time(60.0)
        attempts = len(world.courier.posts_of(LOG))
        assert 60 <= len(world.courier.posts_of(CRM))
        assert world.disk.writes <= 4 * 60 + 2 * attempts + 5
        assert world.disk.read_for[CRM] <= 2  # at the start, and what came during that
        assert world.disk.read_for[LOG] <= attempts + 20


async def test_an_optional_endpoint_holds_no_receipt_back() -> None:
    """What is not required is owed every message, and READ does not wait for it."""
    async with World(Endpoint(CRM), Endpoint(LOG, required=False)) as world:
        world.courier.usually(LOG, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(20)]
        await world.read(*ids, within=5.0)
        world.courier.heal()
        await world.settled(*ids, endpoint=LOG)


async def test_no_endpoint_gets_a_message_twice_because_of_another() -> None:
    """While one fails for hours the other, which took the message, hears no more of it."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(probe_max=600.0)), Endpoint(LOG)) as world:
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(5)]
        for _ in range(5):
            await world.pass_time(1000.0)
            world.push_unread()
        world.courier.heal()
        await world.read(*ids)
        assert sorted(ids) == sorted(world.courier.ids(LOG))


async def test_one_hot_conversation_keeps_no_other_out() -> None:
    """A conversation with more messages than the window holds has one slot, and others theirs."""
    async with World(Endpoint(CRM, max_deliveries=100)) as world:
        world.courier.usually(CRM, Answer(OK, 1.0))
        for number in range(300):
            world.push(number, "hot")
        await world.pass_time(2.0)
        started = world.wall()
        await world.settled(*(world.push(1000 + n, f"c{n}") for n in range(10)))
        assert world.wall() - started < 10.0


async def test_a_steady_overload_starves_nobody() -> None:
    """What failed once, and what did not fit, has its turn while more comes than can go."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=4), max_deliveries=40)) as world:
        world.courier.next(CRM, BROKEN)
        world.courier.usually(CRM, Answer(OK, 1.0))
        await world.pass_time(1.0)
        first = world.push(0, "first")
        for number in range(1, 61):  # more than the window holds
            world.push(number, f"c{number}")
        started = world.wall()
        for number in range(61, 1200):  # five a second, and four a second can go
            world.push(number, f"c{number}")
            await world.pass_time(0.2)
            if len(world.courier.posts_of(CRM, first)) > 1:
                break
        assert world.wall() - started < 100.0
        assert 2 == len(world.courier.posts_of(CRM, first))
