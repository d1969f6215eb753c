"""A receiver that costs as little as possible: it answers 200 to whatever it is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Taker(asyncio.Protocol):
    """Counts content-length bytes, and answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self.answer(head)

    def answer(self, head: bytes) -> None:  # noqa: ARG002 - for those who look at it
        """Answer a request with this head, in lower case."""
        self.say(OK)

    def say(self, answer: bytes) -> None:
        """Send an answer, unless nobody waits for one any more."""
        if not self._transport.is_closing():
            self._transport.write(answer)


@asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[str]:
    """Listen on loopback, by default at any port that is free; gives the URL."""
    server = await asyncio.get_running_loop().create_server(Taker, "127.0.0.1", port)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
