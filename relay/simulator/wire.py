"""One socket as frames, with the faults of a bad line."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSMsgType, web

from relay.simulator.codec import pack
from relay.simulator.exchange import Exchange
from relay.simulator.faults import DESCRIPTIONS, ErrorFrame
from relay.simulator.journal import Connect
from relay.simulator.people import NOBODY

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_FINAL_BINARY: Final = 0x82
_FINAL_TEXT: Final = 0x81
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF


CLOSE_WAIT: Final = 2.0
"""Seconds that a client gets to answer a close frame."""


class Wire:
    """Reads frames, and sends and notes them. Raises ConnectionError once the client is gone."""

    def __init__(
        self,
        exchange: Exchange,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        record: Connect,
    ) -> None:
        self._exchange = exchange
        self._socket = socket
        self._transport = transport
        self._record = record
        self._lock = asyncio.Lock()
        self._is_closing = False

    async def send(self, frame: bytes | str) -> None:
        """Send a frame; it is noted first, since its answer may be here before this returns."""
        if self._exchange.faults.half_open:
            return
        if self._is_closing:
            raise ConnectionResetError("the socket is closing")
        self._exchange.journal.frame(self._record.number, frame, incoming=False)
        async with self._lock:
            if (pause := self._exchange.faults.drip) is not None:
                await self._drip(frame, pause)
            elif isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)

    async def read(self, take: Callable[[bytes | str], Awaitable[None]]) -> None:
        """Hand frames on, and answer pings, until the client is gone."""
        while True:
            if self._exchange.faults.stop_reading:
                self._transport.pause_reading()
            received = await self._socket.receive()
            match received.type:
                case WSMsgType.BINARY | WSMsgType.TEXT:
                    await take(received.data)
                case WSMsgType.PING:
                    await self._pong(received.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    break
        if self._is_closing:
            # The client has answered our close frame; aiohttp would send another one.
            self._transport.close()

    async def refuse(self, error: ErrorFrame) -> None:
        """Send an ERROR frame (docs/protocol.md, Tokens), and close if that is asked for."""
        body = {"status": 202, "code": error.code, "description": DESCRIPTIONS.get(error.code, "")}
        await self.send(pack({"id": NOBODY, "action": "ERROR", "error": body}))
        if error.close:
            await self.drop(1000)

    async def drop(self, code: int | None) -> None:
        """End the socket with a close code, or without a close frame if there is none."""
        self._record.close_code = self._record.close_code or code
        if code is None:
            self._transport.abort()
        elif not self._is_closing:
            self._is_closing = True
            await self._socket.send_frame(struct.pack("!H", code), WSMsgType.CLOSE)
            asyncio.get_running_loop().call_later(CLOSE_WAIT, self._transport.abort)

    def reset(self) -> None:
        """Reset the connection."""
        reset_connection(self._transport)

    async def keep_pinging(self) -> None:
        """Ping for as long as the socket lives."""
        while (pause := self._exchange.faults.ping_every) is not None:
            await asyncio.sleep(pause)
            if not self._exchange.faults.half_open and not self._is_closing:
                async with self._lock:
                    await self._socket.ping()

    async def _pong(self, payload: bytes) -> None:
        """Answer a ping, unless the server is to be dead."""
        faults = self._exchange.faults
        if faults.answer_pings and not faults.half_open and not self._is_closing:
            async with self._lock:
                await self._socket.pong(payload)

    async def _drip(self, frame: bytes | str, pause: float) -> None:
        for byte in _framed(frame):
            if self._transport.is_closing():
                raise ConnectionResetError("the client is gone")
            self._transport.write(bytes((byte,)))
            await asyncio.sleep(pause)


def reset_connection(transport: asyncio.Transport) -> None:
    """End a connection by a RST: nothing lingers, what is unsent is lost."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def _framed(frame: bytes | str) -> bytes:
    content = frame.encode() if isinstance(frame, str) else frame
    opcode = _FINAL_TEXT if isinstance(frame, str) else _FINAL_BINARY
    size = len(content)
    if size <= _SHORT:
        return bytes((opcode, size)) + content
    if size <= _MEDIUM:
        return bytes((opcode, _SHORT + 1)) + size.to_bytes(2, "big") + content
    return bytes((opcode, _SHORT + 2)) + size.to_bytes(8, "big") + content
