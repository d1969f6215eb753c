"""The promise: a receiver that lost its data gets it again, marked, whatever happens meanwhile."""

import time
from collections import Counter

from tests.acceptance.house import BOT, House, conversation
from tests.acceptance.receiver import Answer, Hang, Post, Receiver
from tests.acceptance.test_operators import SOON, noticed

REPLAY = ("replay", "--since", "1h", "--endpoint", "crm")


def replayed(receiver: Receiver) -> list[Post]:
    """Give the requests that are marked."""
    return [post for post in receiver.posts if post.replayed]


async def all_replayed(house: House, receiver: Receiver, ids: list[str]) -> None:
    """Wait until every message has been taken again."""
    await house.until(
        lambda: {*ids} <= {post.message_id for post in replayed(receiver) if post.taken},
        "the whole replay",
    )


async def test_everything_comes_again_marked_and_in_order(house: House) -> None:
    """The same bodies and ids, oldest first, one lane each; Mixin hears nothing of it."""
    receiver, other = await house.receiver(), await house.receiver("log")
    relay = await house.relay()
    lanes = [conversation(9000 + n % 3) for n in range(12)]
    ids = [message_id for lane in lanes for message_id in house.push(conversation_id=lane)]
    await house.read(ids)
    acks = len(house.simulator.journal.acks)
    asked_at = time.monotonic()
    await noticed(house, relay, "replay_asked", *REPLAY)
    await house.until(lambda: bool(replayed(receiver)), "the first request")
    assert time.monotonic() - asked_at < SOON * 2
    await all_replayed(house, receiver, ids)
    await relay.said("replay.ended", delivered=12, dead_letters=0)
    posts = replayed(receiver)
    for lane in range(3):
        assert ids[lane::3] == [p.message_id for p in posts if p.message_id in ids[lane::3]]
    first = {post.message_id: post.event for post in receiver.posts if post not in posts}
    assert first == {post.message_id: post.event for post in posts}
    assert {(1, "none")} == {(post.attempt, post.prior) for post in posts}
    assert [] == replayed(other)
    assert acks == len(house.simulator.journal.acks)
    metrics = await relay.metrics()
    labels = {"bot": BOT, "endpoint": "crm", "outcome": "delivered"}
    assert 12 == metrics.value("relay_replayed_total", **labels)
    assert 12 == metrics.value("relay_deliveries_total", **labels)
    assert 0 == metrics.value("relay_conservation_imbalance", bot=BOT)
    (history,) = (await house.command("messages", "show", ids[0]))["histories"]
    assert "read" == history["message"]["outcome"]
    assert 1 in [delivery["replay"] for delivery in history["deliveries"]]


async def test_a_kill_in_the_middle_costs_what_was_in_flight(house: House) -> None:
    """It goes on where it was: only what was in flight comes twice, and says `unknown`."""
    receiver = await house.receiver(concurrency=4)
    relay = await house.relay()
    ids = house.push(300)
    await house.read(ids)
    await house.command(*REPLAY)
    for times in (40, 120):
        await house.until(lambda n=times: len(replayed(receiver)) >= n, f"{times} requests")  # type: ignore[misc]
        receiver.default = Hang()
        await house.until(lambda: bool(receiver.hanging), "one in flight")
        await relay.kill()
        receiver.default = Answer()
        receiver.release()
        relay = await house.relay()
    await all_replayed(house, receiver, ids)
    await relay.said("replay.ended")
    counts = Counter(post.message_id for post in replayed(receiver))
    assert {*ids} == counts.keys()
    twice = {message_id for message_id, count in counts.items() if count > 1}
    for message_id in twice:
        posts = [post for post in replayed(receiver) if post.message_id == message_id]
        assert {"unknown"} == {post.prior for post in posts[1:]}
    (listed,) = (await house.command("replays", "list"))["replays"]
    assert (300, 300) == (listed["queued"], listed["delivered"])


async def test_what_is_new_goes_first(house: House) -> None:
    """While a slow receiver is sent old messages, a new one of the same conversation passes."""
    receiver = await house.receiver(concurrency=2)
    relay = await house.relay()
    lane = conversation(9000)
    ids = house.push(50, conversation_id=lane)
    await house.read(ids)
    receiver.default = Hang()
    await house.command(*REPLAY)
    await house.until(lambda: bool(receiver.hanging), "a replay in flight")
    (late,) = house.push(conversation_id=lane)
    receiver.script(late, Answer())
    await house.read([late])
    assert 1 == len(replayed(receiver))
    receiver.default = Answer()
    receiver.release()
    await all_replayed(house, receiver, ids)
    await relay.said("replay.ended")


async def test_a_new_endpoint_gets_what_is_retained(house: House) -> None:
    """Once: marked, with what came before it, and never again by its next start or another name."""
    first = await house.receiver()
    relay = await house.relay()
    ids = house.push(20)
    await house.read(ids)
    assert 0 == await relay.stop()
    late = await house.receiver("late")
    house.bots[BOT]["endpoints"][1]["from"] = "retained"
    relay = await house.relay()
    await all_replayed(house, late, ids)
    await relay.said("replay.ended")
    assert [] == replayed(first)
    assert 0 == await relay.stop()
    relay = await house.relay()
    new = house.push(1)
    await house.read(new)
    assert 0 == await relay.stop()
    late.name = "later"
    house.bots[BOT]["endpoints"][1]["name"] = "later"
    relay = await house.relay()
    await house.read(house.push(1))
    assert [1] * 20 == [*Counter(post.message_id for post in replayed(late)).values()]
