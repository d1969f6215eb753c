"""The handshake fails as scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.drivers.simulator_client import Client, simulated
from tests.support.simulator import (
    Answer,
    ErrorFrame,
    Hang,
    Late,
    Reset,
    Sessions,
    Unechoed,
    throttle,
)
from tests.support.simulator import redirect as redirect_to


@asynccontextmanager
async def refused(client: Client) -> AsyncIterator[aiohttp.WSServerHandshakeError]:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with client.connect():
            pass
    yield caught.value


@pytest.mark.parametrize("status", [200, 401, 403, 429, 500, 502, 503])
async def test_the_upgrade_can_be_answered_by_a_proxy(status: int) -> None:
    """Any HTTP answer instead of a 101, so many times; then all is well."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(Answer(status), times=2)
        for _ in range(2):
            async with refused(client) as error:
                assert status == error.status
        async with client.listening():
            pass
        refusals = [one.refused for one in simulator.journal.connects]
        assert [f"HTTP {status}", f"HTTP {status}", None] == refusals
        assert 1 == len(simulator.journal.accepted)


async def test_the_upgrade_can_be_throttled() -> None:
    """A true 429 carries Retry-After and the server's time."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(throttle("7"))
        async with refused(client) as error:
            assert error.headers is not None
            assert "7" == error.headers["Retry-After"]
            assert error.headers["X-Server-Time"].isdecimal()


async def test_the_upgrade_can_be_redirected() -> None:
    """A client that follows is seen at the other path."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(redirect_to("/elsewhere"))
        async with client.connect() as socket:
            await socket.closed()
        assert ["/", "/elsewhere"] == [one.path for one in simulator.journal.connects]


async def test_the_handshake_can_hang() -> None:
    """Nothing comes until the client gives up, and then the server is rid of it."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(Hang())
        connecting = asyncio.create_task(client.connect().__aenter__())
        await simulator.attempted()
        await simulator.until(lambda: simulator.journal.connects[0].refused == "hang", "a hang")
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await simulator.until(
            lambda: simulator.journal.connects[0].closed_at is not None, "the hang's end"
        )


async def test_the_handshake_can_be_reset_or_late() -> None:
    """A reset is an error of the connection; a late handshake succeeds."""
    async with simulated() as (simulator, client):
        # Not `next`: aiohttp repeats a GET by itself after a reset.
        simulator.faults.upgrades.always(Reset())
        with pytest.raises(aiohttp.ClientConnectionError):
            async with client.connect():
                pass
        simulator.faults.upgrades.always(Late(0.01))
        async with client.listening():
            pass


async def test_the_subprotocol_can_be_withheld() -> None:
    """The handshake succeeds without the echo."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(Unechoed())
        async with client.connect() as socket:
            assert socket.ws.protocol is None
            await socket.list_pending()
            await socket.take()


async def test_an_error_frame_can_meet_a_good_token() -> None:
    """Such as 10006: the client is too old."""
    async with simulated() as (simulator, client):
        simulator.faults.upgrades.next(ErrorFrame(10006))
        async with client.connect() as socket:
            frame = await socket.take()
            assert ["ERROR", 10006] == [frame["action"], frame["error"]["code"]]
            await socket.closed()


async def test_both_connections_of_a_session_are_served() -> None:
    """By default each socket gets every message."""
    async with simulated() as (simulator, client):
        async with client.listening() as one, client.listening() as other:
            message_id = simulator.push("hello")
            assert [message_id] == await one.take_ids(1) == await other.take_ids(1)
        assert 2 == simulator.journal.pushed[message_id]


async def test_pushes_can_be_split_between_connections() -> None:
    """Each message goes to one socket only."""
    async with simulated() as (simulator, client):
        simulator.faults.sessions = Sessions.SPLIT
        async with client.listening() as one, client.listening() as other:
            ids = [simulator.push(str(number)) for number in range(4)]
            assert set(ids) == {*await one.take_ids(2), *await other.take_ids(2)}
        assert set(ids) == set(simulator.journal.pushed)


async def test_the_newest_connection_can_win() -> None:
    """The older socket is closed when another comes up."""
    async with simulated() as (simulator, client):
        simulator.faults.sessions = Sessions.NEWEST_WINS
        async with client.listening() as old, client.listening() as new:
            assert 1000 == await old.closed()
            message_id = simulator.push("hello")
            assert [message_id] == await new.take_ids(1)


async def test_the_newest_connection_can_be_refused() -> None:
    """The second socket is closed at once, and the first lives on."""
    async with simulated() as (simulator, client):
        simulator.faults.sessions = Sessions.NEWEST_REFUSED
        async with client.listening() as old, client.connect() as new:
            assert 1008 == await new.closed()
            message_id = simulator.push("hello")
            assert [message_id] == await old.take_ids(1)


async def test_the_server_can_be_cut_off_and_come_back() -> None:
    """After a stop nothing answers at the port; after a start everything unread is still there."""
    async with simulated() as (simulator, client):
        url = simulator.blaze_url
        message_id = simulator.push("hello")
        async with client.listening() as socket:
            await simulator.stop()
            assert 1006 == await socket.closed()
        with pytest.raises(aiohttp.ClientConnectorError):
            async with client.connect():
                pass
        await simulator.start()
        assert url == simulator.blaze_url
        async with client.listening() as socket:
            assert [message_id] == await socket.take_ids(1)
        assert 2 == len(simulator.journal.accepted)


async def test_a_hanging_request_does_not_hold_up_the_stop() -> None:
    """Stopping ends handlers that wait for nothing."""
    async with simulated() as (simulator, client):
        simulator.faults.me.next(Hang())
        asking = asyncio.create_task(client.call("GET", "/me"))
        await simulator.requested("/me")
        await simulator.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await asking
