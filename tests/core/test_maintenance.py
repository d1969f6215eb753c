"""What the maintenance promises: operators are heard, the stock is counted, the old is pruned."""

from relay.admin.requests import in_batches
from relay.delivery.retry import RetryPolicy
from relay.maintenance import PRUNE_AT_ONCE
from relay.model.admin import DeadLetterQuery
from relay.model.journal import BotCensus
from relay.model.messages import MessageOutcome
from relay.telemetry.events import (
    JournalPruned,
    JournalShrunk,
    MessagesDiscarded,
    OperatorNoticed,
    StatsCollected,
)
from tests.core.disk import STEP
from tests.core.recorder import MessageFinished
from tests.core.runs import RETENTION
from tests.core.samples import BOT, BROKEN, CRM, LOG, uuid
from tests.core.world import Endpoint, World

IMPATIENT = RetryPolicy(give_up_after=0.0)
DAY = 24 * 3600.0


# --- Operators ----------------------------------------------------------------------------------


async def test_operators_are_noticed_within_five_seconds() -> None:
    """Every action, once, in its order."""
    async with World(Endpoint(CRM), Endpoint(LOG)) as world:
        await world.desk.pause(CRM)
        await world.desk.pause(LOG)
        await world.desk.resume(CRM)
        await world.tell.wait_for(OperatorNoticed, count=3, within=5.0)
        await world.pass_time(30.0)
        noticed = [(event.kind, event.endpoint) for event in world.tell.of(OperatorNoticed)]
        assert [("paused", CRM), ("paused", LOG), ("resumed", CRM)] == noticed


async def test_one_action_in_many_steps_is_told_once() -> None:
    """Who, what and how many, summed up; a pause and a resume keep their place."""
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(5)]
        await world.settled(*ids)
        await world.desk.pause(CRM)
        query = DeadLetterQuery(endpoint="crm")
        async for _ in in_batches(lambda part: world.desk.retry(part, world.wall()), query, size=2):
            pass
        await world.desk.resume(CRM)
        await world.tell.wait_for(
            OperatorNoticed, lambda event: event.kind == "resumed", within=5.0
        )
        assert [
            OperatorNoticed("paused", CRM, "api"),
            OperatorNoticed("revived", CRM, "api", "endpoint=crm", 5),
            OperatorNoticed("resumed", CRM, "api"),
        ] == world.tell.of(OperatorNoticed)


async def test_what_was_done_before_the_start_is_no_news() -> None:
    """The journal's state says it all: an old resume does not lift a later pause."""
    async with World(Endpoint(CRM)) as world:
        await world.stop()
        await world.desk.resume(CRM)
        await world.desk.pause(CRM)
        await world.start()
        world.push(1)
        await world.pass_time(60.0)
        assert (0, []) == (world.tell.count(OperatorNoticed), world.courier.posts)


async def test_a_notice_for_an_endpoint_that_is_not_ours_does_no_harm() -> None:
    """One that was removed from the settings still has dead letters to discard."""
    async with World(Endpoint(CRM), Endpoint(LOG, retry=IMPATIENT)) as world:
        world.courier.usually(LOG, BROKEN)
        first = world.push(1)
        await world.settled(first)
        await world.stop()
        world.endpoints = world.endpoints[:1]
        await world.start()
        await world.discard(DeadLetterQuery(), mark_read=True)
        await world.tell.wait_for(OperatorNoticed, within=5.0)
        await world.read(first)


async def test_a_discarded_dead_letter_stays_unread() -> None:
    """It finishes as discarded, and is counted."""
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        await world.settled(first)
        await world.discard(DeadLetterQuery(), mark_read=False)
        told = await world.tell.wait_for(MessagesDiscarded, within=5.0)
        assert MessagesDiscarded(BOT, 1) == told
        await world.pass_time(60.0)
        assert [] == world.mixin.batches
        assert MessageOutcome.DISCARDED is world.rows.messages[BOT, first].outcome


async def test_a_waived_dead_letter_is_read() -> None:
    """An operator's `--mark-read` is the one thing beside 2xx that marks a message READ."""
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        await world.settled(first)
        await world.pass_time(10.0)
        await world.discard(DeadLetterQuery(), mark_read=True)
        await world.read(first, within=5.0)
        finished = await world.tell.wait_for(MessageFinished, count=2)
        assert MessageFinished(BOT, first, MessageOutcome.DISCARDED) == finished
        assert 0 == world.tell.count(MessagesDiscarded)


# --- The stock ----------------------------------------------------------------------------------


async def test_the_stock_is_counted() -> None:
    """At the start, and every ten seconds."""
    async with World(Endpoint(CRM)) as world:
        await world.tell.wait_for(StatsCollected, within=1.0)
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        received = world.wall()
        told = await world.tell.wait_for(StatsCollected, count=2, within=11.0)
        assert BotCensus(1, received, 0, 0) == told.census.bots[BOT]
        world.courier.heal()
        await world.read(first)
        await world.pass_time(12.0)
        last = world.tell.of(StatsCollected)[-1].census
        assert BotCensus(0, None, 0, 0) == last.bots[BOT]


async def test_finished_messages_are_pruned_after_their_retention() -> None:
    """Not sooner, all of them, and no dead letter ever."""
    count = PRUNE_AT_ONCE + 7
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.always(CRM, uuid(0), BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(count + 1)]
        await world.read(*ids[1:])
        world.clock_is_set(RETENTION - 10.0)
        await world.pass_time(70.0)
        assert count + 1 == len(world.rows.messages) + sum(
            event.messages for event in world.tell.of(JournalPruned)
        )
        world.clock_is_set(DAY)
        await world.pass_time(61.0)
        assert count == sum(event.messages for event in world.tell.of(JournalPruned))
        assert [(BOT, uuid(0))] == list(world.rows.messages)


async def test_what_the_disk_gets_back_is_told() -> None:
    """All that is free, in steps; and nothing is said when there is nothing."""
    async with World(Endpoint(CRM)) as world:
        world.disk.free = 2 * STEP + 1
        await world.pass_time(61.0)
        assert (0, [JournalShrunk(2 * STEP + 1)]) == (world.disk.free, world.tell.of(JournalShrunk))
        await world.pass_time(60.0)
        assert 1 == world.tell.count(JournalShrunk)


async def test_nothing_is_pruned_before_its_time() -> None:
    """A message that comes again within the retention is known as finished."""
    async with World(Endpoint(CRM)) as world:
        await world.read(world.push(1))
        world.clock_is_set(RETENTION - 100.0)
        await world.pass_time(61.0)
        assert (1, 0) == (len(world.rows.messages), world.tell.count(JournalPruned))


async def test_a_journal_in_trouble_stops_no_duty() -> None:
    """Each is tried again at its next turn."""
    async with World(Endpoint(CRM)) as world:
        await world.tell.wait_for(StatsCollected)
        world.disk.unreadable = world.disk.full = True
        await world.desk.pause(CRM)
        await world.pass_time(100.0)
        censuses = world.tell.count(StatsCollected)
        world.disk.unreadable = world.disk.full = False
        await world.tell.wait_for(OperatorNoticed, within=5.0)
        await world.tell.wait_for(StatsCollected, count=censuses + 1, within=11.0)
