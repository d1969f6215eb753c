"""What the sender promises of its connections."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from relay.webhook.exchange import Answer, Failure, Sent
from tests.drivers.scripted_server import (
    Peer,
    ScriptedServer,
    answer,
    answering,
    closing,
    head,
    mute,
    refusing_port,
    resetting,
    saying,
    silent,
)
from tests.drivers.sender_adapters import (
    BODY,
    DRIP,
    SHORT,
    AnySender,
    MakeSender,
    outcome,
    post,
)

# --- Connections that end -----------------------------------------------------------------------


@pytest.mark.parametrize("script", [closing, resetting])
async def test_a_connection_that_ends_instead_of_an_answer_is_a_reset(
    sender: AnySender, script: Callable[[Peer], object]
) -> None:
    """The request may have been taken, and is not sent again."""
    async with ScriptedServer(script) as server:  # type: ignore[arg-type]
        got = await sender.send(post(server.port))
        assert 1 == len(server.requests)
    assert (None, Failure.RESET, Sent.MAYBE) == outcome(got)


@pytest.mark.parametrize("end", [closing, resetting])
async def test_a_reused_connection_that_ends_is_a_reset(
    sender: AnySender, end: Callable[[Peer], object]
) -> None:
    """Nobody knows whether the receiver took the request, so nobody sends it again in silence."""

    async def answering_once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        await end(peer)  # type: ignore[misc]

    async with ScriptedServer(answering_once, answering(answer())) as server:
        first = await sender.send(post(server.port))
        second = await sender.send(post(server.port))
        assert (2, 1) == (len(server.requests), server.connections)
    assert (200, None, Sent.YES) == outcome(first)
    assert (None, Failure.RESET, Sent.MAYBE) == outcome(second)


async def test_a_connection_that_ended_while_idle_is_not_used(sender: AnySender) -> None:
    """A stale connection costs nothing: the next request takes a new one."""

    async def answering_once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        await peer.hang_up()

    async with ScriptedServer(answering_once) as server:
        for count in (1, 2):
            assert 200 == (await sender.send(post(server.port))).status
            await server.all_ended(count)
        assert 2 == server.connections


async def test_idle_connections_are_given_up(make_sender: MakeSender) -> None:
    """The relay closes before the receiver does."""
    sender = make_sender(keep_idle=DRIP)
    async with ScriptedServer(answering(answer())) as server:
        await sender.send(post(server.port))
        await server.all_ended(1)


async def test_an_answer_cut_short_is_an_answer(sender: AnySender) -> None:
    """A body that ends too early changes nothing."""

    async def cutting(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Content-Length: 99") + b"abc")

    async with ScriptedServer(cutting) as server:
        got = await sender.send(post(server.port))
    assert (200, None, Sent.YES) == outcome(got)
    assert b"abc" == got.body


@pytest.mark.parametrize(
    ("said", "got"),
    [
        (b"HTTP/1.1 200 OK", (None, Failure.RESET, Sent.MAYBE)),
        (b"HTTP/1.1 200 OK\r\nC", (200, None, Sent.YES)),
    ],
)
async def test_only_a_whole_status_line_decides(
    sender: AnySender, said: bytes, got: tuple[int | None, Failure | None, Sent]
) -> None:
    """Half of one is no answer; behind a whole one nothing counts."""

    async def cutting(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)

    async with ScriptedServer(cutting) as server:
        assert got == outcome(await sender.send(post(server.port)))


# --- Connections that never come about ----------------------------------------------------------


async def test_a_refused_connect_is_told(sender: AnySender) -> None:
    """Nobody listens, and nothing was sent."""
    with refusing_port() as port:
        got = await sender.send(post(port))
    assert (None, Failure.CONNECT, Sent.NO) == outcome(got)
    assert f"Connection refused (127.0.0.1:{port})" == got.detail


async def test_an_unknown_name_is_told(sender: AnySender) -> None:
    """The DNS does not know the host, and nothing was sent."""
    got = await sender.send(post(80, host="nowhere.test"))
    assert (None, Failure.DNS, Sent.NO) == outcome(got)


async def test_a_name_is_resolved(make_sender: MakeSender) -> None:
    """A receiver is found by its name, also where the first of its addresses is dead."""
    sender = make_sender(names={"receiver.test": ("127.0.0.2", "127.0.0.1")})
    async with ScriptedServer(answering(answer())) as server:
        got = await sender.send(post(server.port, host="receiver.test"))
    assert (200, None, Sent.YES) == outcome(got)


async def test_ipv6_and_ipv4_stand_side_by_side(make_sender: MakeSender) -> None:
    """A receiver is reached by an address of either family, and a dead one costs a moment."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    sender = make_sender(names={"receiver.test": ("::1", "127.0.0.1")})
    async with ScriptedServer(answering(answer())) as server:
        got = await sender.send(post(server.port, host="receiver.test"))
        assert (200, None, Sent.YES) == outcome(got)
        async with ScriptedServer(answering(answer("201 OK")), host="::1", port=server.port):
            for host in ("receiver.test", "[::1]"):
                fresh = make_sender(names={"receiver.test": ("::1", "127.0.0.1")})
                assert 201 == (await fresh.send(post(server.port, host=host))).status


@pytest.mark.parametrize("host", ["127.0.0.1", "receiver.test", "[::ffff:127.0.0.1]"])
async def test_a_blocked_address_is_never_dialled(make_sender: MakeSender, host: str) -> None:
    """Neither as a literal, nor as what a name resolves to, nor inside another address."""
    names = {"receiver.test": ("127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254")}
    sender = make_sender(blocked=("127.0.0.0/8",), names=names)
    async with ScriptedServer(mute) as server:
        got = await sender.send(post(server.port, host=host))
        assert 0 == server.connections
    assert (None, Failure.BLOCKED, Sent.NO) == outcome(got)


async def test_metadata_services_are_always_blocked(sender: AnySender) -> None:
    """Even if nothing is configured."""
    got = await sender.send(post(80, host="169.254.169.254"))
    assert (None, Failure.BLOCKED, Sent.NO) == outcome(got)
    assert "169.254.169.254" in got.detail


async def test_a_blocked_address_does_not_stand_for_the_others(make_sender: MakeSender) -> None:
    """A name with one good address is delivered to, and its other ones are left alone."""
    names = {"receiver.test": ("127.0.0.2", "127.0.0.1")}
    sender = make_sender(names=names, blocked=("127.0.0.2/32",))
    async with (
        ScriptedServer(answering(answer())) as server,
        ScriptedServer(answering(answer()), host="127.0.0.2", port=server.port) as blocked,
    ):
        got = await sender.send(post(server.port, host="receiver.test"))
        assert 0 == blocked.connections
    assert (200, None, Sent.YES) == outcome(got)


# --- Many at once -------------------------------------------------------------------------------


async def test_requests_wait_for_their_turn(make_sender: MakeSender) -> None:
    """Never more connections than allowed, and the deadline covers the wait."""
    sender = make_sender(connections=1)
    async with ScriptedServer(silent) as server:
        first = asyncio.create_task(sender.send(post(server.port, timeout=2 * SHORT)))
        await server.received(1)
        second = await sender.send(post(server.port, timeout=SHORT, connect_timeout=DRIP))
        assert (1, 1) == (len(server.requests), server.connections)
        assert (None, Failure.TIMEOUT, Sent.NO) == outcome(second)
        assert (None, Failure.TIMEOUT, Sent.MAYBE) == outcome(await first)


async def test_a_cancelled_request_frees_its_connection(make_sender: MakeSender) -> None:
    """The next request gets its own answer, on a connection of its own."""
    sender = make_sender(connections=1)
    async with ScriptedServer(silent, answering(answer("201 Created"))) as server:
        cancelled = asyncio.create_task(sender.send(post(server.port)))
        await server.received(1)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await server.all_ended(1)
        assert 201 == (await sender.send(post(server.port))).status


async def test_a_request_cancelled_in_line_is_never_sent(make_sender: MakeSender) -> None:
    """Whoever gives up waiting leaves the line, and those behind move up."""
    sender = make_sender(connections=1)
    async with ScriptedServer(silent, answering(answer())) as server:
        first = asyncio.create_task(sender.send(post(server.port, timeout=SHORT)))
        await server.received(1)
        second = asyncio.create_task(sender.send(post(server.port, body=b"second")))
        third = asyncio.create_task(sender.send(post(server.port, body=b"third")))
        await asyncio.wait({second}, timeout=DRIP)
        second.cancel()
        assert 200 == (await third).status
        assert Failure.TIMEOUT is (await first).failure
    assert [BODY, b"third"] == [received.body for received in server.requests]


async def test_a_request_cancelled_at_its_turn_passes_it_on(make_sender: MakeSender) -> None:
    """Whoever gives up at the very moment takes no connection along."""
    sender = make_sender(connections=1, keep_idle=3600.0)
    async with ScriptedServer(answering(answer())) as server:
        second: asyncio.Task[Answer]

        async def first() -> None:
            await sender.send(post(server.port))
            second.cancel()  # it has its turn, and does not know it yet

        one = asyncio.create_task(first())
        await server.received(0)
        second = asyncio.create_task(sender.send(post(server.port, body=b"second")))
        third = asyncio.create_task(sender.send(post(server.port, body=b"third")))
        await one
        assert 200 == (await third).status
        assert [BODY, b"third"] == [received.body for received in server.requests]


async def test_answers_go_to_their_requests(make_sender: MakeSender) -> None:
    """With many requests at once, each gets the answer to itself."""

    async def echoing(peer: Peer) -> None:
        while received := await peer.request():
            await peer.send(answer(body=received.body))

    sender = make_sender(connections=3)
    async with ScriptedServer(echoing) as server:
        bodies = [str(number).encode() for number in range(30)]
        got = await asyncio.gather(*(sender.send(post(server.port, body=b)) for b in bodies))
        assert 3 == server.connections
    assert bodies == [answered.body for answered in got]


async def test_a_closed_sender_answers(sender: AnySender) -> None:
    """Even then nothing is raised."""
    request = post(80)
    await sender.to(request.target).close()
    assert (None, Failure.CLIENT, Sent.NO) == outcome(await sender.send(request))


async def test_a_sender_that_closes_answers_all(make_sender: MakeSender) -> None:
    """What is under way may have been taken; what waits for its turn has not left."""
    sender = make_sender(connections=1)
    async with ScriptedServer(silent) as server:
        request = post(server.port)
        sending = [asyncio.create_task(sender.send(request)) for _ in range(2)]
        await server.received(1)
        await sender.close()
        got = [outcome(await each) for each in sending]
        await server.all_ended(1)
    assert [(None, Failure.RESET, Sent.MAYBE), (None, Failure.CLIENT, Sent.NO)] == got


async def test_a_request_that_cant_be_made_is_answered(sender: AnySender) -> None:
    """A header that would break the request's frame never leaves."""
    async with ScriptedServer(mute) as server:
        got = await sender.send(post(server.port, headers={"x-evil": "s3cret\r\nx: y"}))
    assert Failure.CLIENT is got.failure
    assert "s3cret" not in got.detail
    assert [] == server.requests


async def test_details_never_hold_the_url(sender: AnySender) -> None:
    """Paths and queries of webhook URLs are secrets."""
    async with ScriptedServer(closing, resetting, saying(b"nonsense\r\n"), silent) as server:
        request = post(server.port, path="/s3cret", timeout=SHORT)
        got = [await sender.send(request) for _ in range(4)]
    with refusing_port() as port:
        got.append(await sender.send(post(port, path="/s3cret")))
    assert not [answered for answered in got if "s3cret" in repr(answered)]
    assert "s3cret" not in repr(request)
