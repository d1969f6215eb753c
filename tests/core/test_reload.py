"""Endpoints come, go and change while messages come: nothing is lost, doubled or out of order."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.model.admin import DeadLetterQuery, ReloadRefused
from relay.model.messages import (
    BreakerState,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Reason,
    ReceiptState,
    Transient,
)
from relay.model.ports import JournalUnavailable
from relay.telemetry.events import EndpointLeft, JournalRecovered, MessagesFinished
from tests.core.couriers import HANG, Answer, Script
from tests.core.recorder import AttemptStarted, DeliverySettled, MessageReceived
from tests.core.samples import BOT, BROKEN, BUSY, CRM, GONE, LOG, OK, REFUSED, TIMEOUT
from tests.core.world import Endpoint, World

CRM_ALONE = Endpoint(CRM)
LOG_TOO = Endpoint(LOG)
NEW = EndpointKey(BOT, "new")


def state_of(world: World, endpoint: EndpointKey, message_id: str) -> DeliveryState:
    (state,) = [
        row.state
        for row in world.rows.deliveries
        if (row.endpoint, row.message_id) == (endpoint, message_id)
    ]
    return state


def in_flight(world: World, endpoint: EndpointKey) -> int:
    return sum(post.ended_at is None for post in world.courier.posts_of(endpoint))


# --- What is in flight ----------------------------------------------------------------------------


async def test_an_attempt_in_flight_is_judged_by_the_settings_it_began_under() -> None:
    """Patience that was exhausted when the attempt began is not stretched by a reload."""
    impatient = replace(CRM_ALONE, retry=RetryPolicy(rejected_attempts=1))
    async with World(impatient) as world:
        world.courier.next(CRM, Answer(REFUSED, takes=10.0))
        message_id = world.push(1)
        await world.tell.wait_for(AttemptStarted)
        await world.reload(CRM_ALONE)
        await world.settled(message_id)
        assert 1 == len(world.courier.posts)
        assert DeliveryState.DEAD is state_of(world, CRM, message_id)


async def test_attempts_after_a_reload_are_judged_by_the_new_settings() -> None:
    """The next attempt goes by the new patience."""
    async with World(CRM_ALONE) as world:
        await world.reload(replace(CRM_ALONE, retry=RetryPolicy(rejected_attempts=1)))
        world.courier.usually(CRM, REFUSED)
        message_id = world.push(1)
        await world.settled(message_id)
        assert 1 == len(world.courier.posts)


async def test_a_lane_in_flight_goes_on_in_order() -> None:
    """A reload neither repeats the attempt in flight nor lets the next one of its lane overtake."""
    async with World(CRM_ALONE) as world:
        world.courier.usually(CRM, Answer(takes=10.0))
        ids = [world.push(number) for number in range(1, 5)]
        await world.tell.wait_for(AttemptStarted)
        await world.reload(replace(CRM_ALONE, gate=BreakerPolicy(concurrency=3)), moved=[CRM])
        await world.reload(CRM_ALONE)
        await world.read(*ids)
        assert ids == world.courier.ids(CRM)


async def test_fewer_at_once_hold_for_those_in_flight_too() -> None:
    """With a lower limit nothing new starts until enough of what is in flight has ended."""
    wide = replace(CRM_ALONE, gate=BreakerPolicy(concurrency=4))
    async with World(wide) as world:
        world.courier.usually(CRM, Answer(takes=10.0))
        ids = [world.push(number, f"c{number}") for number in range(1, 13)]
        await world.tell.wait_for(AttemptStarted, count=4)
        await world.reload(replace(wide, gate=BreakerPolicy(concurrency=2)), moved=[CRM])
        assert 4 == in_flight(world, CRM)
        started = len(world.courier.posts)
        await world.tell.wait_for(AttemptStarted, count=started + 1)
        assert 2 >= in_flight(world, CRM)
        world.courier.most_in_flight.clear()
        await world.read(*ids)
        assert 2 == world.courier.most_in_flight[CRM]


async def test_more_at_once_hold_from_the_reload_on() -> None:
    """With a higher limit more are in flight at once."""
    narrow = replace(CRM_ALONE, gate=BreakerPolicy(concurrency=1))
    async with World(narrow) as world:
        world.courier.usually(CRM, Answer(takes=10.0))
        ids = [world.push(number, f"c{number}") for number in range(1, 13)]
        await world.tell.wait_for(AttemptStarted)
        await world.reload(replace(narrow, gate=BreakerPolicy(concurrency=5)))
        await world.read(*ids)
        assert 5 == world.courier.most_in_flight[CRM]


# --- The gate -------------------------------------------------------------------------------------


async def test_the_gate_keeps_its_state_where_the_receiver_stays() -> None:
    """A receiver in trouble is not knocked over because other settings of it change."""
    careful = replace(
        CRM_ALONE, gate=BreakerPolicy(open_after=1, probe_first=600.0, probe_max=600.0)
    )
    async with World(careful) as world:
        world.courier.usually(CRM, BROKEN)
        world.push(1)
        await world.pass_time(5.0)
        assert BreakerState.OPEN is world.run.dispatchers[CRM].breaker.state
        await world.reload(replace(careful, required=False))
        world.push(2, "other")
        await world.pass_time(300.0)
        assert 1 == len(world.courier.posts)
        assert BreakerState.OPEN is world.run.dispatchers[CRM].breaker.state


@pytest.mark.parametrize("verdict", [BROKEN, GONE, BUSY])
async def test_another_receiver_gets_everything_at_once(verdict: Script) -> None:
    """What was learnt of the old one, and what waits because of it, holds up nothing."""
    careful = Endpoint(
        CRM,
        gate=BreakerPolicy(open_after=1, probe_first=600.0, probe_max=600.0, gone_confirm=0.0),
    )
    async with World(careful) as world:
        world.courier.usually(CRM, verdict)
        ids = [world.push(number, f"c{number}") for number in (1, 2)]
        await world.pass_time(5.0)
        world.courier.usually(CRM, OK)
        await world.reload(careful, moved=[CRM])
        await world.read(*ids, within=5.0)


async def test_an_attempt_at_the_old_receiver_says_nothing_about_the_new_one() -> None:
    """A failure that comes late counts for its delivery, and not for the gate."""
    careful = replace(
        CRM_ALONE, gate=BreakerPolicy(open_after=1, probe_first=600.0, probe_max=600.0)
    )
    async with World(careful) as world:
        world.courier.next(CRM, Answer(BROKEN, takes=10.0))
        ids = [world.push(1)]
        await world.tell.wait_for(AttemptStarted)
        await world.reload(careful, moved=[CRM])
        ids.append(world.push(2, "other"))
        await world.read(*ids, within=30.0)
        note = await world.disk.endpoint_note(CRM)
        assert (BreakerState.CLOSED, None) == (note.state, note.last_error)


async def test_an_operators_pause_outlives_every_reload() -> None:
    """Whoever paused an endpoint resumes it; another URL does not."""
    async with World(CRM_ALONE) as world:
        await world.desk.pause(CRM)
        await world.pass_time(2.0)
        await world.reload(CRM_ALONE, moved=[CRM])
        message_id = world.push(1)
        await world.pass_time(60.0)
        assert [] == world.courier.posts
        await world.desk.resume(CRM)
        await world.read(message_id)


# --- Coming and going -----------------------------------------------------------------------------


async def test_an_endpoint_that_is_added_gets_what_comes_from_then_on() -> None:
    """What was recorded before is not owed to it; what is recorded later is, READ included."""
    async with World(CRM_ALONE) as world:
        before = world.push(1)
        await world.read(before)
        await world.reload(CRM_ALONE, LOG_TOO)
        world.courier.next(LOG, BROKEN)
        after = world.push(2)
        await world.read(after)
        assert [after, after] == world.courier.ids(LOG)
        assert [before, after] == world.courier.ids(CRM)


async def test_an_endpoint_that_is_owed_nothing_goes_at_once() -> None:
    """Nothing is owed to it from then on, and the others don't notice."""
    async with World(CRM_ALONE, LOG_TOO) as world:
        await world.read(world.push(1))
        await world.reload(CRM_ALONE)
        message_id = world.push(2)
        await world.read(message_id)
        assert [CRM] == [post.endpoint for post in world.courier.posts if post.number == 1][2:]
        assert [LOG] == [event.endpoint for event in world.tell.of(EndpointLeft)]
        assert not world.rows.configured[LOG]


@pytest.mark.parametrize("script", [BROKEN, Answer(takes=HANG), Answer(takes=20.0)])
async def test_an_endpoint_that_is_owed_deliveries_stays(script: Script) -> None:
    """The reload is refused as a whole, says what is owed, and deliveries go on as before."""
    async with World(CRM_ALONE, LOG_TOO) as world:
        world.courier.usually(LOG, script)
        ids = [world.push(1, "c1"), world.push(2, "c2")]
        await world.settled(*ids, endpoint=CRM)
        with pytest.raises(ReloadRefused, match="bot/log: is owed 2 deliveries; expected none"):
            await world.reload(Endpoint(NEW))
        assert {CRM, LOG} == set(world.run.dispatchers)
        assert NEW not in world.rows.configured
        if isinstance(script, Answer) and script.takes < HANG:
            await world.settled(*ids)
        world.courier.heal()
        later = world.push(3)
        await world.settled(later)
        await world.cut()
        await world.start()
        await world.heal()
        await world.read(*ids, later)


async def test_what_is_owed_is_discarded_when_that_is_asked_for() -> None:
    """What is in flight ends by its answer; the rest is given up, and stays unread."""
    narrow = replace(LOG_TOO, gate=BreakerPolicy(concurrency=1))
    async with World(CRM_ALONE, narrow) as world:
        world.courier.usually(LOG, Answer(takes=10.0))
        ids = [world.push(number, f"c{number}") for number in range(1, 1200)]
        await world.tell.wait_for(AttemptStarted, lambda event: event.endpoint == LOG)
        await world.settled(*ids, endpoint=CRM)
        in_time = len(world.courier.posts_of(LOG))
        assert len(ids) - in_time == await world.reload(CRM_ALONE, discard=True)
        taken = world.courier.ids(LOG)
        await world.read(*taken)
        rows = world.rows.messages.values()
        unread = [row.message_id for row in rows if row.receipt is ReceiptState.NONE]
        assert set(ids) - set(taken) == set(unread)
        assert {MessageOutcome.DISCARDED} == {
            row.outcome for row in rows if row.receipt is ReceiptState.NONE
        }
        assert len(unread) == sum(event.count for event in world.tell.of(MessagesFinished))
        assert {0} == {each.imbalance for each in (await world.disk.census()).bots.values()}
        assert [] == [lane for endpoint, lane in world.rows.lanes if endpoint == LOG]
        assert not world.rows.configured[LOG]


async def test_what_never_ends_is_cut_and_the_others_go_on() -> None:
    """A removed endpoint gets as long as a stop would give it, and nobody waits for it."""
    async with World(CRM_ALONE, LOG_TOO) as world:
        world.courier.usually(LOG, Answer(takes=HANG))
        first = world.push(1)
        await world.tell.wait_for(AttemptStarted, lambda event: event.endpoint == LOG)
        reload = asyncio.create_task(world.reload(CRM_ALONE, discard=True))
        await world.pass_time(1.0)
        second = world.push(2)
        await world.read(second, within=5.0)
        assert not reload.done()
        assert 1 == await reload
        assert [True] == [post.cut for post in world.courier.posts_of(LOG)]
        assert DeliveryState.DISCARDED is state_of(world, LOG, first)
        assert [first, second] == world.courier.ids(CRM)


async def test_what_is_retried_meanwhile_is_discarded_as_well() -> None:
    """An operator's retry in the last moment leaves nothing that is owed to nobody."""
    async with World(CRM_ALONE, replace(LOG_TOO, retry=RetryPolicy(rejected_attempts=1))) as world:
        world.courier.usually(LOG, REFUSED)
        message_id = world.push(1)
        await world.settled(message_id)
        reload = asyncio.create_task(world.reload(CRM_ALONE, discard=True))
        discard = world.disk.discard_owed

        async def then_retry(*asked: Any, **more: Any) -> Any:
            answer = await discard(*asked, **more)
            await world.desk.retry(DeadLetterQuery(message_ids=(message_id,)), world.wall())
            return answer

        world.disk.discard_owed = then_retry  # type: ignore[method-assign]
        assert 1 == await reload
        assert DeliveryState.DISCARDED is state_of(world, LOG, message_id)


async def test_a_crash_before_the_discard_keeps_what_is_owed() -> None:
    """The next start finds the endpoint gone, and its dead letters revive once it is back."""
    async with World(CRM_ALONE, LOG_TOO) as world:
        world.courier.usually(LOG, Answer(takes=HANG))
        message_id = world.push(1)
        await world.settled(message_id, endpoint=CRM)
        reload = asyncio.create_task(world.reload(CRM_ALONE, discard=True))
        await world.pass_time(1.0)
        reload.cancel()
        await world.restart()
        (letter,) = await world.desk.dead_letters(DeadLetterQuery())
        assert (LOG, message_id, "removed") == (letter.endpoint, letter.message_id, letter.reason)
        world.courier.heal()
        await world.reload(CRM_ALONE, LOG_TOO)
        await world.read(message_id)
        assert ["unknown"] == [post.prior for post in world.courier.posts_of(LOG)][1:]


async def test_dead_letters_of_a_removed_endpoint_are_kept() -> None:
    """They are owed to nobody, hold no reload up, and no reload discards them."""
    async with World(CRM_ALONE, replace(LOG_TOO, retry=RetryPolicy(rejected_attempts=1))) as world:
        world.courier.usually(LOG, REFUSED)
        message_id = world.push(1)
        await world.settled(message_id)
        assert 0 == await world.reload(CRM_ALONE, discard=True)
        (letter,) = await world.desk.dead_letters(DeadLetterQuery())
        assert (LOG, "http_4xx") == (letter.endpoint, letter.reason)
        await world.reload(CRM_ALONE, LOG_TOO)
        assert DeliveryState.DEAD is state_of(world, LOG, message_id)


async def test_a_full_disk_refuses_the_reload() -> None:
    """Nothing is applied that the journal can't write down; messages wait, as they do anyhow."""
    async with World(CRM_ALONE) as world:
        world.disk.full = True
        with pytest.raises(JournalUnavailable):
            await world.reload(CRM_ALONE, LOG_TOO)
        assert {CRM} == set(world.run.dispatchers)
        world.disk.full = False
        message_id = world.push(1)
        await world.read(message_id)
        assert [] == world.courier.ids(LOG)


async def test_a_full_disk_delays_the_discard() -> None:
    """What was asked for happens once the disk takes it."""
    async with World(CRM_ALONE, LOG_TOO) as world:
        world.courier.usually(LOG, BROKEN)
        message_id = world.push(1)
        await world.settled(message_id, endpoint=CRM)
        world.courier.usually(LOG, Answer(takes=HANG))
        await world.pass_time(60.0)
        reload = asyncio.create_task(world.reload(CRM_ALONE, discard=True))
        await world.tell.wait_for(AttemptStarted, lambda event: event.endpoint == LOG)
        await world.pass_time(24.5)
        world.disk.full = True
        await world.pass_time(60.0)
        assert not reload.done()
        world.disk.full = False
        assert 1 == await reload
        assert world.tell.of(JournalRecovered)


# --- Everything at once ---------------------------------------------------------------------------

KEYS = [EndpointKey(BOT, name) for name in ("crm", "log", "a", "b")]
SCRIPTS: tuple[Script, ...] = (
    *[OK] * 4,
    BROKEN,
    TIMEOUT,
    Transient(Reason.RESET, doubtful=True),
    Answer(takes=3.0),
    Answer(takes=40.0),
)


@pytest.mark.parametrize("seed", range(6))
async def test_fifty_reloads_under_traffic(seed: int) -> None:
    """Whatever comes and goes, each message ends as the settings that took it in had it."""
    dice = Random(seed)
    now = [CRM_ALONE]
    async with World(*now, jitter=dice.random) as world:
        number = refused = discarded = 0
        for _ in range(50):
            for _ in range(dice.randint(0, 12)):
                number += 1
                world.push(number, f"c{dice.randint(0, 6)}")
            for key in KEYS:
                world.courier.next(key, *dice.choices(SCRIPTS, k=3))
            keys = dice.sample(KEYS, dice.randint(1, 4))
            wanted = [Endpoint(k, gate=BreakerPolicy(dice.randint(1, 5), 2)) for k in keys]
            world.courier.most_in_flight.clear()
            try:
                discarded += await world.reload(
                    *wanted, discard=dice.random() < 0.3, moved=dice.sample(KEYS, 2)
                )
            except ReloadRefused:
                refused += 1
            await world.pass_time(dice.random() * 10)
        await world.heal()
        assert [] == world.unfinished
        assert refused
        assert discarded
        assert {0} == {each.imbalance for each in (await world.disk.census()).bots.values()}
        assert number == world.tell.count(MessageReceived)
        _judge(world)


def _judge(world: World) -> None:
    """Hold each delivery to the arrival that made it, and READ to the deliveries."""
    deliveries = world.rows.deliveries
    for row in world.rows.messages.values():
        message_id = row.message_id
        made = [each for each in deliveries if each.message_id == message_id]
        owed = {owed.endpoint for owed in world.disk.arrivals[message_id].owed}
        assert owed == {each.endpoint for each in made}
        taken = {key for key in owed if world.courier.taken[key, message_id]}
        given_up = {each.endpoint for each in made if each.state is DeliveryState.DISCARDED}
        assert owed == taken | given_up
        assert bool(given_up) is (message_id not in world.mixin.read)
        posted = {post.endpoint for post in world.courier.posts if post.message_id == message_id}
        assert posted <= owed
    settled = {(each.endpoint, each.message_id) for each in world.tell.of(DeliverySettled)}
    assert len(settled) == world.tell.count(DeliverySettled)
