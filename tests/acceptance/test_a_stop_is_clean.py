"""SIGTERM ends the relay in order: nothing lost, nothing charged to a receiver, exit 0."""

import signal
from contextlib import suppress

import pytest

from tests.acceptance.house import House, conversation
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Answer, Hang, Receiver
from tests.support.simulator import Answer as MixinAnswer
from tests.support.simulator import Hang as MixinHang

STOPPED_AT_ONCE = 130


async def hanging(house: House, receiver: Receiver) -> str:
    """Push one message, of which the request then hangs."""
    receiver.next(Hang())
    (message_id,) = house.push()
    await house.until(lambda: message_id in receiver.hanging, "a request that hangs")
    return message_id


async def draining(relay: RelayProcess) -> None:
    """Ask for a stop, and wait until it has begun."""
    relay.signal(signal.SIGTERM)
    await relay.said("relay.stopping", signal="SIGTERM")


async def test_the_installed_command_lets_a_request_end(house: House) -> None:
    """`relay run`, with variables alone: a request in flight ends, is recorded and receipted."""
    receiver = await house.receiver()
    relay = await house.relay_by_environment(receiver)
    message_id = await hanging(house, receiver)
    await draining(relay)
    assert 503 == (await relay.ready()).status
    receiver.release(OK)
    assert 0 == await relay.ended()
    assert [message_id] == receiver.taken
    assert [] == house.simulator.pending(), "the receipt was sent before the end"
    assert [("read", "confirmed")] == house.rows("SELECT outcome, receipt FROM messages")


async def test_a_request_that_does_not_end_is_cut(house: House) -> None:
    """After `drain_timeout` a request is cut off and charged to nobody; the next says `unknown`."""
    receiver = await house.receiver()
    house.settings["drain_timeout"] = "100ms"
    relay = await house.relay()
    message_id = await hanging(house, receiver)
    assert 0 == await relay.stop()
    assert relay.events("relay.stopped", cut=1)
    assert [(0,)] == house.rows("SELECT count(*) FROM attempts")
    await house.relay()
    await house.read([message_id])
    first, second = receiver.posts
    assert (1, "none") == (first.attempt, first.prior)
    assert (1, "unknown") == (second.attempt, second.prior)


async def test_what_was_not_attempted_says_none_afterwards(house: House) -> None:
    """A clean stop leaves no doubt: `none` where nothing was attempted, `failed` where it did."""
    receiver = await house.receiver(retry={"first": "1h", "max": "1h"})
    failed, *waiting = house.push(3, conversation_id=conversation(0))
    receiver.script(failed, Answer(500))
    relay = await house.relay()
    await relay.said("attempt.ended", message_id=failed)
    assert 0 == await relay.stop()
    house.let_days_pass(1)
    relay = await house.relay()
    assert relay.events("relay.started", clean=True)
    await house.read([failed, *waiting])
    seen = [(post.message_id, post.attempt, post.prior) for post in receiver.posts]
    expected = [(failed, 1, "none"), (failed, 2, "failed")]
    assert expected + [(each, 1, "none") for each in waiting] == seen


async def test_not_ready_and_alive_while_draining(house: House) -> None:
    """While requests are waited for the relay is not ready, and lives, and starts nothing new."""
    crm, idle = await house.receiver("crm"), await house.receiver("idle")
    relay = await house.relay()
    message_id = await hanging(house, crm)
    await relay.said("delivery.settled", endpoint="idle")
    await draining(relay)
    later = house.push(2)
    ready = await relay.ready()
    assert (503, "draining") == (ready.status, ready.reasons["drain"])
    assert 200 == (await relay.alive()).status
    crm.release(OK)
    assert 0 == await relay.ended()
    assert [message_id] == crm.taken == idle.taken
    assert later == house.simulator.pending()


async def test_a_second_signal_ends_it_at_once(house: House) -> None:
    """Whoever asks again is not kept waiting; what was in flight says `unknown` afterwards.

    The same signal by two ways, within a second, is one.
    """
    receiver = await house.receiver()
    house.settings["drain_timeout"] = "1h"
    relay = await house.relay()
    message_id = await hanging(house, receiver)
    await draining(relay)
    relay.signal(signal.SIGINT)
    assert 200 == (await relay.alive()).status

    async def ended() -> bool:
        with suppress(ProcessLookupError):
            relay.signal(signal.SIGTERM)
        return relay.err.ended

    await house.eventually(ended, "the end")
    assert STOPPED_AT_ONCE == await relay.ended()
    relay = await house.relay()
    await house.read([message_id])
    assert ["none", "unknown"] == [post.prior for post in receiver.posts]


async def test_a_stop_while_the_journal_is_being_opened(house: House) -> None:
    """SIGTERM in the middle of the start-up: it comes up, goes down again, and exits with 0."""
    await house.receiver()
    assert 0 == await (await house.relay()).stop()
    with house.locked_journal():
        relay = await house.start()

        async def opening() -> bool:
            return str(house.journal) in relay.open_files()

        await house.eventually(opening, "the journal's file open")
        await draining(relay)
    assert 0 == await relay.ended()


async def test_a_stop_during_the_upgrade(house: House) -> None:
    """SIGTERM before Blaze has answered: exit 0."""
    await house.receiver()
    house.simulator.faults.upgrades.always(MixinHang())
    relay = await house.start()
    await house.simulator.attempted()
    assert 0 == await relay.stop()


async def test_a_stop_during_backoff(house: House) -> None:
    """SIGTERM while both sides are waited for: nobody waits on, exit 0."""
    receiver = await house.receiver(retry={"first": "1h", "max": "1h"})
    receiver.default = Answer(500)
    relay = await house.relay()
    house.push()
    await relay.said("attempt.ended")
    await house.simulator.stop()
    await relay.said("blaze.connect_failed")
    assert 0 == await relay.stop()


async def test_a_stop_while_the_credentials_are_refused(house: House) -> None:
    """SIGTERM in the minutes after a 401, with a receipt to send: exit 0, and the receipt stays."""
    await house.receiver()
    house.simulator.faults.acks.always(MixinAnswer(503))
    relay = await house.relay()
    (message_id,) = house.push()
    await relay.said("receipts.retried")
    await house.simulator.revoke()
    await relay.said("blaze.credentials_refused", confirmed=True)
    assert 0 == await relay.stop()
    house.simulator.faults.acks.off()
    house.simulator.restore()
    await house.relay()
    await house.read([message_id])


@pytest.mark.prove
async def test_a_stop_with_a_full_disk(house: House) -> None:
    """What can't be written down is not waited for without end: exit 1, and `unknown` after it."""
    receiver = await house.receiver()
    house.settings["drain_timeout"] = "100ms"
    relay = await house.relay()
    message_id = await hanging(house, receiver)
    relay.fill_disk()
    receiver.release(OK)
    await relay.said("journal.failed")
    assert 1 == await relay.stop()
    assert 0 == house.acks_of(message_id)
    await house.relay()
    await house.read([message_id])
    assert ["none", "unknown"] == [post.prior for post in receiver.posts]
