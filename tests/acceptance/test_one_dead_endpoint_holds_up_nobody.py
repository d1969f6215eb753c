"""An endpoint that is slow, dead or gone, or a stuck conversation, holds up only itself."""

from tests.acceptance.house import House, conversation
from tests.acceptance.receiver import OK, Answer, Hang


async def test_a_dead_endpoint_beside_a_living_one(house: House) -> None:
    """While one endpoint refuses connections, the other takes everything; then it catches up."""
    crm, dead = await house.receiver("crm"), await house.receiver("dead")
    await dead.stop()
    await house.relay()
    ids = house.push(50)
    await house.until(lambda: set(crm.taken) == set(ids), "everything at the living one")
    assert ids == house.simulator.pending()
    await dead.start()
    await house.read(ids)
    assert sorted(ids) == sorted(crm.taken) == sorted(dead.taken)


async def test_an_endpoint_that_never_answers(house: House) -> None:
    """An endpoint that lets every request hang holds up nobody else."""
    crm = await house.receiver("crm")
    slow = await house.receiver("slow", required=False, concurrency=2)
    slow.default = Hang()
    await house.relay()
    ids = house.push(50)
    await house.read(ids)
    await house.until(lambda: len(slow.hanging) == 2, "two requests that hang")
    assert set(ids) == set(crm.taken)
    assert 2 == len(slow.posts), "no more in flight than its concurrency"


async def test_an_open_circuit_charges_nobody(house: House) -> None:
    """A dead endpoint gets one probe at a time, and nothing is charged to what waits behind it."""
    breaker = {"open_after": 3, "probe_max": "20ms"}
    receiver = await house.receiver(concurrency=1, breaker=breaker)
    receiver.default = Answer(500)
    relay = await house.relay()
    ids = house.push(20)
    await relay.said("circuit.opened")
    await house.posts(receiver, 10)
    tried = {post.message_id for post in receiver.posts}
    assert len(tried) <= 4, "probes are of the oldest one"
    receiver.default = OK
    await house.read(ids)
    await relay.said("circuit.closed")
    spared = [post.attempt for post in receiver.posts if post.message_id not in tried]
    assert [1] * (20 - len(tried)) == spared


async def test_a_gone_endpoint_keeps_everything(house: House) -> None:
    """After a second 410 nothing is sent any more and nothing is lost: `resume` revives it."""
    receiver = await house.receiver(breaker={"gone_confirm": "0s"})
    receiver.default = Answer(410)
    other = await house.receiver("other", required=False)
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("endpoint.gone")
    more = house.push(3)
    await house.until(lambda: set(other.taken) == {*ids, *more}, "everything at the other one")
    assert not {post.message_id for post in receiver.posts} & {*more}
    receiver.default = OK
    await house.command("endpoints", "resume", "crm")
    await house.read([*ids, *more])


async def test_a_stuck_conversation(house: House) -> None:
    """A message that fails holds up its own conversation only."""
    receiver = await house.receiver(retry={"first": "1h", "max": "1h"})
    await house.relay()
    stuck = house.push(2, conversation_id=conversation(0))
    receiver.script(stuck[0], Answer(500))
    others = [house.push(conversation_id=conversation(number % 5 + 1))[0] for number in range(20)]
    await house.read(others)
    assert stuck == house.simulator.pending()
    assert [stuck[0]] == [p.message_id for p in receiver.posts if p.message_id in stuck]


async def test_a_poison_message_delays_its_conversation_only_so_long(house: House) -> None:
    """A message that is rejected for good leaves its lane: those behind it go on."""
    receiver = await house.receiver()
    poison, *behind = house.push(3, conversation_id=conversation(0))
    receiver.script(poison, *[Answer(422)] * 3)
    relay = await house.relay()
    await house.read(behind)
    assert [1, 2, 3] == [post.attempt for post in receiver.posts_of(poison)]
    assert relay.events("delivery.dead_lettered", message_id=poison, attempts=3)
    assert [poison] == house.simulator.pending()


async def test_a_backlog_larger_than_the_window(house: House) -> None:
    """What does not fit into memory comes from the journal, while an endpoint is away and after."""
    crm, away = await house.receiver("crm"), await house.receiver("away", breaker={"open_after": 5})
    house.settings["log_level"] = "info"
    await away.stop()
    ids = house.push(1100)
    relay = await house.relay()
    await house.posts(crm, 1100)
    await away.start()
    await house.read(ids)
    assert 1100 == len(away.taken) == len(crm.taken)
    assert 0 == await relay.stop()
