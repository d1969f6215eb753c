"""No byte that nobody asked for makes a message READ, by the real process and raw answers."""

import asyncio

from tests.acceptance.house import BOT, House
from tests.drivers.scripted_server import Peer, ScriptedServer, answer, answering


def endpoint_at(house: House, server: ScriptedServer) -> None:
    """Let the bot's messages go to a raw server."""
    url = f"http://127.0.0.1:{server.port}/hook"
    house.bots[BOT]["endpoints"] = [
        {"name": "raw", "url": url, "retry": {"first": "1h", "max": "1h"}}
    ]


async def test_an_answer_that_comes_late_is_not_the_next_messages(house: House) -> None:
    """A second 200 on a kept connection ends that; the next message is posted, and refused."""
    late = asyncio.Event()

    async def answering_twice(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        await late.wait()
        await peer.send(answer())
        await peer.left()

    async with ScriptedServer(answering_twice, answering(answer("503 Busy"))) as server:
        endpoint_at(house, server)
        relay = await house.relay()
        await house.read(house.push())
        late.set()
        await server.all_ended(1)
        [second] = house.push()
        ended = await relay.said("attempt.ended", message_id=second)
        assert (503, 2) == (ended["status"], len(server.requests))
        assert 0 == house.acks_of(second)
        await relay.kill()


async def test_a_server_that_speaks_first_takes_nothing(house: House) -> None:
    """What says 200 to whoever connects has read no message, and is sent none."""

    async def banner(peer: Peer) -> None:
        await peer.send(answer())
        await peer.left()

    async with ScriptedServer(banner) as server:
        endpoint_at(house, server)
        relay = await house.relay()
        [message_id] = house.push()
        ended = await relay.said("attempt.ended", message_id=message_id)
        assert ("protocol", None) == (ended["reason"], ended["status"])
        assert (0, []) == (house.acks_of(message_id), server.requests)
        await relay.kill()
