"""What the tests of the core stand on: virtual time, and a world that minds the promises."""

import asyncio

import pytest

from relay.model.messages import PriorOutcome
from tests.core.couriers import FakeCourier
from tests.core.recorder import DeliverySettled
from tests.core.samples import BROKEN, CRM, LOG, OK, delivery, uuid
from tests.core.virtual_time import NothingWillHappen, VirtualLoop, run
from tests.core.world import Endpoint, World


async def test_time_leaps() -> None:
    """A day takes no time at all."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(86400.0)
    assert 86400.0 == loop.time()


async def test_timers_go_off_in_their_order() -> None:
    """Whoever waits for less comes first, whatever was said first."""
    order: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (3.0, 1.0, 2.0)))
    assert [1.0, 2.0, 3.0] == order


def test_a_test_that_would_hang_fails() -> None:
    """When nobody can ever be woken the loop says so, at once."""
    loop = VirtualLoop()
    try:
        waiting = loop.create_task(asyncio.Event().wait())
        with pytest.raises(NothingWillHappen):
            loop.run_until_complete(waiting)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(waiting)
    finally:
        loop.close()


async def test_a_message_goes_through() -> None:
    """What is pushed is posted to every endpoint, and READ."""
    async with World(Endpoint(CRM), Endpoint(LOG)) as world:
        first = world.push(1)
        await world.read(first)
        assert [first] == world.courier.ids(CRM) == world.courier.ids(LOG)
        assert 2 == world.tell.count(DeliverySettled)
    assert 0 == world.cut_attempts


# --- The fakes see what breaks a promise --------------------------------------------------------


async def test_the_courier_sees_a_second_post_after_a_2xx() -> None:
    """A message whose 2xx was read goes out again only after a cut or a crash."""
    courier = FakeCourier()
    await courier.attempt(CRM, delivery(1))
    await courier.attempt(CRM, delivery(1))
    assert 2 == len(courier.violations)  # it is a duplicate, and does not say so


async def test_the_courier_sees_a_duplicate_that_does_not_say_so() -> None:
    """After a crash a duplicate may be, but must say `unknown`."""
    courier = FakeCourier()
    await courier.attempt(CRM, delivery(1))
    courier.interrupted()
    await courier.attempt(CRM, delivery(1))
    assert [f"{CRM} {uuid(1)} #1 may be a duplicate, and says {PriorOutcome.NONE}"] == (
        courier.violations
    )


async def test_the_courier_sees_two_of_a_lane() -> None:
    """One request of a lane at a time, and in the journal's order."""
    courier = FakeCourier()
    for number in (1, 2):
        courier.recorded(delivery(number))
    await asyncio.gather(*(courier.attempt(CRM, delivery(number)) for number in (1, 2)))
    assert 2 == len(courier.violations)


async def test_the_courier_sees_one_that_passes_another_by() -> None:
    """What failed keeps its place."""
    courier = FakeCourier()
    courier.usually(CRM, BROKEN)
    for number in (1, 2):
        courier.recorded(delivery(number))
        await courier.attempt(CRM, delivery(number))
    assert [f"{CRM} {uuid(2)} #1 goes before {uuid(1)} has ended"] == courier.violations


def test_mixin_sees_a_read_before_its_2xx() -> None:
    """A receipt of a message that an endpoint has not taken is noted."""

    async def main() -> list[str]:
        world = World(Endpoint(CRM), Endpoint(LOG))
        await world.start()
        world.courier.usually(LOG, BROKEN)
        first = world.push(1)
        await world.settled(first, endpoint=CRM)
        await world.mixin.mark_read([first])
        await world.end()
        return world.violations

    assert [f"READ of {uuid(1)} before its 2xx"] == run(main())


async def test_the_last_of_a_script_is_followed_by_the_usual() -> None:
    """A message's own script comes first, then its endpoint's, then what is usual there."""
    courier = FakeCourier()
    courier.next(CRM, BROKEN)
    courier.for_message(CRM, uuid(1), OK)
    first = [await courier.attempt(CRM, delivery(number, str(number))) for number in (1, 2, 3)]
    assert [OK, BROKEN, OK] == first
