"""The receivers of a soak, a process of their own: as cheap as can be, and they check everything.

`python -m tests.soak.receivers LEDGER CAPACITY`; the rest is asked over stdin.
"""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from standardwebhooks import Webhook

from tests.soak.control import asked, say
from tests.soak.ledger import (
    CONVERSATIONS,
    ENDPOINTS,
    PLACES,
    TICKS,
    Ledger,
    content_of,
    number_of,
)
from tests.soak.plan import AWAY

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VERIFY_EVERY = 50
"""One signature in so many is verified, since that costs more than all the rest."""

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
_UNFINISHED = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
_SLOW = 0.2
_SHARE = 0.3
"""Of the requests go wrong while an endpoint errs, hangs, resets or doesn't finish."""

_NO_LINGER = struct.pack("ii", 1, 0)
_COMPLAINTS = 50


class AdminStore:
    """Judges every request, and keeps nothing of it but the ledger's flags."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.complaints: list[str] = []
        self.wrong = 0
        self.taken = 0
        self.requests = 0
        self.delays: list[float] = []
        self.began = 0.0
        self._ledger = ledger
        self._clock = clock
        self._webhook = Webhook(SECRET)
        self._last = {name: [-1] * CONVERSATIONS for name in ENDPOINTS}

    def complain(self, what: str) -> None:
        """Note that something is wrong."""
        self.wrong += 1
        if len(self.complaints) < _COMPLAINTS:
            self.complaints.append(what)

    def judge(self, head: dict[bytes, bytes], body: bytes) -> int | None:
        """Look a request over; answers with the message's number, None if it is no message."""
        self.requests += 1
        number = number_of(head.get(b"webhook-id", b"").decode())
        if number is None or self._ledger.written_at(number) is None:
            self.complain(f"{head.get(b'webhook-id')!r} came from nowhere")
            return None
        content, place = content_of(number), PLACES[number % CONVERSATIONS]
        if f'"{content}"'.encode() not in body or place.encode() not in body:
            self.complain(f"message {number} came changed")
        if self.requests % VERIFY_EVERY == 0:
            self._verify(number, head, body)
        return number

    def _verify(self, number: int, head: dict[bytes, bytes], body: bytes) -> None:
        headers = {name.decode(): value.decode() for name, value in head.items()}
        try:
            self._webhook.verify(body, headers)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it is a finding
            self.complain(f"message {number}: {error!r}")

    def take(self, endpoint: str, number: int, prior: bytes) -> None:
        """Note that an endpoint answers 2xx now."""
        if self._ledger.take(endpoint, number):
            if prior != b"unknown":
                self.complain(f"{endpoint}: message {number} came again as {prior.decode()}")
            return
        last, place = self._last[endpoint], number % CONVERSATIONS
        if number < last[place]:
            self.complain(f"{endpoint}: message {number} came after {last[place]}")
        last[place] = number
        if endpoint == ENDPOINTS[0]:
            self.taken += 1
            written = self._ledger.written_at(number) or 0
            self.delays.append(self._clock() - self.began - written / TICKS)

    def report(self) -> dict[str, Any]:
        """Tell what was seen since the last report."""
        delays, self.delays = sorted(self.delays), []
        shown = {"p50": _quantile(delays, 0.5), "p99": _quantile(delays, 0.99)}
        return {"taken": self.taken, "requests": self.requests, "wrong": self.wrong, **shown}


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class Endpoint:
    """One endpoint, at the same port whether it is there or away."""

    def __init__(self, name: str, desk: AdminStore) -> None:
        self.name = name
        self.desk = desk
        self.mode = ""
        self.chance = Random(name)
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    async def open(self) -> int:
        """Listen; answers with the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self._port

    async def begin(self, mode: str) -> None:
        """Go wrong from now on."""
        self.mode = mode
        if mode == AWAY and self._server is not None:
            self._server.close()
            self._server = None
            self._cut()

    async def end(self) -> None:
        """Be well again; who was left hanging is cut off."""
        if self.mode in {"hang", "unfinished"}:
            self._cut()
        self.mode = ""
        if self._server is None:
            await self.open()

    def _cut(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()


class Connection(asyncio.Protocol):
    """Counts content-length bytes, and does what the mode of the endpoint says."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._endpoint.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._endpoint.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = _headers(self._buffer[:end])
            stop = end + 4 + int(head[b"content-length"])
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            self._serve(head, body)

    def _serve(self, head: dict[bytes, bytes], body: bytes) -> None:
        number = self._endpoint.desk.judge(head, body)
        if number is None:
            self.transport.write(_ERROR)
            return
        prior = head.get(b"relay-prior-outcome", b"")
        mode = self._endpoint.mode
        if mode == "busy":
            self.transport.write(_BUSY)
        elif mode == "slow":
            asyncio.get_running_loop().call_later(_SLOW, self._take, number, prior, _OK)
        elif mode and self._endpoint.chance.random() < _SHARE:
            self._go_wrong(mode, number, prior)
        else:
            self._take(number, prior, _OK)

    def _go_wrong(self, mode: str, number: int, prior: bytes) -> None:
        match mode:
            case "errors":
                self.transport.write(_ERROR)
            case "reset":
                raw = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self.transport.abort()
            case "unfinished":
                self._take(number, prior, _UNFINISHED)
            case _:  # it hangs, and is cut off at the end
                pass

    def _take(self, number: int, prior: bytes, answer: bytes) -> None:
        """Note that it is taken, and only then say so: nothing is READ before the note."""
        if not self.transport.is_closing():
            self._endpoint.desk.take(self._endpoint.name, number, prior)
            self.transport.write(answer)


def _headers(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs}


async def main(file: Path, capacity: int) -> None:
    """Serve until the conductor is gone."""
    desk = AdminStore(Ledger(file, capacity), time.monotonic)
    endpoints = [Endpoint(name, desk) for name in ENDPOINTS]
    say(ports=[await each.open() for each in endpoints])
    async for words in asked():
        match words["do"]:
            case "start":
                desk.began = words["at"]
                say()
            case "begin":
                for each in endpoints:
                    await each.begin(words["name"])
                say()
            case "end":
                for each in endpoints:
                    await each.end()
                say()
            case "report":
                say(**desk.report())
            case _:
                say(complaints=desk.complaints)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
