"""What a crash costs at each window of the README: nothing is lost, and only W3 and W4 double."""

import random

import pytest

from tests.acceptance.house import House, conversation
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Answer, Hang, Receiver
from tests.support.simulator import Answer as MixinAnswer
from tests.support.simulator import Empty, Reset, Sessions
from tests.support.simulator import Hang as MixinHang

WEEK = 7 * 86400.0


def attempts(receiver: Receiver, message_id: str) -> list[tuple[int, str]]:
    """List what each request for a message said of itself: its number and what was before it."""
    return [(post.attempt, post.prior) for post in receiver.posts_of(message_id)]


async def last_frame(relay: RelayProcess) -> float:
    """Ask when the relay saw the last frame."""
    return (await relay.metrics()).value("relay_blaze_last_frame_timestamp_seconds", bot="support")


async def test_w1_frame_received_not_journaled(house: House) -> None:
    """A message that was read and not yet written down is pushed again, and delivered once."""
    receiver = await house.receiver()
    house.simulator.faults.ping_every = None
    relay = await house.relay()
    before = await last_frame(relay)
    with house.locked_journal():
        (message_id,) = house.push()

        async def received() -> bool:
            return await last_frame(relay) > before

        await house.eventually(received, "the frame")
        await relay.kill()
    assert [(0,)] == house.rows("SELECT count(*) FROM messages")
    await house.relay()
    await house.read([message_id])
    assert [(1, "none")] == attempts(receiver, message_id)


async def test_w2_journaled_not_attempted(house: House) -> None:
    """What is written down is delivered after a crash, also if Mixin does not push it again."""
    receiver = await house.receiver(concurrency=1)
    receiver.next(Hang())
    relay = await house.relay()
    (first,) = house.push()
    await house.until(lambda: receiver.hanging == [first], "the first request")
    waiting = house.push(3)
    await relay.said("message.received", times=4)
    await relay.kill()
    house.simulator.faults.lists.always(Empty())
    await house.relay()
    await house.read([first, *waiting])
    assert [[(1, "unknown")]] * 3 == [attempts(receiver, each) for each in waiting]


async def test_w2_journaled_while_the_receiver_is_away(house: House) -> None:
    """A crash while nobody answers at the receiver's costs nothing: all comes once it is back."""
    receiver = await house.receiver()
    await receiver.stop()
    relay = await house.relay()
    ids = house.push(20)
    await relay.said("message.received", times=20)
    await relay.said("attempt.ended", reason="connect")
    await relay.kill()
    await receiver.start()
    house.simulator.faults.lists.always(Empty())
    await house.relay()
    await house.read(ids)
    assert sorted(ids) == sorted(receiver.taken)


async def test_w3_request_sent_answer_unknown(house: House) -> None:
    """A request that a crash cut off is made again under the same number, and says `unknown`."""
    receiver = await house.receiver()
    receiver.next(Hang())
    relay = await house.relay()
    (message_id,) = house.push()
    await house.until(lambda: receiver.hanging == [message_id], "the request")
    await relay.kill()
    await house.relay()
    await house.read([message_id])
    assert [(1, "none"), (1, "unknown")] == attempts(receiver, message_id)


async def test_w4_success_read_outcome_not_committed(house: House) -> None:
    """A 2xx that a crash kept out of the journal is asked for again, as `unknown`."""
    receiver = await house.receiver()
    receiver.next(Hang())
    relay = await house.relay()
    (message_id,) = house.push()
    await house.until(lambda: receiver.hanging == [message_id], "the request")
    with house.locked_journal():
        receiver.release(OK)
        await relay.said("journal.failed")
        await relay.kill()
    assert [message_id] == receiver.taken
    assert 0 == house.acks_of(message_id), "READ waits for the commit"
    await house.relay()
    await house.read([message_id])
    assert [(1, "none"), (1, "unknown")] == attempts(receiver, message_id)


async def test_w5_outcome_committed_read_not_sent(house: House) -> None:
    """What was delivered before a crash is only marked READ after it."""
    receiver = await house.receiver()
    house.simulator.faults.acks.always(MixinAnswer(503))
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("delivery.settled", times=3)
    await relay.said("receipts.retried")
    await relay.kill()
    house.simulator.faults.acks.off()
    await house.relay()
    await house.read(ids)
    assert sorted(ids) == sorted(post.message_id for post in receiver.posts)


@pytest.mark.parametrize("crash", [False, True], ids=["cut", "crash"])
async def test_w6_read_sent_answer_lost(house: House, *, crash: bool) -> None:
    """A READ without an answer is sent again, whether the line was cut or the relay."""
    receiver = await house.receiver()
    house.simulator.faults.acks.next(MixinHang(applied=True) if crash else Reset(applied=True))
    relay = await house.relay()
    (message_id,) = house.push()
    await house.read([message_id])
    if crash:
        await relay.kill()
        relay = await house.relay()
    await relay.said("receipts.confirmed")
    assert 2 == house.acks_of(message_id)
    assert 1 == len(receiver.posts)


async def test_w7_read_confirmed_not_recorded(house: House) -> None:
    """A READ that Mixin confirmed and the journal did not hear of is sent again, and no POST is."""
    receiver = await house.receiver()
    house.simulator.faults.acks.always(MixinAnswer(503))
    relay = await house.relay()
    (message_id,) = house.push()
    await relay.said("receipts.retried")
    relay.fill_disk()
    refused = house.acks_of(message_id)
    house.simulator.faults.acks.off()
    await house.until(lambda: house.acks_of(message_id) > refused, "READ once more")
    await relay.said("journal.failed")
    await relay.kill()
    sent = house.acks_of(message_id)
    relay = await house.relay()
    await relay.said("receipts.confirmed")
    assert sent + 1 == house.acks_of(message_id)
    assert 1 == len(receiver.posts)


async def test_w8_journal_lost(house: House) -> None:
    """Without a journal everything unread comes again: only what was not yet READ can double."""
    receiver = await house.receiver()
    relay = await house.relay()
    finished = house.push(3)
    await house.read(finished)
    await relay.said("message.finished", times=3)
    house.simulator.faults.acks.always(MixinAnswer(503))
    delivered = house.push(2)
    await relay.said("delivery.settled", times=5)
    receiver.default = Answer(500)
    failing = house.push(2)
    await house.until(lambda: {*failing} <= {p.message_id for p in receiver.posts}, "attempts")
    await relay.kill()
    house.lose_journal()
    house.one_journal = False
    house.simulator.faults.acks.off()
    receiver.default = OK
    await house.relay()
    await house.read([*delivered, *failing])
    assert sorted([*finished, *delivered, *delivered, *failing]) == sorted(receiver.taken)


async def test_w8_a_journal_in_memory(house: House) -> None:
    """A journal in memory is lost at each end: Mixin pushes what is unread, and only that."""
    house.settings["journal"] = "memory:"
    receiver = await house.receiver()
    relay = await house.relay()
    finished = house.push(3)
    await house.read(finished)
    receiver.next(Hang())
    (message_id,) = house.push()
    await house.until(lambda: receiver.hanging == [message_id], "the request")
    await relay.kill()
    house.one_journal = False
    await house.relay()
    await house.read([message_id])
    assert sorted([*finished, message_id]) == sorted(receiver.taken)
    assert [(1, "none"), (1, "none")] == attempts(receiver, message_id)


async def test_w9_receiver_away_for_more_than_a_week(house: House) -> None:
    """What Mixin has forgotten after 7 days, the journal still delivers."""
    receiver = await house.receiver(retry={"give_up_after": "30d"})
    receiver.default = Answer(503)
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("attempt.ended", times=6)
    assert 0 == await relay.stop()
    house.simulator.clock.advance(WEEK + 60)
    assert [] == house.simulator.pending(), "Mixin has forgotten them"
    house.simulator.clock.advance(-WEEK - 60)
    house.let_days_pass(9)
    receiver.default = OK
    relay = await house.relay()
    await relay.said("message.finished", times=3, outcome="read")
    assert sorted(ids) == sorted(receiver.taken)


async def test_w10_two_relays_are_both_served(house: House) -> None:
    """Neither would notice by its socket; the second raises the alarm until the first has gone."""
    house.one_journal = False
    receiver = await house.receiver()
    one = await house.relay()
    other = await house.another_relay()
    said = await other.said("blaze.session_shared")
    assert ("error", "support") == (said["level"], said["bot"])
    assert 1.0 == (await other.metrics()).value("relay_blaze_session_shared", bot="support")
    ids = house.push(3)
    await house.read(ids)
    assert set(ids) == set(receiver.taken)
    assert 0 == await one.stop()
    await other.said("blaze.session_alone")
    assert 0 == await other.stop()


async def test_w10_two_relays_push_each_other_out(house: House) -> None:
    """Two relays with one keystore raise the alarm, and READ waits for a 2xx all the same."""
    house.simulator.faults.sessions = Sessions.NEWEST_WINS
    house.one_journal = False
    receiver = await house.receiver()
    receiver.default = Answer(503)
    ids = house.push(3)
    one = await house.relay()
    other = await house.another_relay()
    await house.until(
        lambda: bool(one.events("blaze.takeover_suspected", level="error")), "the alarm"
    )
    metrics = await one.metrics()
    assert metrics.value("relay_blaze_disconnects_total", bot="support", reason="closed") >= 5
    assert 0 == sum(house.acks_of(message_id) for message_id in ids)
    receiver.default = OK
    await house.read(ids)
    assert set(ids) == set(receiver.taken)
    assert [0, 0] == [await one.stop(), await other.stop()]


async def test_w10_two_relays_side_by_side(house: House) -> None:
    """Where Mixin lets both relays listen, messages double, and are READ only after a 2xx."""
    house.simulator.faults.sessions = Sessions.BOTH
    house.one_journal = False
    receiver = await house.receiver()
    one, other = await house.relay(), await house.another_relay()
    ids = house.push(20)
    await house.read(ids)
    for relay in (one, other):
        await relay.said("message.finished", times=20, outcome="read")
    assert sorted([*ids, *ids]) == sorted(receiver.taken)


async def kill_at_random(house: House, chance: random.Random, times: int) -> None:
    """Kill relay after relay in the middle of traffic; the last one heals everything."""
    house.settings["log_level"] = "info"
    crm, archive = await house.receiver("crm"), await house.receiver("archive")
    ids: list[str] = []
    for _ in range(times):
        relay = await house.start()
        for _ in range(40):
            crm.next(chance.choice([OK, OK, OK, Answer(500), Answer(503)]))
            ids += house.push(conversation_id=conversation(chance.randint(0, 15)))
        await house.posts(crm, len(crm.posts) + chance.randint(1, 60))
        await relay.kill()
    relay = await house.relay()
    await house.read(ids)
    assert set(ids) == set(crm.taken) == set(archive.taken)
    assert 0 == await relay.stop()


async def test_kills_at_random_lose_nothing(house: House) -> None:
    """A handful of kills in the middle of traffic: after healing all is READ, nothing is lost.

    What came twice was announced as `unknown`: the house judges that after each test.
    """
    await kill_at_random(house, random.Random(0), 5)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(1, 6))
async def test_many_kills_at_random_lose_nothing(house: House, seed: int) -> None:
    """The same at other moments, and more often."""
    await kill_at_random(house, random.Random(seed), 8)
