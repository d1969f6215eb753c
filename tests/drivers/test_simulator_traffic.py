"""Traffic is realistic and repeatable, and `serve` lives as the command needs it."""

import asyncio
import json
from collections import Counter

import pytest

import relay.simulator
from relay.simulator.journal import Entry
from tests.drivers.simulator_client import Client, simulated
from tests.support.simulator import Ack, Family, Traffic, make_keystore, serve


async def test_traffic_is_a_mix() -> None:
    """Many categories, senders and conversations, most of it text."""
    async with simulated() as (simulator, _):
        pushed = Counter[str]()
        traffic = Traffic(simulator)
        await traffic.run(messages=500, on_push=lambda _, category: pushed.update([category]))
        assert 500 == len(simulator.pending()) == pushed.total()
        assert len(pushed) >= 10
        assert pushed["PLAIN_TEXT"] > 200
        assert pushed["ENCRYPTED_TEXT"] > 20


async def test_the_same_seed_makes_the_same_mix() -> None:
    """Two runs push the same categories in the same order."""
    runs = []
    for _ in range(2):
        async with simulated() as (simulator, _):
            traffic = Traffic(simulator, seed=7)
            runs.append([traffic.push()[1] for _ in range(50)])
    assert runs[0] == runs[1]


async def test_an_rsa_bot_gets_nothing_encrypted() -> None:
    """The mix leaves out what the bot can't read."""
    async with simulated(keystores=[make_keystore(Family.RSA)]) as (simulator, _):
        traffic = Traffic(simulator)
        categories = {traffic.push()[1] for _ in range(200)}
        assert "ENCRYPTED_TEXT" not in categories
        assert "PLAIN_TEXT" in categories


async def test_traffic_keeps_its_rate() -> None:
    """Messages come over time, as many as asked for."""
    async with simulated() as (simulator, _):
        loop = asyncio.get_running_loop()
        started = loop.time()
        pushed: list[str] = []
        await Traffic(simulator).run(
            rate=200, messages=10, on_push=lambda message_id, _: pushed.append(message_id)
        )
        assert pushed == simulator.pending()
        assert loop.time() - started >= 9 / 200
        with pytest.raises(ValueError, match="rate"):
            await Traffic(simulator).run(on_push=lambda *_: None)


async def test_serve_pushes_and_reports_until_cancelled() -> None:
    """A client that acknowledges is told of; serving goes on after the last message."""
    keystore = make_keystore()
    up: asyncio.Future[relay.simulator.Simulator] = asyncio.get_running_loop().create_future()
    pushed: list[str] = []
    entries: list[Entry] = []
    serving = asyncio.create_task(
        serve(
            "127.0.0.1",
            0,
            keystore=keystore,
            rate=1000,
            messages=3,
            on_start=up.set_result,
            on_push=lambda message_id, _: pushed.append(message_id),
            on_entry=entries.append,
        )
    )
    simulator = await up
    assert keystore == json.loads(simulator.keystore_json())
    async with simulated() as (_, other):
        client = Client(simulator, other.session, simulator.bot)
        async with client.listening() as socket:
            ids = await socket.take_ids(3)
            await client.mark_read(*ids)
            assert ids == pushed
        (connect,) = simulator.journal.accepted
        await simulator.until(lambda: connect.closed_at is not None, "the socket closed")
    acks = [entry.message_id for entry in entries if isinstance(entry, Ack)]
    assert pushed == acks
    assert not serving.done()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_serve_raises_what_the_command_has_to_say() -> None:
    """A taken address is an OSError, a broken keystore a KeyError or ValueError."""

    async def serve_quietly(port: int, keystore: dict[str, str] | None = None) -> None:
        await serve(
            "127.0.0.1",
            port,
            keystore=keystore,
            on_start=lambda _: None,
            on_push=lambda *_: None,
            on_entry=lambda _: None,
        )

    async with simulated() as (simulator, _):
        port = int(simulator.api_url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            await serve_quietly(port)
    with pytest.raises(KeyError):
        await serve_quietly(0, {"app_id": "1"})
