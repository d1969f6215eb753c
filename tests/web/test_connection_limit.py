"""The HTTP surface under strangers: raw sockets that say too much, too little, or nothing."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import pytest
from aiohttp import web

from relay.admin.operations import AdminApi
from relay.telemetry.health import Health
from relay.telemetry.metrics import Metrics
from relay.web.api import admin_app
from relay.web.connection_limit import ConnectionLimit
from relay.web.server import MAX_BODY, Server
from tests.web.fake_admin_store import FakeAdminStore
from tests.web.serving import ANYWHERE

TOKEN = "correct-horse-battery"
PATIENCE = 20.0
"""Seconds, never waited for when all is well."""

HOST = b"Host: relay.test\r\n"
BEARER = b"Authorization: Bearer correct-horse-battery\r\n"
PROBE = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
LAST_PROBE = b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
RETRY = b"POST /api/v1/dead-letters/retry HTTP/1.1\r\n" + HOST + BEARER


@asynccontextmanager
async def surface(
    store: FakeAdminStore | None = None, *, connections: int = 100, silence: float = 75.0
) -> AsyncIterator[Server]:
    api = AdminApi(store or FakeAdminStore(), float)
    admin = admin_app(api, TOKEN, tell=lambda _: None, version="1.2.3")
    server = Server(
        ANYWHERE,
        health=Health([], ready_grace=30.0),
        metrics=Metrics(version="1.2.3"),
        admin=admin,
        connections=connections,
        silence=silence,
    )
    async with server:
        yield server


class Stranger:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def head(self) -> bytes:
        """Read the head of an answer, and its body as far as it came along."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Read until the surface hangs up."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                return await self._reader.read()
        return b""

    async def leave(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def strangers(server: Server) -> AsyncIterator[Callable[[], Awaitable[Stranger]]]:
    """Let as many in as a test wants, and see them out."""
    came: list[Stranger] = []

    async def come() -> Stranger:
        came.append(Stranger(*await asyncio.open_connection(*server.address)))
        return came[-1]

    try:
        yield come
    finally:
        for stranger in came:
            await stranger.leave()


async def asked(server: Server, data: bytes) -> bytes:
    """Say something on a connection of its own, and give all that is answered."""
    async with strangers(server) as come:
        stranger = await come()
        stranger.say(data)
        return await stranger.rest()


# --- Too little -----------------------------------------------------------------------------------


async def test_a_new_probe_is_let_in_however_many_say_nothing() -> None:
    """Connections are bounded, and who has been there for longest makes room."""
    async with surface(connections=10) as server, strangers(server) as come:
        silent = [await come() for _ in range(30)]
        assert (await asked(server, LAST_PROBE)).startswith(b"HTTP/1.1 200 ")
        for one in silent[:20]:
            assert b"" == await one.rest()
        silent[-1].say(PROBE)
        assert (await silent[-1].head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nX: y\r\n"])
async def test_silence_and_halves_of_requests_end(said: bytes) -> None:
    """Who never comes to the end of a request is hung up on."""
    async with surface(silence=0.05) as server:
        assert b"" == await asked(server, said)


async def test_a_kept_connection_ends_too() -> None:
    """Between requests the same patience holds."""
    async with surface(silence=0.05) as server:
        answer = await asked(server, PROBE)
    assert answer.startswith(b"HTTP/1.1 200 ")


class Remembering(asyncio.Transport):
    """A transport that remembers how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def close(self) -> None:
        self.ended.append("closed")

    def abort(self) -> None:
        self.ended.append("aborted")


async def test_who_reads_nothing_is_cut_off() -> None:
    """Room is made by a cut: a peer that takes no answer would keep a polite close waiting."""
    limit = ConnectionLimit(web.Server(_unasked), most=2)
    first, second, third, fourth = guests = [Remembering() for _ in range(4)]
    limit.add(first)
    limit.add(second)
    limit.remove(second)
    limit.add(third)
    assert [] == first.ended
    limit.add(fourth)
    assert ["aborted"] == first.ended
    limit.close()
    assert [["aborted"], [], ["aborted"], ["aborted"]] == [guest.ended for guest in guests]
    assert 0 == len(limit)


async def _unasked(_: web.BaseRequest) -> NoReturn:
    raise AssertionError


async def test_a_flood_of_requests_on_one_connection_is_answered_in_turn() -> None:
    """Who sends a thousand requests at once is read as fast as they are answered."""
    async with surface() as server:
        answer = await asked(server, PROBE * 1000 + LAST_PROBE)
    assert 1001 == answer.count(b"HTTP/1.1 200 ")


# --- Too much -------------------------------------------------------------------------------------

TOO_MUCH = {
    "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET /livez HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 5_000 + b"\r\n",
}

AMBIGUOUS = {
    "two lengths": RETRY + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + PROBE,
    "length and chunks": RETRY
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + PROBE,
    "a space before the colon": RETRY + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + PROBE,
    "a folded header": b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "bare newlines": b"GET /livez HTTP/1.1\nHost: relay.test\n\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("what", [*TOO_MUCH, *AMBIGUOUS])
async def test_what_is_too_much_or_unclear_is_refused(what: str) -> None:
    """400, and the connection ends: what came behind it is nobody's request."""
    store = FakeAdminStore()
    async with surface(store) as server:
        answer = await asked(server, (TOO_MUCH | AMBIGUOUS)[what])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    assert 1 == answer.count(b"HTTP/1.")
    assert b'{"type":"about:blank","title":"Bad Request","status":400}' == body
    assert b"Server: relay\r\n" in head + b"\r\n"
    assert b"X-Content-Type-Options: nosniff\r\n" in head + b"\r\n"
    assert [] == store.asked


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def _whole(body: bytes, *, packed: bool = False) -> bytes:
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    return encoding + b"Content-Length: %d\r\n\r\n" % len(body) + body


LARGE = b" " * (4 * MAX_BODY)


@pytest.mark.parametrize(
    "body", [_whole(LARGE), _chunked(LARGE), _whole(gzip.compress(LARGE), packed=True)]
)
async def test_a_large_body_is_refused_however_it_comes(body: bytes) -> None:
    """413 for one that is announced, one that is not, and one that is packed."""
    store = FakeAdminStore()
    async with surface(store) as server, strangers(server) as come:
        stranger = await come()
        stranger.say(RETRY + b"Connection: close\r\n" + body)
        assert (await stranger.head()).startswith(b"HTTP/1.1 413 ")
    assert [] == store.asked


async def test_a_body_without_the_token_is_not_waited_for() -> None:
    """401 comes before a byte of the body is read."""
    async with surface() as server, strangers(server) as come:
        stranger = await come()
        head = b"POST /api/v1/dead-letters/retry HTTP/1.1\r\n" + HOST
        stranger.say(head + b"Content-Length: 1000000000\r\n\r\n")
        assert (await stranger.head()).startswith(b"HTTP/1.1 401 ")


# --- Elsewhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1/messages",
        "/api/v1/openapi.json",
        "/%61pi/v1/messages",
        "/api/v1/../v1/messages",
        "/api/v1/%2e%2e/v1/messages",
        "/livez/../api/v1/messages",
        "//api/v1/messages",
        "/API/v1/messages",
        "http://relay.test/api/v1/messages",
        "/metrics/../../etc/passwd",
        "/livez%00",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"])
async def test_no_way_around_the_token(method: str, path: str) -> None:
    """However a path is written and whatever is to be done with it, nobody asks the journal."""
    store = FakeAdminStore()
    line = f"{method} {path} HTTP/1.1\r\n".encode()
    async with surface(store) as server:
        answer = await asked(server, line + HOST + b"Connection: close\r\n\r\n")
    assert answer.split(b" ")[1] in {b"400", b"401", b"404", b"405"}
    assert [] == store.asked
