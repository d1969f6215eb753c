"""The simulator's evidence is whole, and can be waited for."""

import asyncio

import pytest

from tests.drivers.simulator_client import simulated
from tests.support.simulator import Simulator
from tests.support.simulator.faulty import FRAMES_KEPT, FullJournal


async def test_every_frame_is_kept_decoded() -> None:
    """Frames of both directions are there in their order, readable or not."""
    async with simulated() as (simulator, client):
        async with client.connect() as socket:
            await socket.list_pending()
            await socket.take()
            await socket.ws.send_bytes(b"nonsense")
            await socket.send("PING")
            await socket.take()
        frames = list(simulator.journal.frames)
        assert [True, False, True, True, False] == [one.incoming for one in frames]
        decoded = [one.decoded and one.decoded["action"] for one in frames]
        listing = "LIST_PENDING_MESSAGES"
        assert [listing, listing, None, "PING", "PING"] == decoded


async def test_every_connect_is_kept() -> None:
    """Time, headers, token and end of each connect are there."""
    async with simulated() as (simulator, client):
        for _ in range(2):
            async with client.listening():
                pass
        await simulator.disconnected(2)
        first, second = simulator.journal.connects
        assert first.claims["jti"]
        assert first.claims["jti"] != second.claims["jti"]
        assert first.app_id == client.bot.app_id
        assert first.accepted_at
        assert first.listed_at
        assert first.closed_at
        assert first.at <= first.accepted_at <= first.listed_at <= first.closed_at <= second.at
        assert 1000 == first.close_code
        assert [0, 1] == [first.number, second.number]


async def test_what_is_sent_before_the_list_is_written_down() -> None:
    """LIST_PENDING_MESSAGES has to come first."""
    async with simulated() as (simulator, client), client.connect() as socket:
        await socket.send("PING")
        await socket.take()
        assert ["sent_before_list"] == list(simulator.journal.kinds())


async def test_a_wait_ends_with_what_did_not_happen() -> None:
    """After its patience a wait raises, and says what it waited for."""
    async with Simulator(patience=0.01) as simulator:
        message_id = simulator.push("hello")
        for waiting, what in (
            (simulator.connected(), "1 connects"),
            (simulator.attempted(2), "2 upgrades"),
            (simulator.listed(), "LIST_PENDING_MESSAGES on 1 sockets"),
            (simulator.disconnected(), "1 sockets closed"),
            (simulator.requested("/me"), "1 requests for /me"),
            (simulator.pushed(message_id), f"1 pushes of {message_id}"),
            (simulator.acknowledged([message_id]), "the acks of 1 messages"),
            (simulator.all_acknowledged(), "every message acknowledged"),
        ):
            with pytest.raises(TimeoutError, match=what):
                await waiting


async def test_waits_wake_up_when_it_happens() -> None:
    """Waits that began before the fact end with it; many may wait at once."""
    async with simulated() as (simulator, client):
        message_id = simulator.push("hello")
        waiting = asyncio.gather(
            simulator.connected(),
            simulator.listed(),
            simulator.pushed(message_id),
            simulator.acknowledged([message_id]),
            simulator.all_acknowledged(),
            simulator.requested("/acknowledgements"),
            simulator.disconnected(),
        )
        async with client.listening() as socket:
            await socket.take()
            await client.mark_read(message_id)
        await waiting


async def test_an_observer_hears_of_everything() -> None:
    """Connects, requests, acks and violations are told as they come."""
    async with simulated() as (simulator, client):
        heard: list[str] = []
        simulator.journal.observer = lambda entry: heard.append(type(entry).__name__)
        message_id = simulator.push("hello")
        async with client.listening() as socket:
            await socket.take()
            await client.mark_read(message_id)
            await socket.list_pending()
        await simulator.disconnected()
        assert ["Connect", "Ack", "Request", "Violation", "Connect"] == heard


def test_frames_are_bounded() -> None:
    """Only the newest frames stay in memory; counters go on."""
    journal = FullJournal()
    for _ in range(FRAMES_KEPT + 10):
        journal.frame(0, b"", incoming=True)
    assert FRAMES_KEPT == len(journal.frames)


async def test_a_bug_in_the_simulator_shows_as_a_violation() -> None:
    """An exception inside a connection's task is evidence, not a line in a log."""
    async with simulated() as (simulator, client):
        simulator.push("hello", changes={"not json": object()})
        async with client.connect() as socket:
            await socket.list_pending()
            await simulator.until(lambda: bool(simulator.journal.violations), "a violation")
        assert ["simulator_bug"] == list(simulator.journal.kinds())


async def test_it_works_with_a_plain_client_too() -> None:
    """A request that is no upgrade goes to the API, also at the socket's path."""
    async with (
        simulated() as (simulator, client),
        client.session.get(simulator.api_url + "/") as response,
    ):
        assert 401 == (await response.json())["error"]["code"]
