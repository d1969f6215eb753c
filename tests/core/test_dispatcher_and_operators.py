"""What operators see of an endpoint, and do to it, through the journal of a running relay."""

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.model.admin import DeadLetterQuery
from relay.model.journal import EndpointNote, OperatorEvent, OperatorEventKind
from relay.model.messages import BreakerState
from relay.telemetry.events import BreakerMoved
from tests.core.couriers import Answer
from tests.core.recorder import AttemptEnded, AttemptStarted
from tests.core.samples import BROKEN, BUSY, CRM, GONE, REFUSED
from tests.core.world import Endpoint, World

IMPATIENT = RetryPolicy(give_up_after=0.0)
PATIENT_ENDPOINT = Endpoint(
    CRM,
    gate=BreakerPolicy(concurrency=1, open_after=1, probe_max=600.0),
    retry=RetryPolicy(first=600.0),
)


async def test_an_endpoint_in_trouble_is_written_down() -> None:
    """Its state, its last error and the next probe are in the journal, and so is its recovery."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1, open_after=1))) as world:
        world.courier.next(CRM, BROKEN)
        first = world.push(1)
        await world.tell.wait_for(AttemptEnded)
        await world.pass_time(0.1)
        note = await world.disk.endpoint_note(CRM)
        assert (BreakerState.OPEN, "http_5xx, status 500") == (note.state, note.last_error)
        assert note.next_probe_at is not None
        await world.read(first)
        await world.pass_time(0.1)
        note = await world.disk.endpoint_note(CRM)
        assert EndpointNote(BreakerState.CLOSED, "http_5xx, status 500") == note


async def test_trouble_from_before_a_restart_is_cleared() -> None:
    """The journal does not say `open` of an endpoint that has taken a message since."""
    async with World(Endpoint(CRM, gate=BreakerPolicy(concurrency=1, open_after=1))) as world:
        world.courier.usually(CRM, BROKEN)
        first = world.push(1)
        await world.tell.wait_for(AttemptEnded, count=2)
        await world.restart()
        world.courier.heal()
        await world.read(first)
        await world.pass_time(0.1)
        assert BreakerState.CLOSED is (await world.disk.endpoint_note(CRM)).state


async def test_a_pause_holds_everything_and_a_resume_lets_it_go() -> None:
    """A running relay takes notice of both within 5 seconds."""
    async with World(Endpoint(CRM)) as world:
        await world.desk.pause(CRM)
        await world.tell.wait_for(
            BreakerMoved, lambda event: event.state is BreakerState.PAUSED, within=5
        )
        first = world.push(1)
        await world.pass_time(1000.0)
        assert [] == world.courier.posts
        await world.desk.resume(CRM)
        await world.tell.wait_for(AttemptStarted, within=5.0)
        await world.read(first)


async def test_a_pause_outlives_a_restart_and_ends_with_its_resume() -> None:
    """Even if the relay was not running when the operator resumed it."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, Answer(BROKEN, 2.0))
        first = world.push(1)
        await world.tell.wait_for(AttemptStarted)
        await world.desk.pause(CRM)
        await world.tell.wait_for(AttemptEnded)
        await world.stop()
        await world.start()
        await world.pass_time(1000.0)
        assert 1 == len(world.courier.posts)
        await world.stop()
        await world.desk.resume(CRM)
        await world.start()
        await world.read(first)


async def test_an_endpoint_that_is_gone_stops_and_keeps_everything() -> None:
    """A confirmed 410 ends the posts, through restarts, until an operator resumes it."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, GONE)
        ids = [world.push(n, f"c{n}") for n in range(3)]
        gone = await world.tell.wait_for(
            BreakerMoved, lambda event: event.state is BreakerState.GONE
        )
        assert "http_410, status 410" == gone.detail
        await world.pass_time(1.0)
        await world.restart()
        world.courier.heal()
        posts = len(world.courier.posts)
        await world.pass_time(4000.0)
        assert posts == len(world.courier.posts)
        assert 0 == (await world.disk.census()).dead_letters[CRM]
        await world.desk.resume(CRM)
        await world.tell.wait_for(AttemptStarted, count=posts + 1, within=5.0)
        await world.read(*ids)


async def test_a_receiver_that_is_back_is_tried_at_once() -> None:
    """What is gone, or waits for a probe, goes on within seconds of the receiver's own word."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, GONE)
        first = world.push(1)
        await world.tell.wait_for(BreakerMoved, lambda event: event.state is BreakerState.GONE)
        await world.pass_time(1.0)
        world.courier.heal()
        posts = len(world.courier.posts)
        await world.desk.back(CRM)
        await world.tell.wait_for(AttemptStarted, count=posts + 1, within=5.0)
        await world.read(first)
        assert BreakerState.CLOSED is (await world.disk.endpoint_note(CRM)).state


async def test_a_receiver_that_is_back_waits_for_its_operator() -> None:
    """A pause is the operator's: no receiver lifts it, in the running relay as in the journal."""
    async with World(Endpoint(CRM)) as world:
        await world.desk.pause(CRM)
        await world.tell.wait_for(
            BreakerMoved, lambda event: event.state is BreakerState.PAUSED, within=5
        )
        first = world.push(1)
        await world.desk.back(CRM)
        await world.pass_time(1000.0)
        assert [] == world.courier.posts
        await world.restart()
        await world.pass_time(1000.0)
        assert [] == world.courier.posts
        await world.desk.resume(CRM)
        await world.read(first)


async def test_a_retry_after_is_written_down() -> None:
    """Until when a busy receiver is left alone is in the journal, as long as that lasts."""
    async with World(Endpoint(CRM)) as world:
        world.courier.next(CRM, BUSY)
        first = world.push(1)
        ended = await world.tell.wait_for(AttemptEnded)
        await world.pass_time(0.1)
        note = await world.disk.endpoint_note(CRM)
        answered = ended.attempt.started_at + ended.attempt.duration
        assert (BreakerState.CLOSED, round(answered + 30.0, 3)) == (
            note.state,
            round(note.next_probe_at or 0.0, 3),
        )
        await world.read(first)
        await world.pass_time(0.1)
        assert (await world.disk.endpoint_note(CRM)).next_probe_at is None


async def test_the_first_410_is_remembered_through_a_restart() -> None:
    """The second confirms it, although another process saw the first."""
    async with World(Endpoint(CRM)) as world:
        world.courier.usually(CRM, GONE)
        world.push(1)
        await world.tell.wait_for(AttemptEnded)
        await world.pass_time(0.2)
        await world.restart()
        assert world.run.dispatchers[CRM].breaker.gone_since is not None


async def test_resuming_pokes_an_open_gate_at_once() -> None:
    """An operator who has mended the receiver waits for seconds, whatever the backoff is."""
    async with World(PATIENT_ENDPOINT, jitter=lambda: 1.0) as world:
        world.courier.usually(CRM, Answer(BROKEN, 0.0))
        first = world.push(1)
        await world.pass_time(2000.0)
        world.courier.heal()
        posts = len(world.courier.posts)
        await world.pass_time(10.0)
        assert posts == len(world.courier.posts)
        await world.desk.resume(CRM)
        await world.tell.wait_for(AttemptStarted, count=posts + 1, within=5.0)
        await world.read(first)


async def test_a_poke_waits_for_a_journal_that_can_not_be_read() -> None:
    """It is not forgotten while the disk is in trouble."""
    async with World(PATIENT_ENDPOINT, jitter=lambda: 1.0) as world:
        world.courier.usually(CRM, Answer(REFUSED, 0.0))
        first = world.push(1)
        await world.pass_time(100.0)
        world.courier.heal()
        posts = len(world.courier.posts)
        world.disk.unreadable = True
        world.run.dispatchers[CRM].notice(OperatorEvent(1, OperatorEventKind.RESUMED, CRM))
        await world.pass_time(10.0)
        assert posts == len(world.courier.posts)
        world.disk.unreadable = False
        await world.tell.wait_for(AttemptStarted, count=posts + 1, within=5.0)
        await world.read(first)


async def test_a_revived_dead_letter_is_delivered() -> None:
    """An operator's retry is noticed within 5 seconds, and the message becomes READ."""
    async with World(Endpoint(CRM, retry=IMPATIENT)) as world:
        world.courier.next(CRM, BROKEN)
        first = world.push(1)
        await world.settled(first)
        await world.desk.retry(DeadLetterQuery(), world.wall())
        await world.tell.wait_for(AttemptStarted, count=2, within=5.0)
        await world.read(first)
    assert [1, 2] == [post.number for post in world.courier.posts]
