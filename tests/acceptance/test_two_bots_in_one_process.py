"""Several bots live in one process, each with its own socket, endpoints and receipts."""

from uuid import uuid4

from tests.acceptance.house import BOT, House
from tests.acceptance.receiver import Receiver
from tests.support.simulator import Family, make_keystore

OTHER = "sales"


async def two_bots(house: House) -> tuple[Receiver, Receiver]:
    """Add a second bot, whose keystore is of another family, and give each a receiver."""
    house.add_bot(OTHER, house.simulator.add_bot(make_keystore(Family.RSA)))
    return await house.receiver("crm", bot=BOT), await house.receiver("crm", bot=OTHER)


async def test_each_bot_has_its_own_messages(house: House) -> None:
    """Every message goes to its own bot's endpoints, also where an id or a name is the same."""
    mine, theirs = await two_bots(house)
    relay = await house.relay()
    shared = str(uuid4())
    ids = {bot: [*house.push(10, bot=bot), shared] for bot in (BOT, OTHER)}
    for bot in ids:
        house.push(bot=bot, message_id=shared)
    for bot, expected in ids.items():
        await house.read(expected, bot)
    assert sorted(ids[BOT]) == sorted(mine.taken)
    assert sorted(ids[OTHER]) == sorted(theirs.taken)
    metrics = await relay.metrics()
    for bot in ids:
        assert 11 == metrics.total("relay_messages_received_total", bot=bot)
        assert 0 == metrics.value("relay_messages_duplicate_total", bot=bot)
    assert 0 == await relay.stop()


async def test_a_bot_in_trouble_does_not_touch_the_other(house: House) -> None:
    """One bot's session is revoked: the other's messages go on, and readiness names the culprit."""
    mine, theirs = await two_bots(house)
    relay = await house.relay()
    await house.simulator.revoke(house.simulator.bots[1])
    await relay.said("blaze.credentials_refused", bot=OTHER, confirmed=True)
    (message_id,) = house.push()
    await house.read([message_id])
    assert [message_id] == mine.taken
    assert [] == theirs.posts
    ready = await relay.ready()
    assert (503, [f"bot {OTHER}"]) == (ready.status, [*ready.reasons])
    assert 0 == await relay.stop()
