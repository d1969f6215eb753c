"""A connection can't lie: only what was asked for decides, and of that the status line alone."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from relay.webhook.exchange import Failure, Sent
from tests.drivers.scripted_server import (
    Peer,
    Script,
    ScriptedServer,
    answer,
    answering,
    flooding,
    head,
    saying,
)
from tests.drivers.sender_adapters import (
    PATIENT,
    SHORT,
    AnySender,
    MakeSender,
    Names,
    outcome,
    post,
)

KIB = 1024
OK = (200, None, Sent.YES)
CREATED = (201, None, Sent.YES)
PROTOCOL = (None, Failure.PROTOCOL, Sent.YES)
ELSEWHERE = answering(answer("201 Created"))
"""What the next connection says: who gets this has not believed the one before."""

LINE = b"HTTP/1.1 200 OK\r\n"

# --- Bytes that nobody asked for ------------------------------------------------------------------


@pytest.mark.parametrize("late", [answer(), answer("500 No"), b"\r\n", b"<!-- 0.2 s -->"])
async def test_what_comes_on_an_idle_connection_ends_it(sender: AnySender, late: bytes) -> None:
    """A second answer, or anything else, is never the next message's."""
    now = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        await now.wait()
        await peer.send(late)
        await peer.left()

    async with ScriptedServer(script, ELSEWHERE) as server:
        assert OK == outcome(await sender.send(post(server.port)))
        now.set()
        await server.all_ended(1)
        assert CREATED == outcome(await sender.send(post(server.port)))


@pytest.mark.parametrize("late", [lambda peer: peer.send_now(answer()), Peer.hang_up_now])
async def test_what_nobody_has_read_yet_counts_as_well(
    sender: AnySender, late: Callable[[Peer], None]
) -> None:
    """Bytes, or an end, that a busy loop has not come to yet are there all the same."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(answer())
        await peer.left()

    async with ScriptedServer(script, ELSEWHERE) as server:
        assert OK == outcome(await sender.send(post(server.port)))
        late(peers[0])
        assert CREATED == outcome(await sender.send(post(server.port)))
        assert 2 == len(server.requests)


async def banner(peer: Peer) -> None:
    """Say 200 to whoever connects, a while later, and read nothing."""
    for _ in range(100):
        await asyncio.sleep(0)
    await peer.send(answer())
    await peer.left()


async def test_who_speaks_first_is_not_asked(make_sender: MakeSender) -> None:
    """A server that says 200 to whoever connects has taken nothing; not a byte is sent to it."""
    async with ScriptedServer(banner) as server:
        got = await make_sender(listen=PATIENT).send(post(server.port))
        await server.all_ended(3)
        assert (3, []) == (server.connections, server.requests)
    assert (None, Failure.PROTOCOL, Sent.NO) == outcome(got)


async def test_who_speaks_first_costs_no_attempt(make_sender: MakeSender) -> None:
    """The request goes over another connection, if that one waits to be asked."""
    async with ScriptedServer(banner, ELSEWHERE) as server:
        sender = make_sender(listen=SHORT)
        assert CREATED == outcome(await sender.send(post(server.port)))
        assert 1 == len(server.requests)


async def test_a_flood_on_an_idle_connection_ends_it(sender: AnySender) -> None:
    """Nothing of it is kept."""
    async with ScriptedServer(flooding(answer(), answer()), ELSEWHERE) as server:
        assert OK == outcome(await sender.send(post(server.port)))
        await server.all_ended(1)
        assert CREATED == outcome(await sender.send(post(server.port)))


# --- The status line decides ----------------------------------------------------------------------

CHUNKED = "Transfer-Encoding: chunked"
UNFRAMED = {
    "a body under a 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody",
    "two equal lengths": head("Content-Length: 2", "Content-Length: 2") + b"ok",
    "two other lengths": head("Content-Length: 2", "Content-Length: 3") + b"ok",
    "a length beside chunks": head("Content-Length: 2", CHUNKED) + b"2\r\nok\r\n0\r\n\r\n",
    "no number for a length": head("Content-Length: two") + b"ok",
    "a length beyond all": head("Content-Length: " + "9" * 30),
    "a bad chunk": head(CHUNKED) + b"zz\r\nok\r\n",
    "an endless chunk extension": head(CHUNKED) + b"2;" + b"x" * 300 * KIB,
    "bytes behind the last": head("Content-Length: 2", "Connection: close") + b"ok and more",
    "bytes behind an answer": answer(body=b"ok") + b"and more",
    "an answer behind an answer": answer() + answer("500 No"),
    "a header without a colon": head("nothing") + b"ok",
    "a header with a NUL": head("X: a\0b") + b"ok",
    "a folded header": head("X: a", "  b", "Content-Length: 0", "Connection: close"),
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "an old version": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no words": b"HTTP/1.1 200\r\nContent-Length: two\r\n\r\n",
    "a head of 100 KiB": head("X: " + "z" * 100 * KIB),
    "an end that is to come by closing": head() + b"a body",
}


@pytest.mark.parametrize("said", UNFRAMED.values(), ids=UNFRAMED)
async def test_nothing_behind_a_status_line_takes_it_back(
    make_sender: MakeSender, said: bytes
) -> None:
    """It is what it says, and a connection that can't be trusted further is not used again."""
    sender = make_sender(body_patience=SHORT, keep_idle=3600.0)
    async with ScriptedServer(saying(said), ELSEWHERE) as server:
        got = await sender.send(post(server.port))
        assert (int(said[9:12]), None, Sent.YES) == outcome(got)
        await server.all_ended(1)
        assert CREATED == outcome(await sender.send(post(server.port)))


async def test_a_reset_in_the_middle_of_a_body_takes_nothing_back(sender: AnySender) -> None:
    """Nor does a crash after the status line."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Content-Length: 9") + b"half")
        peer.reset()

    async with ScriptedServer(script, ELSEWHERE) as server:
        assert OK == outcome(await sender.send(post(server.port)))
        assert CREATED == outcome(await sender.send(post(server.port)))


@pytest.mark.parametrize(
    "said",
    [
        head("X: " + "z" * 9 * KIB, "Content-Length: 0"),
        head(*(f"X-{n}: {n}" for n in range(150)), "Content-Length: 0"),
        head(CHUNKED) + b"2;x=y\r\nok\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nX: y\r\n\r\n" + answer(),
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["9 KiB of head", "150 fields", "chunks", "interim answers", "HTTP/1.0", "no content"],
)
async def test_what_is_framed_is_used_again(sender: AnySender, said: bytes) -> None:
    """Large or rare is not broken."""
    async with ScriptedServer(answering(said)) as server:
        for _ in range(3):
            assert (await sender.send(post(server.port))).status in {200, 204}
        assert 1 == server.connections


NO_ANSWER = {
    "another protocol": b"RTSP/1.0 200 OK\r\n\r\n",
    "a newer version": b"HTTP/2.0 200 OK\r\n\r\n",
    "an unknown version": b"HTTP/1.2 200 OK\r\n\r\n",
    "an ancient version": b"HTTP/0.9 200 OK\r\n\r\n",
    "no version": b"200 OK\r\n\r\n",
    "no head at all": b"<html>well done</html>",
    "a radio": b"ICY 200 OK\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "letters": b"HTTP/1.1 2OO OK\r\n\r\n",
    "a sign": b"HTTP/1.1 +20 OK\r\n\r\n",
    "a zero": b"HTTP/1.1 020 OK\r\n\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\n\r\n",
    "a blank in front": b" HTTP/1.1 200 OK\r\n\r\n",
    "a byte order mark": b"\xef\xbb\xbfHTTP/1.1 200 OK\r\n\r\n",
    "small letters": b"http/1.1 200 OK\r\n\r\n",
    "a line without end": b"HTTP/1.1 200 " + b"x" * 100 * KIB,
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


OUR_WORDS = {
    "no status line of HTTP/1.0 or HTTP/1.1",
    "no final status line within 64 KiB",
    "101 Switching Protocols, which nobody asked for",
}


@pytest.mark.parametrize("said", NO_ANSWER.values(), ids=NO_ANSWER)
async def test_what_has_no_status_line_of_http_1_is_no_answer(
    sender: AnySender, said: bytes
) -> None:
    """The receiver has the request; what it thinks of it nobody knows, nor says what it wrote."""
    async with ScriptedServer(saying(said), ELSEWHERE) as server:
        got = await sender.send(post(server.port))
        assert PROTOCOL == outcome(got)
        assert got.detail in OUR_WORDS
        assert CREATED == outcome(await sender.send(post(server.port)))


# --- Early and late -------------------------------------------------------------------------------


async def test_an_early_answer_counts_and_ends_the_connection(sender: AnySender) -> None:
    """It is the receiver's word; the rest of the request is for nobody."""

    async def script(peer: Peer) -> None:
        await peer.first_bytes()
        await peer.send(answer())
        await peer.left()

    async with ScriptedServer(script, ELSEWHERE) as server:
        assert OK == outcome(await sender.send(post(server.port, body=bytes(16 * KIB * KIB))))
        assert CREATED == outcome(await sender.send(post(server.port)))


async def test_what_has_arrived_is_read_before_time_is_up(sender: AnySender) -> None:
    """A loop that stood still may come to the deadline first: the answer counts all the same."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.left()

    async with ScriptedServer(script) as server:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(sender.send(post(server.port, timeout=SHORT)))
        await server.received(1)
        loop.call_later(SHORT / 2, lambda: peers[0].send_now(answer()))
        time.sleep(2 * SHORT)  # noqa: ASYNC251 - this is how it stands still
        assert OK == outcome(await sending)


# --- How long, and how many -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "connections"), [("timeout=60, max=9", 1), ("max=9, timeout=2", 1), ("timeout=1", 2)]
)
async def test_a_receivers_idle_time_is_kept(
    make_sender: MakeSender, hint: str, connections: int
) -> None:
    """A second less than it says, whatever is usual here."""
    sender = make_sender(keep_idle=0.0)
    async with ScriptedServer(answering(answer(Keep_Alive=hint))) as server:
        for _ in range(2):
            assert OK == outcome(await sender.send(post(server.port)))
        assert connections == server.connections


async def test_an_old_connection_is_replaced_and_its_name_asked_anew(
    make_sender: MakeSender,
) -> None:
    """So a switch by DNS is seen by a connection that is never idle."""
    names = Names({"receiver.test": ("127.0.0.1",)})
    sender = make_sender(names=names, lifetime=0.0)
    async with (
        ScriptedServer(answering(answer())) as blue,
        ScriptedServer(ELSEWHERE, host="127.0.0.2", port=blue.port),
    ):
        request = post(blue.port, host="receiver.test")
        assert OK == outcome(await sender.send(request))
        names.names["receiver.test"] = ("127.0.0.2",)
        assert CREATED == outcome(await sender.send(request))


@pytest.mark.parametrize(
    ("scheme", "script"),
    [
        ("http", answering(answer())),
        ("http", answering(answer(Connection="close"))),
        ("http", answering(b"no answer\r\n")),
        ("https", banner),
    ],
    ids=["kept", "closed", "cut", "not made"],
)
async def test_sockets_are_never_more_than_allowed(
    make_sender: MakeSender, monkeypatch: pytest.MonkeyPatch, scheme: str, script: Script
) -> None:
    """Those that are being closed are counted in."""
    opened: set[socket.socket] = set()
    most = 0

    class Counted(socket.socket):
        def __init__(self, *kind: Any, **more: Any) -> None:
            nonlocal most
            super().__init__(*kind, **more)
            if "fileno" not in more:
                opened.add(self)
                most = max(most, len(opened))

        def close(self) -> None:
            opened.discard(self)
            super().close()

        def detach(self) -> int:  # uvloop closes what it detaches
            opened.discard(self)
            return super().detach()

    async with ScriptedServer(script) as server:
        sender = make_sender(connections=3)
        monkeypatch.setattr(socket, "socket", Counted)
        request = post(server.port, scheme=scheme)
        got = await asyncio.gather(*(sender.send(request) for _ in range(50)))
        monkeypatch.undo()
        assert 50 == len(server.requests) or {Failure.TLS} == {each.failure for each in got}
    assert 3 == most


async def test_after_the_last_there_is_no_connection(sender: AnySender) -> None:
    """What is replaced by a reload ends what is under way, and keeps nothing."""
    now = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await now.wait()
        await peer.send(answer())
        await peer.left()

    async with ScriptedServer(answering(answer()), script, ELSEWHERE) as server:
        request = post(server.port)
        await sender.send(request)
        under_way = [asyncio.create_task(sender.send(request)) for _ in range(2)]
        await server.received(3)
        sender.to(request.target).close_when_idle()
        now.set()
        assert [OK, OK] == [outcome(await each) for each in under_way]
        await server.all_ended(2)
        assert CREATED == outcome(await sender.send(request))
        await server.all_ended(3)


# --- What is cut ----------------------------------------------------------------------------------


async def test_what_nobody_reads_is_cut(sender: AnySender) -> None:
    """A receiver that is frozen gets a reset: nothing waits for buffers that nobody empties."""
    thawed = asyncio.Event()
    cut: list[bool] = []

    async def frozen(peer: Peer) -> None:
        await thawed.wait()
        cut.append(await peer.was_reset())

    async with ScriptedServer(frozen) as server:
        got = await sender.send(post(server.port, body=bytes(16 * KIB * KIB), timeout=SHORT))
        thawed.set()
        await server.all_ended(1)
    assert ((None, Failure.TIMEOUT, Sent.MAYBE), [True]) == (outcome(got), cut)


@pytest.mark.parametrize(
    "script",
    [
        flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        flooding(b"", b"HTTP/1.1 103 Early Hints\r\n" + b"A: b\r\n" * 100 + b"\r\n"),
        flooding(b"", b"\r\n" * KIB),
        flooding(LINE, b"a:\r\n" * KIB),
        flooding(head(CHUNKED), b"1\r\nx\r\n" * KIB),
        flooding(head(CHUNKED) + b"1;", b"x=y;" * KIB),
        flooding(head(), b"x" * KIB),
    ],
    ids=["100", "103", "empty lines", "fields", "chunks", "extensions", "body"],
)
async def test_a_flood_ends_the_connection(sender: AnySender, script: Script) -> None:
    """Whatever it is of."""
    async with ScriptedServer(script) as server:
        await sender.send(post(server.port))
        await server.all_ended(1)
