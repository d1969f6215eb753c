"""What comes on an idle connection to Mixin's API is nobody's answer."""

import asyncio
import json

from relay.blaze.api import Answered, MixinApi, Unanswered
from relay.blaze.keystore import parse_keystore
from relay.blaze.transport import open_session
from tests.drivers.scripted_server import Peer, ScriptedServer, answer, answering
from tests.support.simulator import make_keystore

TAKEN = answer(body=b'{"data":{}}', Content_Type="application/json")


async def test_a_second_answer_confirms_no_receipt() -> None:
    """The next receipts go over another connection, and count only by its answer."""
    now, sent = asyncio.Event(), asyncio.Event()

    async def twice(peer: Peer) -> None:
        await peer.request()
        await peer.send(TAKEN)
        await now.wait()
        await peer.send(TAKEN)
        sent.set()
        await peer.left()

    keystore = parse_keystore(json.dumps(make_keystore()))
    async with (
        ScriptedServer(twice, answering(answer("502 Bad Gateway"))) as server,
        open_session() as http,
    ):
        api = MixinApi(http, [f"http://127.0.0.1:{server.port}"], keystore)
        assert isinstance(await api.acknowledge(["a"]), Answered)
        now.set()
        await sent.wait()
        for _ in range(10):  # let the client's loop read it
            await asyncio.sleep(0)
        assert isinstance(await api.acknowledge(["b"]), Unanswered)
        assert 2 == len(server.requests)


async def test_connections_are_used_again() -> None:
    """Nothing else ends them."""
    keystore = parse_keystore(json.dumps(make_keystore()))
    async with ScriptedServer(answering(TAKEN)) as server, open_session() as http:
        api = MixinApi(http, [f"http://127.0.0.1:{server.port}"], keystore)
        for _ in range(3):
            assert isinstance(await api.acknowledge(["a"]), Answered)
        assert 1 == server.connections
