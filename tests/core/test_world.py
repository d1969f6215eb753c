"""What the tests of the core stand on: virtual time, and a world that minds the promises."""

import asyncio

import pytest

from relay.facts import DeliverySettled, RelayStopped
from tests.core.couriers import HANG, Answer
from tests.core.samples import BROKEN, CRM, LOG, uuid
from tests.core.virtual_time import NothingWillHappen, run
from tests.core.world import Endpoint, World


async def test_a_message_goes_through() -> None:
    """What is pushed is posted to every endpoint, and READ."""
    async with World(Endpoint(CRM), Endpoint(LOG)) as world:
        first = world.push(1)
        await world.read(first)
        assert [first] == world.courier.ids(CRM) == world.courier.ids(LOG)
        assert 2 == world.tell.count(DeliverySettled)
    assert 0 == world.cut_attempts


async def test_time_leaps() -> None:
    """A day of retries takes no time at all."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(86400.0)
    assert 86400.0 == loop.time()
