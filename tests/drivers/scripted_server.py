"""A receiver that plays a script, byte by byte, and remembers everything it was sent.

It is no HTTP server on purpose: a script can say what no library would let it say. It signals what
it has seen, so tests wait for facts. A broken script fails its test when the server is left.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

LIMIT = 20.0
"""Seconds after which a wait of a test ends with an error; none is expected to."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came; header names in lower case."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Give the value of a header that must not come twice."""
        values = [value for known, value in self.headers if known == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class Peer:
    """The other end of one connection, as a script sees it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        remember: Callable[[Received], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._remember = remember

    async def request(self) -> Received | None:
        """Read one request; None when the client leaves instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = tuple((n.lower(), v) for n, v in (text.split(": ", 1) for text in lines))
        length = int(dict(headers)["content-length"])
        received = Received(line, headers, await self._reader.readexactly(length))
        await self._remember(received)
        return received

    async def first_bytes(self) -> bytes:
        """Read the beginning of a request, and leave the rest unread."""
        return await self._reader.read(1)

    async def send(self, data: bytes) -> None:
        """Send bytes; raises `ConnectionError` once the client has left."""
        self._writer.write(data)
        await self._writer.drain()

    def send_now(self, data: bytes) -> None:
        """Have bytes in the client's socket before anybody's loop turns."""
        assert len(data) == os.write(self._socket.fileno(), data)

    def hang_up_now(self) -> None:
        """Close our half of the connection before anybody's loop turns."""
        with socket.socket(fileno=os.dup(self._socket.fileno())) as same:
            same.shutdown(socket.SHUT_WR)

    @property
    def _socket(self) -> socket.socket:
        return self._writer.get_extra_info("socket")  # type: ignore[no-any-return]

    async def was_reset(self) -> bool:
        """Wait for the end, and say whether the client cut the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionResetError:
            return True
        return False

    async def drip(self, data: bytes, *, every: float) -> None:
        """Send a byte at a time, as long as the client stays."""
        for byte in data:
            await self.send(bytes([byte]))
            if await self.left(within=every):
                return

    async def left(self, *, within: float | None = None) -> bool:
        """Wait until the client has closed the connection."""
        try:
            async with asyncio.timeout(within):
                while await self._reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    async def hang_up(self) -> None:
        """Close our half of the connection, and wait until the client has closed the other."""
        self._writer.write_eof()
        await self.left()

    def reset(self) -> None:
        """Cut the connection as a crashed machine does: RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Plays the nth script on the nth connection, the last one on all that follow."""

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = 0
        self._scripts = scripts
        self._tls = tls
        self._news = asyncio.Condition()
        self._playing: set[asyncio.Task[None]] = set()
        self._broken: list[Exception] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        await self._server.wait_closed()
        if self._broken and error is None:
            raise ExceptionGroup("broken scripts", self._broken)

    async def received(self, count: int) -> list[Received]:
        """Wait until so many requests have come."""
        await self._until(lambda: len(self.requests) >= count)
        return self.requests

    async def all_ended(self, count: int) -> None:
        """Wait until so many connections have ended."""
        await self._until(lambda: self.ended >= count)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT), self._news:
            await self._news.wait_for(holds)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        task = asyncio.create_task(self._play(script, reader, writer))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)

    async def _play(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await script(Peer(reader, writer, self._remember))
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001 - told to the test in __aexit__
            self._broken.append(error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            async with self._news:
                self.ended += 1
                self._news.notify_all()

    async def _remember(self, request: Received) -> None:
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()


# --- What receivers say -------------------------------------------------------------------------


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """Write an answer with the length of its body; `retry_after` is the header Retry-After."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def head(*lines: str) -> bytes:
    """Write the head of an answer and its empty line."""
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


def answering(*answers: bytes) -> Script:
    """Give the nth request of a connection the nth answer, the last one to all that follow."""

    async def script(peer: Peer) -> None:
        count = 0
        while await peer.request():
            await peer.send(answers[min(count, len(answers) - 1)])
            count += 1

    return script


def saying(data: bytes) -> Script:
    """Read a request, say something, and then nothing until the client leaves."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.left()

    return script


def flooding(first: bytes, again: bytes) -> Script:
    """Read a request, say something, and then the same again for ever."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(first)
        while True:
            await peer.send(again)

    return script


def dripping(first: bytes, slowly: bytes, *, every: float) -> Script:
    """Read a request, say something, and the rest a byte at a time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(first)
        await peer.drip(slowly, every=every)

    return script


async def silent(peer: Peer) -> None:
    """Read a request and say nothing."""
    await peer.request()
    await peer.left()


async def mute(peer: Peer) -> None:
    """Read nothing, say nothing."""
    await peer.left()


async def closing(peer: Peer) -> None:
    """Read a request and hang up."""
    await peer.request()


async def resetting(peer: Peer) -> None:
    """Read a request and crash."""
    await peer.request()
    peer.reset()


# --- Receivers that nobody can reach ------------------------------------------------------------


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Hold a port that lets connects hang: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        yield port
