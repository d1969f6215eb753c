"""Whatever comes over the socket, the relay lives on, and everything with a message id arrives."""

from tests.acceptance.house import House
from tests.support.simulator import hostile_frames, odd_messages


async def test_odd_messages_arrive_like_any(house: House) -> None:
    """Every message that is odd but has an id is relayed and READ, decodable or not."""
    receiver = await house.receiver()
    await house.relay()
    odd = odd_messages(house.simulator.bot)
    ids = {message.name: house.simulator.push(**message.arguments) for message in odd}
    await house.read([*ids.values()])
    assert sorted(ids.values()) == sorted(receiver.taken)
    events = {post.message_id: post.event["data"] for post in receiver.posts}
    undecryptable = [name for name in ids if name.startswith("encrypted_")]
    assert undecryptable
    for name in undecryptable:
        assert ("undecryptable", None) == (
            events[ids[name]]["error"],
            events[ids[name]]["content"],
        )


async def test_calls_are_messages_too(house: House) -> None:
    """What comes as CREATE_CALL or CREATE_KRAKEN carries a message, to be relayed and READ."""
    receiver = await house.receiver()
    await house.relay()
    ids = house.push(category="WEBRTC_AUDIO_OFFER", action="CREATE_CALL")
    ids += house.push(category="KRAKEN_PUBLISH", action="CREATE_KRAKEN")
    await house.read(ids)
    assert sorted(ids) == sorted(receiver.taken)


async def test_hostile_frames_do_not_end_the_socket(house: House) -> None:
    """Frames that are no message are set aside, and the messages between them arrive."""
    receiver = await house.receiver()
    relay = await house.relay()
    frames = hostile_frames(house.simulator.bot)
    ids = []
    for _, frame in frames:
        house.simulator.push_frame(frame)
        ids += house.push()
    await house.read(ids)
    assert set(ids) <= set(receiver.taken)
    metrics = await relay.metrics()
    assert 1 == metrics.value("relay_blaze_connects_total", bot="support", result="ok")
    assert 1 == metrics.value("relay_blaze_connected", bot="support")
    assert 0 == await relay.stop()
    ((kept,),) = house.rows("SELECT sum(times) FROM unreadable")
    assert kept >= len([frame for frame in frames if frame.name.startswith("push_")])


async def test_poison_on_every_connect_is_no_obstacle(house: House) -> None:
    """Frames that come back with every backlog never keep a message from arriving."""
    receiver = await house.receiver()
    for _, frame in hostile_frames(house.simulator.bot):
        house.simulator.push_frame(frame, always=True)
    before = house.push(5)
    relay = await house.relay()
    await house.read(before)
    await house.simulator.drop(1001)
    await relay.said("blaze.connected", times=2)
    after = house.push(5)
    await house.read(after)
    assert {*before, *after} <= set(receiver.taken)
