"""Mixin and the webhooks, as cheap as can be, around a relay that is measured: one loop for both.

The Blaze server speaks websocket and `POST /acknowledgements` on one port, with frames that are
made beforehand; the receivers answer 204. Both note when each message was pushed, POSTed and READ.
Nothing is verified here: that is what the tests are for.
"""

import asyncio
import base64
import hashlib
import json
import re
import ssl
import struct
import time
import zlib
from array import array
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

CONVERSATIONS = 200
_TEXT = "the bot please send me the status of my order for today, thanks: how much is it, and when "
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"sec-websocket-key: *(\S+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
_RECEIPTED = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'
)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_CHUNK = 50
_BREATH = 0.001
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_SHORT, _MEDIUM = 126, 127
_MARK = "4000-8000-"


@dataclass(frozen=True, slots=True)
class Load:
    """What people write: so many messages, all before the relay comes, or so many a second.

    Each goes to so many endpoints, whose receivers take `delay` seconds for an answer.
    """

    messages: int
    rate: float | None = None
    endpoints: int = 1
    delay: float = 0.0


class World:
    """What happened to each message; monotonic seconds, 0 for what did not happen."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.pushed = array("d", bytes(8 * load.messages))
        self.posted = array("d", bytes(8 * load.messages))
        self.read = array("d", bytes(8 * load.messages))
        self.posts = 0
        self.complaints: list[str] = []
        self.listed = asyncio.Event()
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.blaze_port = self.hook_port = 0
        self._frames = [
            _push(number, live=load.rate is not None) for number in range(load.messages)
        ]
        self._owed = [set(range(load.endpoints)) for _ in range(load.messages)]
        self._left = load.messages
        self._began = 0.0
        self._now = time.monotonic  # uvloop's own clock has milliseconds

    def hooks(self, scheme: str) -> list[str]:
        """Give the URLs of the webhooks."""
        root = f"{scheme}://127.0.0.1:{self.hook_port}/hook"
        return [f"{root}/{number}" for number in range(self.load.endpoints)]

    async def push(self, link: "Link") -> None:
        """Push to a relay whatever is not READ, and then what is still to be written."""
        self.listed.set()
        if self.load.rate is None:
            await self._push_all(link, range(self.load.messages))
            return
        self._began = self._began or self._now()
        written = 0
        while written < self.load.messages:
            due = min(self.load.messages, int((self._now() - self._began) * self.load.rate) + 1)
            await self._push_all(link, range(written, due))
            written = due
            next_at = self._began + written / self.load.rate
            await asyncio.sleep(max(_BREATH, next_at - self._now()))

    async def _push_all(self, link: "Link", numbers: range) -> None:
        for start in range(numbers.start, numbers.stop, _CHUNK):
            await link.room.wait()
            now = self._now()
            some = [n for n in range(start, min(numbers.stop, start + _CHUNK)) if not self.read[n]]
            for number in some:
                rate = self.load.rate
                self.pushed[number] = now if rate is None else self._began + number / rate
            link.write(b"".join(self._frames[number] for number in some))
            self.begun.set()
            if self.load.rate is None:
                await asyncio.sleep(0)

    def post(self, message_id: bytes, endpoint: int) -> None:
        """Note that a message has come to an endpoint."""
        self.posts += 1
        number = _number(message_id.decode())
        if number is not None and endpoint in self._owed[number]:
            self._owed[number].remove(endpoint)
            if not self._owed[number]:
                self.posted[number] = self._now()

    def acknowledge(self, items: Iterable[dict[str, str]]) -> None:
        """Note what is READ."""
        now = self._now()
        for item in items:
            number = _number(item["message_id"])
            if number is None or self._owed[number] or item["status"] != "READ":
                self.complaints.append(f"{item} before its 2xx, or of nothing")
            elif not self.read[number]:
                self.read[number] = now
                self._left -= 1
        if not self._left:
            self.done.set()


@asynccontextmanager
async def world(load: Load, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[World]:
    """Serve Blaze and the webhooks at ports of loopback; `tls` is the webhooks'."""
    made = World(load)
    loop = asyncio.get_running_loop()
    blaze = await loop.create_server(lambda: Link(made), "127.0.0.1", 0, backlog=1024)
    hooks = await loop.create_server(lambda: Hook(made), "127.0.0.1", 0, backlog=1024, ssl=tls)
    made.blaze_port, made.hook_port = (
        server.sockets[0].getsockname()[1] for server in (blaze, hooks)
    )
    try:
        yield made
    finally:
        blaze.close()
        hooks.close()


# --- Messages -------------------------------------------------------------------------------------


def _push(number: int, *, live: bool) -> bytes:
    """Write the websocket frame of a push."""
    place = str(UUID(int=number % CONVERSATIONS, version=4))
    text = f"{number}: {_TEXT}".encode()
    at = "2026-01-01T00:00:00.123456789Z"
    data = {
        "type": "message",
        "representative_id": "",
        "quote_message_id": "",
        "conversation_id": place,
        "user_id": place,
        "session_id": place,
        "message_id": f"00000000-0000-{_MARK}{number:012x}",
        "category": "PLAIN_TEXT",
        "data": base64.b64encode(text).decode(),
        "data_base64": base64.urlsafe_b64encode(text).decode().rstrip("="),
        "status": "SENT",
        "source": "CREATE_MESSAGE" if live else "LIST_PENDING_MESSAGES",
        "created_at": at,
        "updated_at": at,
    }
    return _frame(_BINARY, _packed({"id": str(uuid4()), "action": "CREATE_MESSAGE", "data": data}))


def _number(message_id: str) -> int | None:
    _, _, digits = message_id.partition(_MARK)
    return int(digits, 16) if digits else None


def _packed(envelope: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(envelope, separators=(",", ":")).encode(), 3, 31)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    return struct.pack("!BBH", 0x80 | opcode, _SHORT, size) + payload


# --- Connections ----------------------------------------------------------------------------------


class Http(asyncio.Protocol):
    """Takes requests with a content length apart; there may be several in a row."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(_END)) >= 0:
            head = self.buffer[:end]
            found = _LENGTH.search(head)
            stop = end + len(_END) + (int(found[1]) if found else 0)
            if len(self.buffer) < stop:
                return
            body, self.buffer = self.buffer[end + len(_END) : stop], self.buffer[stop:]
            self.serve(head, body)

    def serve(self, head: bytes, body: bytes) -> None:
        """Answer one request."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Send, unless nobody is there any more."""
        if not self.transport.is_closing():
            self.transport.write(data)


class Hook(Http):
    """A receiver's connection."""

    def serve(self, head: bytes, body: bytes) -> None:  # noqa: ARG002 - the id is enough
        """Take the message, at once or after the delay."""
        found = _ID.search(head)
        if found is not None:
            path = head.split(b" ", 2)[1]
            self.world.post(found[1], int(path.rpartition(b"/")[2]))
        if self.world.load.delay:
            asyncio.get_running_loop().call_later(self.world.load.delay, self.write, _TAKEN)
        else:
            self.write(_TAKEN)


class Link(Http):
    """A connection to Mixin: first HTTP, and after an upgrade a websocket."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.room = asyncio.Event()
        self.room.set()
        self._upgraded = False
        self._pushing: asyncio.Task[None] | None = None

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, _: Exception | None) -> None:
        if self._pushing is not None:
            self._pushing.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._upgraded:
            super().data_received(data)
            data = b""
        if self._upgraded:
            self.buffer += data
            self._read_frames()

    def serve(self, head: bytes, body: bytes) -> None:
        """Upgrade, or take receipts."""
        if key := _KEY.search(head):
            accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
            self.write(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-protocol: Mixin-Blaze-1\r\nsec-websocket-accept: " + accept + _END
            )
            self._upgraded = True
        elif head.startswith(b"POST /acknowledgements "):
            self.world.acknowledge(json.loads(body))
            self.write(_RECEIPTED)
        else:
            self.write(_NOT_FOUND)

    def _read_frames(self) -> None:
        """Answer LIST_PENDING_MESSAGES and pings: a relay sends nothing else."""
        while len(self.buffer) > 1:
            size, start = self.buffer[1] & 0x7F, 2
            if size == _SHORT:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
            stop = start + 4 + size
            if len(self.buffer) < stop:
                return
            opcode, mask = self.buffer[0] & 0xF, self.buffer[start : start + 4]
            payload = bytes(
                byte ^ mask[place % 4] for place, byte in enumerate(self.buffer[start + 4 : stop])
            )
            self.buffer = self.buffer[stop:]
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.write(_frame(_PONG, payload))
        elif opcode == _CLOSE:
            self.write(_frame(_CLOSE, payload))
            self.transport.close()
        elif opcode == _BINARY:
            request = json.loads(zlib.decompress(payload, 31))
            echo = {"id": request["id"], "action": request["action"]}
            self.write(_frame(_BINARY, _packed(echo)))
            self._pushing = asyncio.create_task(self.world.push(self))
