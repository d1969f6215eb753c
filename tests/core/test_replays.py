"""The promise: a replay sends again what was asked for, and nobody but its receiver notices."""

import asyncio

import pytest

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.replays import MOST_WAITING
from relay.model.messages import EndpointKey, PriorOutcome
from relay.model.replays import ReplayOrder
from relay.telemetry.events import JournalPruned, OperatorNoticed, ReceiptsConfirmed, ReplayEnded
from tests.core.couriers import Answer, Post
from tests.core.recorder import PATIENCE, AttemptEnded, DeliverySettled
from tests.core.runs import RETENTION
from tests.core.samples import BROKEN, CRM, LOG, OK, REFUSED
from tests.core.world import Endpoint, World

CRM_AGAIN = ReplayOrder(CRM)


def replayed(world: World, endpoint: EndpointKey = CRM) -> list[Post]:
    """Give the requests of replays."""
    return [post for post in world.courier.posts_of(endpoint) if post.replay is not None]


async def ask(world: World, order: ReplayOrder = CRM_AGAIN) -> None:
    """Ask for a replay."""
    asked = await world.desk.ask_replay(order, world.wall())
    assert asked is not None
    assert asked.accepted


async def ended(world: World, count: int = 1) -> ReplayEnded:
    """Wait until so many replays have ended."""
    return await world.tell.wait_for(ReplayEnded, count=count, within=PATIENCE * 10)


async def test_in_the_order_in_which_they_came() -> None:
    """Of each conversation one after the other, once each, while READ and receipts rest."""
    async with World(Endpoint(CRM), Endpoint(LOG)) as world:
        ids = [world.push(n, f"c{n % 3}") for n in range(30)]
        await world.read(*ids)
        await world.pass_time(60.0)
        marked = len(world.tell.of(ReceiptsConfirmed))
        world.courier.next(CRM, BROKEN, OK, BROKEN, OK, OK)
        await ask(world)
        event = await ended(world)
        assert (30, 0) == (event.replay.delivered, event.replay.dead)
        for conversation in range(3):
            taken = [p.message_id for p in replayed(world) if p.verdict == OK]
            assert ids[conversation::3] == [each for each in taken if each in ids[conversation::3]]
        assert [] == replayed(world, LOG)
        assert marked == len(world.tell.of(ReceiptsConfirmed))


async def test_it_is_noticed_within_five_seconds() -> None:
    """An operator sees at once that it goes on."""
    async with World(Endpoint(CRM)) as world:
        await world.read(world.push(1))
        asked_at = world.wall()
        await ask(world)
        await world.tell.wait_for(OperatorNoticed, lambda event: event.kind == "replay_asked")
        await ended(world)
        assert world.wall() - asked_at < 5.0


async def test_what_is_new_does_not_wait_for_it() -> None:
    """Of the same conversation, too: it takes as long as one request, however much is replayed."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=4))) as world:
        old = [world.push(n) for n in range(600)]
        await world.read(*old)
        world.courier.usually(CRM, Answer(OK, takes=1.0))
        await ask(world)
        await world.tell.wait_for(DeliverySettled, lambda event: event.replay, count=10)
        for number in range(1000, 1020):
            pushed_at = world.wall()
            await world.settled(world.push(number))
            assert world.wall() - pushed_at < 2.5
        world.courier.usually(CRM, OK)
        await ended(world)
        assert 600 == len(replayed(world))


async def test_it_leaves_room_for_what_is_new() -> None:
    """At most half of the requests under way are a replay's; a slow receiver blocks nothing new."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=4))) as world:
        await world.read(*(world.push(n, f"c{n}") for n in range(20)))
        world.courier.usually(CRM, Answer(OK, takes=1000.0))
        await ask(world)
        await world.pass_time(10.0)
        assert 2 == len(replayed(world))
        late = world.push(99)
        world.courier.for_message(CRM, late, OK)
        await world.settled(late)
        world.courier.usually(CRM, OK)
        await ended(world)


async def test_one_that_can_do_one_thing_at_a_time() -> None:
    """A concurrency of 1 is no obstacle."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1))) as world:
        await world.read(*(world.push(n, f"c{n}") for n in range(5)))
        await ask(world)
        assert 5 == (await ended(world)).replay.delivered


@pytest.mark.parametrize("window", [3, 1000])
async def test_a_huge_one_is_never_in_memory_or_in_lanes(window: int) -> None:
    """What waits in the journal's lanes is bounded, and so is the window."""
    async with World(Endpoint(CRM, max_deliveries=window)) as world:
        await world.read(*(world.push(n, f"c{n % 7}") for n in range(700)))
        await ask(world)
        most = 0
        while not world.tell.of(ReplayEnded):
            most = max(most, len(world.rows.pending(CRM)))
            assert len(world.run.dispatchers[CRM].lanes) <= window
            await world.pass_time(0.01)
        assert 0 < most <= MOST_WAITING
        assert 700 == len(replayed(world))


@pytest.mark.parametrize("seconds", [1.5, 2.0, 3.3, 7.0])
async def test_it_goes_on_after_a_crash_and_a_stop(seconds: float) -> None:
    """Only what was in flight comes twice, and says `unknown`; the rest goes once."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=4))) as world:
        ids = [world.push(n, f"c{n % 9}") for n in range(400)]
        await world.read(*ids)
        world.courier.usually(CRM, Answer(OK, takes=0.1))
        await ask(world)
        for act in (world.restart, world.stop, world.restart, world.cut, world.restart):
            if world._run is None:
                await world.start()
            await world.pass_time(seconds)
            await act()
        await ended(world)
        posts = replayed(world)
        assert set(ids) == {post.message_id for post in posts}
        again = [post for post in posts if post.prior is PriorOutcome.UNKNOWN]
        assert len(posts) - len(ids) <= len(again)
        assert len(posts) - len(ids) <= 4 * 4  # four interruptions, of two requests and their 2xx


async def test_an_open_gate_holds_it_back() -> None:
    """A receiver in trouble gets probes, new messages first, and no flood of old ones."""
    async with World(Endpoint(CRM)) as world:
        await world.read(*(world.push(n, f"c{n}") for n in range(50)))
        world.courier.usually(CRM, BROKEN)
        await ask(world)
        await world.pass_time(600.0)
        assert len(replayed(world)) < 30
        new = world.push(99)
        await world.tell.wait_for(AttemptEnded, lambda event: event.message_id == new)
        world.courier.usually(CRM, OK)
        event = await ended(world)
        assert (50, 0) == (event.replay.delivered, event.replay.dead)


async def test_what_is_refused_becomes_a_dead_letter() -> None:
    """The rest goes on, the message stays READ, and a retry sends it as part of the replay."""
    async with World(Endpoint(CRM)) as world:
        bad, good = world.push(1), world.push(2)
        await world.read(bad, good)
        world.courier.always(CRM, bad, REFUSED)
        await ask(world)
        event = await ended(world)
        assert (1, 1) == (event.replay.delivered, event.replay.dead)
        assert {0} == {row.imbalance for row in (await world.disk.census()).bots.values()}
        assert [] == world.unfinished


async def test_a_paused_endpoint_gets_it_when_it_is_resumed() -> None:
    """Paused, nothing goes; resumed, all of it does."""
    async with World(Endpoint(CRM)) as world:
        await world.read(*(world.push(n) for n in range(5)))
        await world.desk.pause(CRM)
        await world.pass_time(5.0)
        await ask(world)
        await world.pass_time(600.0)
        assert [] == replayed(world)
        await world.desk.resume(CRM)
        assert 5 == (await ended(world)).replay.delivered


async def test_a_cancelled_one_stops() -> None:
    """Within seconds nothing more of it is sent."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=2))) as world:
        await world.read(*(world.push(n) for n in range(100)))
        world.courier.usually(CRM, Answer(OK, takes=1.0))
        await ask(world)
        await world.tell.wait_for(DeliverySettled, lambda event: event.replay, count=5)
        await world.desk.cancel_replay(1, world.wall())
        await world.pass_time(5.0)
        sent = len(replayed(world))
        assert sent < 15
        await world.read(world.push(999))
        await world.pass_time(60.0)
        assert sent == len(replayed(world))


async def test_a_full_disk_only_delays_it() -> None:
    """What can't be written down is written later."""
    async with World(Endpoint(CRM)) as world:
        await world.read(*(world.push(n, f"c{n}") for n in range(300)))
        await ask(world)
        await asyncio.sleep(0.05)
        world.disk.full = True
        await world.pass_time(30.0)
        world.disk.full = False
        assert 300 == (await ended(world)).replay.delivered


async def test_retention_counts_from_the_end_of_the_message() -> None:
    """What was replayed is pruned with its message: a replay keeps it while it is under way."""
    async with World(Endpoint(CRM)) as world:
        await world.read(*(world.push(n) for n in range(5)))
        await world.desk.pause(CRM)
        await world.pass_time(5.0)
        await ask(world)
        world.clock_is_set(RETENTION + 100.0)
        await world.pass_time(200.0)
        assert [] == world.tell.of(JournalPruned)
        await world.desk.resume(CRM)
        await ended(world)
        await world.tell.wait_for(JournalPruned)
        assert {} == world.rows.messages


async def test_a_new_endpoint_gets_what_is_retained_once() -> None:
    """With what comes meanwhile in its place, no READ waiting for it, and never again."""
    crm, log = Endpoint(CRM), Endpoint(LOG, retained=True)
    async with World(crm) as world:
        world.courier.for_message(CRM, world.push(1), *[BROKEN] * 3)
        ids = [world.push(n) for n in range(2, 12)]
        await world.pass_time(0.3)
        await world.stop()
        world.configure(crm, log)
        await world.start()
        await world.read(*ids)
        event = await ended(world)
        assert 11 == event.replay.delivered
        await world.restart()
        await world.pass_time(60.0)
        assert 11 == len(replayed(world, LOG))


async def test_a_reload_may_bring_one_that_gets_what_is_retained() -> None:
    """What came before goes as a replay, what comes after as it is owed: each of it once."""
    crm, log = Endpoint(CRM), Endpoint(LOG, retained=True)
    async with World(crm) as world:
        old = [world.push(n) for n in range(300)]
        await world.read(*old)
        for number in range(300, 320):
            world.push(number)
        await world.reload(crm, log)
        new = [world.push(n) for n in range(400, 420)]
        await world.read(*new)
        await ended(world)
        posts = world.courier.posts_of(LOG)
        assert set(old) <= {post.message_id for post in posts if post.replay}
        assert set(new) <= {post.message_id for post in posts if post.replay is None}
        assert len(posts) == len({post.message_id for post in posts})


async def test_a_replay_outlives_a_reload_that_takes_its_endpoint_out() -> None:
    """What was in lanes is given up as was asked; the rest goes when the endpoint is back."""
    crm, log = Endpoint(CRM), Endpoint(LOG)
    async with World(crm, log) as world:
        await world.read(*(world.push(n, f"c{n}") for n in range(600)))
        world.courier.usually(CRM, Answer(OK, takes=1.0))
        await ask(world)
        await world.tell.wait_for(DeliverySettled, lambda event: event.replay, count=5)
        assert 0 < await world.reload(log, discard=True) <= MOST_WAITING
        sent = len(replayed(world))
        await world.pass_time(30.0)
        assert sent == len(replayed(world))
        await world.reload(crm, log)
        world.courier.usually(CRM, OK)
        assert (await ended(world)).replay.delivered == len(replayed(world)) >= 300
