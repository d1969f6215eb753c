"""The simulator's socket behaves as docs/protocol.md says."""

import base64
import re

import aiohttp

from tests.drivers.simulator_client import Client, Socket, new_id, simulated, token_for
from tests.support.simulator import CATEGORIES

MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_the_subprotocol_is_echoed_and_the_time_told() -> None:
    """A client that offers Mixin-Blaze-1 gets it back, and nanoseconds beside it."""
    async with simulated() as (simulator, client), client.connect() as socket:
        assert "Mixin-Blaze-1" == socket.ws.protocol
        (connect,) = simulator.journal.accepted
        assert "Mixin-Blaze-1" == connect.headers["sec-websocket-protocol"]
        assert "authorization" not in connect.headers
        told = socket.ws._response.headers["X-Server-Time"]
        assert abs(simulator.clock.now() - int(told) / 1e9) < 60
        assert "Sec-WebSocket-Extensions" not in socket.ws._response.headers


async def test_a_client_without_the_subprotocol_is_served() -> None:
    """The subprotocol is not required, and another one is not echoed."""
    async with simulated() as (_, client):
        for protocols in ((), ("MixinBot-Blaze-1",)):
            async with client.connect(protocols=protocols) as socket:
                assert socket.ws.protocol is None


async def test_the_token_may_come_in_the_query() -> None:
    """A browser's token, signed for the path alone, is accepted."""
    async with simulated() as (simulator, client):
        url = f"{simulator.blaze_url}?access_token={token_for(client.bot, 'GET', '/')}"
        async with client.session.ws_connect(url) as ws:
            await Socket(ws).list_pending()
            assert "LIST_PENDING_MESSAGES" == (await Socket(ws).take())["action"]
        assert [] == simulator.journal.violations


async def test_nothing_comes_before_the_list_is_asked_for() -> None:
    """Messages wait until LIST_PENDING_MESSAGES, whose echo is the first frame."""
    async with simulated() as (simulator, client), client.connect() as socket:
        await simulator.connected()
        message_id = simulator.push("hello")
        request_id = await socket.list_pending()
        assert {"id": request_id, "action": "LIST_PENDING_MESSAGES"} == await socket.take()
        assert message_id == (await socket.take_data())["message_id"]


async def test_the_backlog_comes_oldest_first_and_live_messages_follow() -> None:
    """Backlog and live messages differ in their source, and in nothing else."""
    async with simulated() as (simulator, client):
        now = simulator.clock.now()
        newer = simulator.push("b", created_at=now - 10)
        older = simulator.push("a", created_at=now - 20)
        async with client.listening() as socket:
            backlog = [await socket.take_data() for _ in range(2)]
            assert [older, newer] == [data["message_id"] for data in backlog]
            assert {"LIST_PENDING_MESSAGES"} == {data["source"] for data in backlog}
            live = simulator.push("c")
            data = await socket.take_data()
            assert [live, "CREATE_MESSAGE"] == [data["message_id"], data["source"]]


async def test_a_push_has_every_field() -> None:
    """A push looks like the real capture: every field is there, empty if unset."""
    async with simulated() as (simulator, client), client.listening() as socket:
        payload = bytes(range(0xF0, 0x100))
        message_id = simulator.push(payload, category="PLAIN_DATA")
        envelope = await socket.take()
        data = envelope["data"]
        assert "CREATE_MESSAGE" == envelope["action"]
        assert message_id == data["message_id"]
        assert base64.b64encode(payload).decode() == data["data"]
        assert base64.urlsafe_b64encode(payload).decode().rstrip("=") == data["data_base64"]
        assert MICROSECONDS.fullmatch(data["created_at"])
        assert {"type": "message", "status": "SENT", "silent": False, "expire_in": 0} == {
            name: data[name] for name in ("type", "status", "silent", "expire_in")
        }
        assert ["", ""] == [data["representative_id"], data["quote_message_id"]]
        assert 16 == len(data)


async def test_every_category_has_a_sample() -> None:
    """A message of every known category can be pushed without saying more."""
    async with simulated() as (simulator, client), client.listening() as socket:
        for category in CATEGORIES:
            simulator.push(category=category)
        pushed = [(await socket.take_data())["category"] for _ in CATEGORIES]
        assert list(CATEGORIES) == pushed
        assert len(CATEGORIES) >= 35


async def test_unacknowledged_messages_come_again() -> None:
    """Each connection brings what is unread, in a new envelope."""
    async with simulated() as (simulator, client):
        message_id = simulator.push("hello")
        frames = []
        for _ in range(2):
            async with client.listening() as socket:
                frames.append(await socket.take())
        assert [message_id] * 2 == [frame["data"]["message_id"] for frame in frames]
        assert frames[0]["id"] != frames[1]["id"]
        assert 2 == simulator.journal.pushed[message_id]


async def test_a_second_list_pushes_the_unread_again() -> None:
    """LIST_PENDING_MESSAGES once more on the same socket is served, and written down."""
    async with simulated() as (simulator, client):
        message_id = simulator.push("hello")
        async with client.listening() as socket:
            await socket.take()
            await socket.list_pending()
            assert "data" not in await socket.take()
            assert message_id == (await socket.take_data())["message_id"]
        assert ["listed_twice"] == list(simulator.journal.kinds())


async def test_messages_expire_after_seven_days() -> None:
    """What was not acknowledged is dropped when the server's clock says so."""
    async with simulated() as (simulator, client):
        simulator.push("old")
        simulator.clock.advance(7 * 24 * 3600 - 60)
        young = simulator.push("young")
        assert 2 == len(simulator.pending())
        simulator.clock.advance(120)
        assert [young] == simulator.pending()
        simulator.clock.offset = 0
        async with client.listening() as socket:
            assert [young] == await socket.take_ids(1)


async def test_requests_that_mean_nothing_are_answered_with_an_error() -> None:
    """An unknown action gets error 404 under its own id; PING is echoed."""
    async with simulated() as (_, client), client.listening() as socket:
        request_id = await socket.send("DANCE")
        answer = await socket.take()
        assert [request_id, 404] == [answer["id"], answer["error"]["code"]]
        request_id = await socket.send("PING")
        assert {"id": request_id, "action": "PING"} == await socket.take()


async def test_a_frame_that_cannot_be_read_is_ignored_or_ends_the_socket() -> None:
    """Undecodable frames are written down; a knob makes them fatal."""
    async with simulated() as (simulator, client), client.listening() as socket:
        await socket.ws.send_bytes(b"no gzip")
        await socket.ws.send_str("text")
        await socket.send("PING")
        await socket.take()
        assert 2 == simulator.journal.kinds()["bad_frame"]
        simulator.faults.bad_frame_closes = True
        await socket.ws.send_str("text")
        assert 1003 == await socket.closed()


async def test_what_the_bot_sends_is_echoed_and_kept_once() -> None:
    """A CREATE_MESSAGE is answered in the captured shape; a repeated id changes nothing."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message = {
            "conversation_id": new_id(),
            "message_id": new_id(),
            "category": "PLAIN_TEXT",
            "data_base64": "aGk",
        }
        for _ in range(2):
            request_id = await socket.send("CREATE_MESSAGE", **message)
            answer = await socket.take()
            assert request_id == answer["id"]
            echo = answer["data"]
            assert [client.bot.app_id, "", "", ""] == [
                echo[name] for name in ("user_id", "category", "conversation_id", "data")
            ]
        assert [message] == simulator.journal.sent
        await socket.send("CREATE_MESSAGE", **{**message, "message_id": "no uuid"})
        assert 10002 == (await socket.take())["error"]["code"]


async def test_receipts_are_pushed_where_asked_for() -> None:
    """With the knob on, what the bot sends is DELIVERED and then READ, dated year one."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.receipts = ("DELIVERED", "READ")
        message_id = new_id()
        await socket.send(
            "CREATE_MESSAGE",
            conversation_id=new_id(),
            message_id=message_id,
            category="PLAIN_TEXT",
            data_base64="aGk",
        )
        frames = [await socket.take() for _ in range(3)]
        pushes = [one for one in frames if one["action"] == "ACKNOWLEDGE_MESSAGE_RECEIPT"]
        assert ["DELIVERED", "READ"] == [one["data"]["status"] for one in pushes]
        assert {message_id} == {one["data"]["message_id"] for one in pushes}
        assert {"0001-01-01T00:00:00Z"} == {one["data"]["created_at"] for one in pushes}


async def test_pings_are_answered_and_sent() -> None:
    """The server answers pings at once, and pings by itself."""
    async with simulated() as (simulator, client):
        simulator.faults.ping_every = 0.01
        async with client.connect(autoping=False) as socket:
            await socket.ws.ping(b"one")
            kinds = {(await socket.take_raw()).type for _ in range(4)}
            assert {aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG} == kinds


async def test_two_bots_have_mailboxes_of_their_own() -> None:
    """A message reaches only the bot that it is for."""
    async with simulated() as (simulator, first):
        second = Client(simulator, first.session, simulator.add_bot())
        for_first = simulator.push("one")
        for_second = simulator.push("two", bot=second.bot)
        async with first.listening() as socket, second.listening() as other:
            assert [for_first] == await socket.take_ids(1)
            assert [for_second] == await other.take_ids(1)
        assert [for_second] == simulator.pending(second.bot)
