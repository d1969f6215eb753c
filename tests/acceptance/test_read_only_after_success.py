"""A message is marked READ only after every endpoint that it is owed to has answered 2xx."""

import random

import pytest

from tests.acceptance.house import House, conversation
from tests.acceptance.receiver import OK, REDIRECT, Answer, Behaviour, Hang, Reset, busy

FAILURES: tuple[Behaviour, ...] = (
    Answer(500),
    Answer(502),
    Answer(408),
    Answer(409),
    Answer(425),
    Answer(404),
    Answer(413),
    Answer(410),
    REDIRECT,
    Reset(),
)
"""Every kind of failure that a receiver recovers from at once."""

SUCCESSES = (OK, Answer(201), Answer(202), Answer(204), Answer(299))


async def test_read_follows_success_whatever_fails_before(house: House) -> None:
    """Hundreds of messages meet failures of each kind at both receivers, and each is READ."""
    chance = random.Random(1)
    crm = await house.receiver("crm", timeout="1s")
    archive = await house.receiver("archive", timeout="1s")
    house.settings["log_level"] = "info"
    alone = house.push(150)
    ids = [*alone, *house.push(150, conversation_id=conversation(0))]
    ids += [house.push(conversation_id=conversation(chance.randint(1, 9)))[0] for _ in range(100)]
    for receiver in (crm, archive):
        receiver.script(alone[0], Hang())
        for message_id in chance.sample(ids, 120):
            failures = chance.sample(FAILURES, chance.randint(1, 2))
            receiver.script(message_id, *failures, chance.choice(SUCCESSES))
    relay = await house.relay()
    await house.read(ids)
    assert set(ids) == set(crm.taken) == set(archive.taken)
    assert 0 == await relay.stop()


async def test_a_receiver_that_asks_for_time_gets_it(house: House) -> None:
    """A Retry-After holds everything for that endpoint back until then."""
    receiver = await house.receiver()
    receiver.next(busy(503, retry_after=1))
    relay = await house.relay()
    (first,) = house.push()
    await relay.said("attempt.ended", message_id=first, reason="http_503")
    (second,) = house.push()
    await house.read([first, second])
    refused, *later = receiver.posts
    assert refused.ended_at is not None
    assert all(post.at - refused.ended_at >= 1 for post in later)


async def test_one_endpoint_that_does_not_take_it_holds_read_back(house: House) -> None:
    """As long as one of two required endpoints fails, Mixin hears nothing of the message."""
    crm, archive = await house.receiver("crm"), await house.receiver("archive")
    archive.default = Answer(500)
    relay = await house.relay()
    (message_id,) = house.push()
    await house.until(lambda: len(archive.posts) >= 5, "5 attempts")
    assert crm.has_taken(message_id)
    assert 0 == house.acks_of(message_id)
    archive.default = OK
    await house.read([message_id])
    assert 1 == len(crm.posts), "who has taken a message is not asked again"
    assert 0 == await relay.stop()


async def test_an_optional_endpoint_does_not_hold_read_back(house: House) -> None:
    """An endpoint that is not required gets every message too, but READ does not wait for it."""
    await house.receiver("crm")
    statistics = await house.receiver("statistics", required=False)
    statistics.default = Answer(500)
    await house.relay()
    ids = house.push(3)
    await house.read(ids)
    assert not statistics.taken
    statistics.default = OK
    await house.until(lambda: set(statistics.taken) == set(ids), "all at the optional one")


async def test_a_dead_letter_stays_unread(house: House) -> None:
    """What a required endpoint refuses for good is never READ, also if another one took it."""
    crm, archive = await house.receiver("crm"), await house.receiver("archive")
    (refused,) = house.push()
    archive.script(refused, *[Answer(400)] * 3)
    relay = await house.relay()
    await relay.said("delivery.dead_lettered", message_id=refused)
    (later,) = house.push()
    await house.read([later])
    assert crm.has_taken(refused)
    assert 0 == house.acks_of(refused)
    assert [refused] == house.simulator.pending()


@pytest.mark.parametrize("unwanted", ["read", "leave"])
async def test_what_nobody_wants_is_read_or_left_alone(house: House, unwanted: str) -> None:
    """A message that every filter excludes is READ or left alone, as `unwanted` says."""
    receiver = await house.receiver(categories=["PLAIN_*"])
    house.bots["support"]["unwanted"] = unwanted
    receiver.wants = lambda message_id: message_id not in excluded
    excluded = house.push(category="SYSTEM_USER")
    (wanted,) = house.push()
    await house.relay()
    await house.read([wanted])
    if unwanted == "read":
        await house.read(excluded)
    assert [wanted] == receiver.taken
    assert (unwanted == "read") == (house.simulator.pending() == [])
