"""Pushing goes wrong as scripted."""

import asyncio
import base64
import os

import aiohttp
import pytest

from tests.drivers.simulator_client import Client, Socket, simulated
from tests.support.simulator import (
    AppError,
    Drop,
    Echo,
    Empty,
    Moment,
    Order,
    Place,
    Repeat,
    Simulator,
)

_ROUND_TRIPS = 40
"""Requests that give the simulator time enough to do whatever nothing keeps it from."""


async def pushed_and_listed(simulator: Simulator, client: Client, socket: Socket) -> list[str]:
    """Push four messages, list, and take all five frames; answers with `echo` and ids."""
    ids = [simulator.push(str(number)) for number in range(4)]
    names = {message_id: str(number) for number, message_id in enumerate(ids)}
    await socket.list_pending()
    frames = [await socket.take() for _ in range(5)]
    return [names[one["data"]["message_id"]] if "data" in one else "echo" for one in frames]


PLACES = {
    Place.FIRST: ["echo", "0", "1", "2", "3"],
    Place.MIDDLE: ["0", "1", "echo", "2", "3"],
    Place.LAST: ["0", "1", "2", "3", "echo"],
}


@pytest.mark.parametrize(("place", "expected"), PLACES.items())
async def test_the_echo_can_come_anywhere(place: Place, expected: list[str]) -> None:
    """The echo of LIST_PENDING_MESSAGES comes before, among or after the backlog."""
    async with simulated() as (simulator, client), client.connect() as socket:
        simulator.faults.lists.next(Echo(place))
        assert expected == await pushed_and_listed(simulator, client, socket)


async def test_the_echo_can_be_late_or_never_come() -> None:
    """Pushes don't wait for the echo."""
    async with simulated() as (simulator, client):
        simulator.faults.lists.next(Echo(delay=0.05), Echo(Place.NEVER))
        async with client.connect() as socket:
            order = await pushed_and_listed(simulator, client, socket)
            assert ["0", "1", "2", "3", "echo"] == order
        async with client.connect() as socket:
            await socket.list_pending()
            assert simulator.pending() == await socket.take_ids(4)
            await socket.send("PING")
            assert "PING" == (await socket.take())["action"]


async def test_the_list_can_be_refused_or_withheld() -> None:
    """An error under the request's id, or an echo and no backlog."""
    async with simulated() as (simulator, client), client.connect() as socket:
        simulator.faults.lists.next(AppError(7000), Empty())
        simulator.push("hello")
        request_id = await socket.list_pending()
        answer = await socket.take()
        assert [request_id, 7000] == [answer["id"], answer["error"]["code"]]
        await socket.list_pending()
        assert "error" not in await socket.take()
        live = simulator.push("live")
        assert [live] == await socket.take_ids(1)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 1012, 4000])
async def test_the_socket_can_be_dropped_after_some_pushes(code: int | None) -> None:
    """After k pushes the socket ends, with a close code or without a close frame; once."""
    async with simulated() as (simulator, client):
        simulator.faults.drops.next(Drop(Moment.AFTER_PUSHES, code, after=2))
        ids = [simulator.push(str(number)) for number in range(4)]
        async with client.listening() as socket:
            assert ids[:2] == await socket.take_ids(2)
            assert (code or 1006) == await socket.closed()
        await simulator.disconnected()
        assert (code or 1006) == (simulator.journal.accepted[0].close_code or 1006)
        assert 2 == simulator.journal.accepted[0].pushes
        async with client.listening() as socket:
            assert ids == await socket.take_ids(4)


@pytest.mark.parametrize(("moment", "frames"), [(Moment.BEFORE_ECHO, 0), (Moment.AFTER_ECHO, 1)])
async def test_the_socket_can_be_dropped_around_the_echo(moment: Moment, frames: int) -> None:
    """Before the echo of LIST_PENDING_MESSAGES, or after it."""
    async with simulated() as (simulator, client):
        simulator.faults.drops.next(Drop(moment, 1012))
        async with client.connect() as socket:
            await socket.list_pending()
            for _ in range(frames):
                await socket.take()
            assert aiohttp.WSMsgType.CLOSE is (await socket.take_raw()).type
            assert 1012 == socket.ws.close_code


async def test_sockets_can_be_dropped_every_few_seconds() -> None:
    """A standing drop ends each socket some time after it came up."""
    async with simulated() as (simulator, client):
        simulator.faults.drops.always(Drop(Moment.AFTER_SECONDS, 1001, after=0.01))
        for _ in range(2):
            async with client.connect() as socket:
                assert 1001 == await socket.closed()


async def test_tests_can_drop_sockets_themselves() -> None:
    """`drop` ends the sockets that are up at any moment."""
    async with simulated() as (simulator, client):
        for code in (None, 1011):
            async with client.listening() as socket:
                await simulator.drop(code)
                assert (code or 1006) == await socket.closed()
        await simulator.disconnected(2)


async def test_the_backlog_can_be_paged() -> None:
    """At most a page of the backlog is unacknowledged at a time."""
    async with simulated() as (simulator, client):
        simulator.faults.page_limit = 2
        ids = [simulator.push(str(number)) for number in range(4)]
        async with client.listening() as socket:
            assert ids[:2] == await socket.take_ids(2)
            await simulator.flushed()
            await socket.send("PING")
            assert "PING" == (await socket.take())["action"]
            await client.mark_read(*ids[:2])
            assert ids[2:] == await socket.take_ids(2)


async def test_the_backlog_can_come_in_any_order() -> None:
    """Newest first, or shuffled."""
    async with simulated() as (simulator, client):
        ids = [simulator.push(str(number)) for number in range(20)]
        simulator.faults.order = Order.NEWEST_FIRST
        async with client.listening() as socket:
            assert ids[::-1] == await socket.take_ids(20)
        simulator.faults.order = Order.SHUFFLED
        async with client.listening() as socket:
            shuffled = await socket.take_ids(20)
            assert ids != shuffled
            assert sorted(ids) == sorted(shuffled)


async def test_live_messages_can_be_mixed_into_the_backlog() -> None:
    """With the knob on, what arrives doesn't wait for the end of the backlog."""
    async with simulated() as (simulator, client):
        simulator.faults.mix_live = True
        simulator.faults.page_limit = 1
        old = [simulator.push(str(number)) for number in range(2)]
        async with client.listening() as socket:
            assert old[:1] == await socket.take_ids(1)
            live = simulator.push("live")
            assert [live] == await socket.take_ids(1)
            await client.mark_read(old[0])
            assert old[1:] == await socket.take_ids(1)


async def test_the_offset_can_be_honoured() -> None:
    """By default an offset changes nothing; with the knob on, older messages are skipped."""
    async with simulated() as (simulator, client):
        now = simulator.clock.now()
        old, new = simulator.push("a", created_at=now - 60), simulator.push("b", created_at=now)
        async with client.listening() as socket:
            data = await socket.take_data()
            assert old == data["message_id"]
        for honour, expected in ((False, [old, new]), (True, [new])):
            simulator.faults.honour_offset = honour
            async with client.connect() as socket:
                await socket.send("LIST_PENDING_MESSAGES", offset=data["created_at"])
                await socket.take()
                assert expected == await socket.take_ids(len(expected))


async def test_pushes_can_be_repeated() -> None:
    """The same frame again, the same message in a new envelope, or with another body."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.pushes.next(Repeat(2, same_frame=True), Repeat(), Repeat(content=b"other"))
        ids = [simulator.push("hello") for _ in range(3)]
        same = [await socket.take() for _ in range(3)]
        assert same[0] == same[1] == same[2]
        again = [await socket.take() for _ in range(2)]
        assert again[0]["id"] != again[1]["id"]
        assert again[0]["data"] == again[1]["data"]
        changed = [await socket.take_data() for _ in range(2)]
        assert b"other" == base64.b64decode(changed[1]["data"])
        assert {ids[2]} == {data["message_id"] for data in changed}
        assert [3, 2, 2] == [simulator.journal.pushed[one] for one in ids]


async def test_a_known_message_can_be_pushed_again() -> None:
    """`push_again` repeats a message at any time, changed if wanted, acknowledged or not."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        await client.mark_read(message_id)
        simulator.push_again(message_id, changes={"category": "PLAIN_POST"})
        data = await socket.take_data()
        assert [message_id, "PLAIN_POST"] == [data["message_id"], data["category"]]
        assert [] == simulator.pending()
        with pytest.raises(LookupError):
            simulator.push_again("unknown")


async def test_a_half_open_socket_says_nothing() -> None:
    """The server takes everything and sends nothing, not even a pong; nothing counts as pushed."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.half_open = True
        message_id = simulator.push("hello")
        await socket.ws.ping()
        seen = len(simulator.journal.frames)
        await socket.send("PING")
        await simulator.until(lambda: len(simulator.journal.frames) > seen, "the PING")
        await simulator.flushed()
        assert 0 == simulator.journal.pushed[message_id]
        simulator.faults.half_open = False
        later = simulator.push("later")
        assert [later] == await socket.take_ids(1)


async def test_pings_can_stay_unanswered() -> None:
    """With the knob off, a client's heartbeat finds the server dead."""
    async with simulated() as (simulator, client):
        simulator.faults.answer_pings = False
        async with client.connect(heartbeat=0.05) as socket:
            assert 1006 == await socket.closed()


async def test_a_frame_can_drip() -> None:
    """Bytes come one by one, whole in the end, and of any size."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.drip = 0
        message_id = simulator.push("hello")
        assert [message_id] == await socket.take_ids(1)
        await socket.send("PING")
        assert "PING" == (await socket.take())["action"]
        simulator.push_frame("text")
        assert "text" == (await socket.take_raw()).data
        simulator.push_frame(bytes(66_000))
        assert bytes(66_000) == (await socket.take_raw()).data


async def test_the_server_can_stop_reading() -> None:
    """What the client sends fills its own buffers."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.stop_reading = True
        await socket.send("PING")
        await socket.take()
        seen = len(simulator.journal.frames)

        async def flood() -> None:
            while True:
                await socket.ws.send_bytes(bytes(1024 * 1024))

        flooding = asyncio.create_task(flood())
        for _ in range(_ROUND_TRIPS):
            await client.call("GET", "/me")
        assert not flooding.done()
        assert seen == len(simulator.journal.frames)
        flooding.cancel()
        await simulator.drop()


async def test_a_client_that_does_not_read_holds_the_pushes_up() -> None:
    """The backlog is made frame by frame as the client reads: memory doesn't hold it twice."""
    async with simulated() as (simulator, client):
        content = os.urandom(64 * 1024)
        ids = [simulator.push(content, category="PLAIN_DATA") for _ in range(200)]
        async with client.listening() as socket:
            for _ in range(_ROUND_TRIPS):
                await client.call("GET", "/me")
            assert 0 == simulator.journal.pushed[ids[-1]]
            assert ids == await socket.take_ids(200)
