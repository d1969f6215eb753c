"""While the journal takes no writes nothing is lost and nothing READ; then it goes on by itself."""

from tests.acceptance.house import House
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Hang


def down(why: str) -> dict[str, str]:
    """Say what /readyz has to say."""
    return {"journal": f"accepts no writes: {why}"}


async def assert_goes_on(house: House, relay: RelayProcess, ids: list[str]) -> None:
    """Wait until the journal is back, everything is READ, and the relay is ready."""
    await relay.said("journal.recovered")
    await house.read(ids)
    assert 200 == (await relay.ready()).status


async def test_a_full_disk_as_messages_come(house: House) -> None:
    """What can't be written down is not delivered either, and comes in order once there is room."""
    receiver = await house.receiver()
    relay = await house.relay()
    relay.fill_disk()
    ids = house.push(20)
    await relay.said("journal.failed")
    ready = await relay.ready()
    assert (503, down("disk I/O error")) == (ready.status, ready.reasons)
    assert 200 == (await relay.alive()).status
    assert [] == receiver.posts
    relay.free_disk()
    await assert_goes_on(house, relay, ids)
    assert sorted(ids) == sorted(receiver.taken)


async def test_a_full_disk_as_an_outcome_comes(house: House) -> None:
    """A 2xx that can't be written down is kept until it can: no READ before, no second POST."""
    receiver = await house.receiver()
    receiver.next(Hang())
    relay = await house.relay()
    (message_id,) = house.push()
    await house.until(lambda: receiver.hanging == [message_id], "the request")
    relay.fill_disk()
    receiver.release(OK)
    await relay.said("journal.failed")
    assert down("disk I/O error") == (await relay.ready()).reasons
    assert 0 == house.acks_of(message_id)
    relay.free_disk()
    await assert_goes_on(house, relay, [message_id])
    assert 1 == len(receiver.posts)


async def test_a_stranger_holds_the_write_lock(house: House) -> None:
    """A program that locks the journal for seconds delays everything and spoils nothing."""
    receiver = await house.receiver()
    relay = await house.relay()
    with house.locked_journal():
        ids = house.push(20)
        await relay.said("journal.failed")
        assert down("database is locked") == (await relay.ready()).reasons
        assert [] == receiver.posts
    await assert_goes_on(house, relay, ids)
    assert sorted(ids) == sorted(receiver.taken)


async def test_a_second_relay_on_the_same_journal_is_refused(house: House) -> None:
    """Two relays on one journal would deliver everything twice: the second says so and exits."""
    receiver = await house.receiver()
    house.settings["log_level"] = "info"
    await house.relay()
    second = await house.start()
    assert 1 == await second.ended()
    (line,) = second.err.lines
    assert line.startswith("relay: journal ")
    assert "another relay runs on this journal" in line
    ids = house.push(3)
    await house.read(ids)
    assert sorted(ids) == sorted(receiver.taken)
