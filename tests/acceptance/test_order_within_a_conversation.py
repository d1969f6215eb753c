"""With `ordering: conversation` each receiver takes a conversation's messages in their order."""

import random

from tests.acceptance.house import House, conversation
from tests.acceptance.receiver import Answer, Behaviour, Hang, Receiver, Reset


def taken_of(receiver: Receiver, ids: list[str]) -> list[str]:
    """List which of these a receiver took, in that order, each the first time."""
    return [each for each in dict.fromkeys(receiver.taken) if each in ids]


async def test_order_holds_through_failures_and_a_crash(house: House) -> None:
    """Retries, a kill and a new backlog change nothing about the order in a conversation."""
    chance = random.Random(3)
    crm, archive = await house.receiver("crm"), await house.receiver("archive")
    talks: list[list[str]] = [[] for _ in range(6)]
    for _ in range(120):
        number = chance.randrange(6)
        talks[number] += house.push(conversation_id=conversation(number))
    ids = [message_id for talk in talks for message_id in talk]
    failures: tuple[Behaviour, ...] = (Answer(500), Answer(404), Reset())
    for receiver in (crm, archive):
        for message_id in chance.sample(ids, 30):
            receiver.script(message_id, chance.choice(failures))
    relay = await house.relay()
    await house.posts(crm, 60)
    await relay.kill()
    await house.relay()
    await house.read(ids)
    for talk in talks:
        assert talk == taken_of(crm, talk) == taken_of(archive, talk)


async def test_the_next_waits_until_the_one_before_has_ended(house: House) -> None:
    """In a conversation one request is in flight at a time; others go on beside it."""
    receiver = await house.receiver()
    first, second = house.push(2, conversation_id=conversation(0))
    receiver.script(first, Hang())
    await house.relay()
    others = house.push(5)
    await house.read(others)
    assert [first] == receiver.hanging
    assert [] == receiver.posts_of(second)
    receiver.release()
    await house.read([first, second])


async def test_without_ordering_nobody_waits(house: House) -> None:
    """With `ordering: none` a message does not wait for the one before."""
    house.bots["support"]["ordering"] = "none"
    receiver = await house.receiver()
    first, second = house.push(2, conversation_id=conversation(0))
    receiver.script(first, Hang())
    await house.relay()
    await house.read([second])
    assert [first] == receiver.hanging
    receiver.release()
    await house.read([first])
