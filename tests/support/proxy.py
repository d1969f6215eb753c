"""An HTTP proxy: passes on what it is asked for by CONNECT or by a whole URL, and remembers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class HttpProxy:
    """A proxy; `says` is its answer to a CONNECT, and `to` the port that all names lead to."""

    says: bytes = OPEN
    to: int = 0
    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        self.asked.append(line)
        self.headers += headers
        method, url, version = line.split(" ")
        if method == "CONNECT":
            writer.write(self.says)
            if self.says.startswith(b"HTTP/1.1 2"):
                await self._pass_on(reader, writer, int(url.rpartition(":")[2]), b"")
        else:
            whole = urlsplit(url)
            path = f"{whole.path}?{whole.query}" if whole.query else whole.path
            head = "\r\n".join([f"{method} {path} {version}", *headers, "", ""]).encode()
            await self._pass_on(reader, writer, whole.port or 80, head)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, first: bytes
    ) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self.to or port)
        onward.write(first)
        await asyncio.gather(_pipe(reader, onward), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def proxy(says: bytes = OPEN, to: int = 0) -> AsyncIterator[HttpProxy]:
    """Run a proxy."""
    running = HttpProxy(says, to)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
