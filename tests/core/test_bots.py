"""Bots come, go and begin anew, each alone: its neighbours' messages flow, and nothing is lost."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from relay.bot import Bot
from relay.model.admin import ReloadRefused
from relay.model.messages import DeliveryState, EndpointKey
from relay.supervisor import Plan
from relay.telemetry.events import BotLeft, EndpointLeft
from tests.core.couriers import HANG, Answer
from tests.core.listeners import FakeConnections, FakeListener
from tests.core.recorder import AttemptStarted
from tests.core.samples import BOT, BROKEN, CRM
from tests.core.world import Endpoint, World

SALES = "sales"
THEIRS = Endpoint(EndpointKey(SALES, "crm"))
GONE = Plan(stopped=[SALES], removed=[THEIRS.key])
DISCARDED = replace(GONE, discard=True)


def coming(world: World, name: str = SALES) -> Plan:
    """Plan for a bot that comes."""
    theirs = Endpoint(EndpointKey(name, "crm"))
    return Plan(started={name: lambda: world.bot(name, theirs)}, added=[theirs.key])


def anew(world: World) -> Plan:
    """Plan for a bot that begins anew."""
    return Plan(stopped=[SALES], started={SALES: lambda: world.bot(SALES, THEIRS)})


async def two_bots(world: World) -> Bot:
    """Let a second bot come; answers with it."""
    await world.change_bots(coming(world))
    return world.run.supervisor.bots[SALES]


def listener(bot: Bot) -> FakeListener:
    return cast("FakeListener", bot._listener)


async def test_a_bot_that_comes_gets_its_messages() -> None:
    """What is pushed to it is delivered and READ, and the other bot notices nothing."""
    async with World(Endpoint(CRM)) as world:
        await two_bots(world)
        ids = [world.push(1), world.push(2, bot=SALES)]
        await world.read(*ids)
        assert [(CRM, ids[0]), (THEIRS.key, ids[1])] == sorted(
            (post.endpoint, post.message_id) for post in world.courier.posts
        )


async def test_a_bot_that_goes_comes_to_rest_alone() -> None:
    """It reads no more; what is in flight ends, is receipted, and only then it hangs up."""
    async with World(Endpoint(CRM)) as world:
        bot = await two_bots(world)
        world.courier.next(THEIRS.key, Answer(takes=10.0))
        first = world.push(1, bot=SALES)
        await world.tell.wait_for(AttemptStarted)
        going = asyncio.create_task(world.change_bots(DISCARDED))
        await world.pass_time(1.0)
        assert (False, [BOT]) == (listener(bot).reading, [*world.run.supervisor.bots])
        second = world.push(2)
        await world.read(second, within=2.0)
        assert not going.done()
        assert 0 == await going
        assert {first, second} <= world.mixin.read
        assert [THEIRS.key] == [event.endpoint for event in world.tell.of(EndpointLeft)]
        assert [SALES] == [event.bot for event in world.tell.of(BotLeft)]
        (webhook,) = bot.webhooks.values()
        assert not cast("FakeConnections", webhook.connections).open
        assert not world.rows.configured[THEIRS.key]


async def test_a_bot_that_is_owed_deliveries_stays() -> None:
    """As an endpoint does: refused, with how much it is, and everything goes on."""
    async with World(Endpoint(CRM)) as world:
        await two_bots(world)
        world.courier.next(THEIRS.key, BROKEN)
        first = world.push(1, bot=SALES)
        await world.tell.wait_for(AttemptStarted)
        with pytest.raises(ReloadRefused, match=r"^sales/crm: is owed 1 deliveries; expected none"):
            await world.change_bots(GONE)
        await world.read(first)
        assert 0 == await world.change_bots(GONE)


async def test_what_is_not_journaled_yet_is_forgotten() -> None:
    """It stays unread, so that Mixin pushes it again: nobody is owed it by settings of before."""
    async with World(Endpoint(CRM), latency=1.0) as world:
        await two_bots(world)
        first = world.push(1, bot=SALES)
        await world.pass_time(0.1)  # while it is committed
        second = world.push(2, bot=SALES)
        world.courier.usually(THEIRS.key, Answer(takes=HANG))
        assert 1 == await world.change_bots(DISCARDED)
        assert [(SALES, first)] == [key for key in world.rows.messages if key[0] == SALES]
        world.courier.heal()
        await two_bots(world)
        world.push_unread()
        await world.read(second)


async def test_a_bot_begins_anew_after_its_end() -> None:
    """What is in flight ends first; what waits is taken up in its order, nothing twice."""
    async with World(Endpoint(CRM)) as world:
        old = await two_bots(world)
        world.courier.next(THEIRS.key, Answer(takes=10.0))
        ids = [world.push(number, bot=SALES) for number in range(1, 6)]
        await world.tell.wait_for(AttemptStarted)
        restarting = asyncio.create_task(world.change_bots(anew(world)))
        await world.pass_time(1.0)
        other = world.push(9)
        await world.read(other, within=2.0)
        assert SALES not in world.run.supervisor.bots
        await restarting
        assert old is not world.run.supervisor.bots[SALES]
        await world.read(*ids)
        assert ids == world.courier.ids(THEIRS.key)
        assert [THEIRS.key] == world.disk.dropped
        assert [] == world.tell.of(BotLeft)


async def test_a_bot_that_begins_anew_waits_for_the_journal() -> None:
    """A receiver's answer is written down first, or the message would be posted again."""
    async with World(Endpoint(CRM)) as world:
        await two_bots(world)
        world.courier.next(THEIRS.key, Answer(takes=5.0))
        first = world.push(1, bot=SALES)
        await world.tell.wait_for(AttemptStarted)
        restarting = asyncio.create_task(world.change_bots(anew(world)))
        await world.pass_time(1.0)
        world.disk.full = True
        await world.pass_time(60.0)
        assert not restarting.done()
        world.disk.full = False
        await restarting
        await world.read(first)
        assert [first] == world.courier.ids(THEIRS.key)


async def test_two_bots_of_one_app_never_run_beside_each_other() -> None:
    """The new one waits for the end of the one that goes."""
    async with World(Endpoint(CRM)) as world:
        await two_bots(world)
        world.courier.next(THEIRS.key, Answer(takes=10.0))
        world.push(1, bot=SALES)
        await world.tell.wait_for(AttemptStarted)
        plan = replace(
            coming(world, "renamed"), stopped=[SALES], removed=[THEIRS.key], discard=True
        )
        changing = asyncio.create_task(world.change_bots(plan))
        await world.pass_time(1.0)
        assert {BOT} == set(world.run.supervisor.bots)
        await changing
        assert {BOT, "renamed"} == set(world.run.supervisor.bots)


async def test_a_stop_brings_to_rest_what_leaves() -> None:
    """In the stop's own time, with all the others; what was to be discarded is kept."""
    async with World(Endpoint(CRM)) as world:
        await two_bots(world)
        world.courier.usually(THEIRS.key, Answer(takes=HANG))
        first = world.push(1, bot=SALES)
        await world.tell.wait_for(AttemptStarted)
        going = asyncio.create_task(world.change_bots(DISCARDED))
        await world.pass_time(1.0)
        going.cancel()
        await world.stop()
        assert 1 == world.cut_attempts
        (row,) = world.rows.deliveries
        assert (first, DeliveryState.PENDING) == (row.message_id, row.state)
        await world.start()


async def test_a_bug_in_one_bot_ends_all() -> None:
    """Nothing runs on with a loop that is gone, and the bug is told."""
    world = World(Endpoint(CRM))
    await world.start()
    bot = await two_bots(world)
    listener(bot).fail(ZeroDivisionError())
    await world.pass_time(1.0)
    with pytest.raises(ZeroDivisionError):
        await world.end()
