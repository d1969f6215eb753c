"""One connection to a receiver: one request at a time, and not a byte that nobody asked for."""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from relay.webhook.answer import AnswerReader, NoAnswerError
from relay.webhook.exchange import Answer, Failure, NotConnectedError, Sent
from relay.webhook.tls_layer import TlsLayer

NEVER = float("inf")

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: end with RST, and keep nothing that was not sent
_PIECE = 64 * 1024
_FAREWELL = 1.0  # seconds for the last bytes of TLS to leave
_TUNNEL_IS_OPEN = 2  # as in 2xx
_MOST_SILENT_TLS = 64 * 1024  # bytes of TLS that carry nothing; session tickets are a few KiB


class Owner(Protocol):
    """Who a connection belongs to."""

    def freed(self, connection: "Connection", idle_timeout: int | None) -> None:
        """Take the connection back: it has been answered and may carry another request.

        `idle_timeout` is after how many idle seconds the receiver closes, if it said so.
        """

    def lost(self, connection: "Connection", *, well: bool) -> None:
        """Forget the connection: its socket is closed. `well`: it did what it was there for."""

    def watch(self, due: float) -> None:
        """Call `expire` at the loop's time `due` or soon after, if that is still the due time."""


class Connection(asyncio.Protocol):
    """One connection, plain or over TLS. `due` is the loop's time at which it expires.

    Bytes that come while no request is under way end it, and nothing is read from them.
    """

    def __init__(self, sock: socket.socket, owner: Owner, *, patience: float) -> None:
        self.ended = False
        """Whether it carries nothing more."""
        self.connected = self.gone = False
        """Whether it has had a transport, and whether that is lost."""
        self.trouble: NotConnectedError | None = None
        """Why it ended, if that was while no request was under way."""
        self.due = NEVER
        self.expires = NEVER
        """The loop's time from which on it is not used again, however well it does."""
        self._socket = sock
        self._owner = owner
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._answer: asyncio.Future[Answer] | None = None
        self._opening: asyncio.Future[int] | None = None
        self._listening: asyncio.Future[None] | None = None
        self._tls: TlsLayer | None = None
        self._silent_tls = 0
        self._well = False
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._transport: asyncio.Transport

    # --- what its owner does ----------------------------------------------------------------------

    async def open_tunnel(self, request: bytes) -> int:
        """Ask a proxy for a way on, and give its status. Raises `NotConnectedError`."""
        status = await self._open(lambda: request)
        self._reader = AnswerReader()  # what has framed the proxy's answer waits for its end
        return status

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Shake hands. Raises `NotConnectedError`."""
        self._tls = TlsLayer(context, server_name)
        await self._open(self._tls.hello)

    async def _open(self, first: Callable[[], bytes]) -> int:
        """Take one step before the first request."""
        opening: asyncio.Future[int] = self._loop.create_future()
        self._opening = opening
        if self.trouble is not None:  # whatever came before the step began was none
            self._troubled(Failure.RESET, self.trouble.detail)
        else:
            self._transport.write(first())
        return await opening

    async def ends_within(self, seconds: float) -> None:
        """Wait so long, or until it has ended."""
        if not self.ended:
            self._listening = self._loop.create_future()
            await asyncio.wait([self._listening], timeout=seconds)

    def waits_unread(self) -> bool:
        """Say whether bytes have arrived, or the end, that nobody has read yet."""
        return bool(self._poll.poll(0))

    def post(self, request: bytes, due: float) -> "asyncio.Future[Answer]":
        """Send a request; its answer comes by the loop's time `due`, if one comes at all."""
        self._answer = answer = self._loop.create_future()
        self._reader.begin()
        self._silent_tls = 0
        self.due = due
        self._owner.watch(due)
        self._transport.write(request if self._tls is None else self._tls.encrypt(request))
        return answer

    def rest(self, until: float) -> None:
        """Be idle, and end at the loop's time `until`."""
        self.due = until
        self._owner.watch(until)

    def expire(self) -> None:
        """End, since time is up: idle, closing, or with whatever has arrived for an answer."""
        if self.ended:
            self._transport.abort()
        elif self._answer is None:
            self.close()
        else:
            self._read_what_is_left()  # a loop that stood still may come to the deadline first
            if self._answer is not None:
                self._conclude(Failure.TIMEOUT, Sent.MAYBE, "no answer in time")

    def close(self) -> None:
        """End an idle connection in friendship; nothing of that is waited for long."""
        if self.ended:
            return
        self._end()
        if self._tls is not None:
            self._transport.write(self._tls.farewell())
        self._transport.close()
        self.rest(self._loop.time() + _FAREWELL)

    def abort(self) -> None:
        """End at once, and let go of all that was not sent or not read."""
        if self.ended:
            return
        self._end()
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def drop(self) -> None:
        """End at once, with whatever is under way."""
        self._conclude(Failure.RESET, Sent.MAYBE, "the relay is stopping")

    # --- what its transport calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.connected = True

    def data_received(self, data: bytes) -> None:
        """Take bytes for the answer of the request under way, or for the end."""
        if self.ended:
            return
        over = False
        if self._tls is not None:
            try:
                data, over = self._decrypted(data)
            except ssl.SSLError as error:
                self._conclude(Failure.TLS, Sent.MAYBE, _tls_words(error))
                return
        if data:
            self._take(data)
        if over and not self.ended:
            self.eof_received()

    def eof_received(self) -> None:
        """End: there is no more to come."""
        self._conclude(Failure.RESET, Sent.MAYBE, "the connection ended before an answer came")

    def connection_lost(self, _: Exception | None) -> None:
        """End, after reading what has arrived all the same."""
        self._read_what_is_left()
        if not self.ended:
            self.eof_received()
        self.gone = True
        self._owner.lost(self, well=self._well)

    # --- inside -----------------------------------------------------------------------------------

    def _decrypted(self, data: bytes) -> tuple[bytes, bool]:
        tls = cast("TlsLayer", self._tls)
        if tls.established:
            self._silent_tls += len(data)
        elif tls.shake_hands(data):
            self._opened(0)
            data = b""
        plain, over = tls.decrypt(data) if tls.established else (b"", False)
        if answer := tls.outgoing():
            self._transport.write(answer)
        if plain:
            self._silent_tls = 0
        elif self._silent_tls > _MOST_SILENT_TLS:
            self._conclude(Failure.PROTOCOL, Sent.YES, "TLS without end, and nothing in it")
        return plain, over

    def _take(self, data: bytes) -> None:
        if self._opening is not None:
            self._take_of_proxy(data)
            return
        if self._answer is None:
            self._conclude(Failure.PROTOCOL, Sent.NO, "it spoke before it was asked")
            return
        reader = self._reader
        try:
            reader.feed(data)
        except NoAnswerError as error:
            self._conclude(Failure.PROTOCOL, Sent.YES, str(error))
            return
        if reader.ended:
            self._answered()
        elif reader.status is not None:
            self._hurry()

    def _take_of_proxy(self, data: bytes) -> None:
        reader = self._reader
        try:
            reader.feed(data)
        except NoAnswerError:
            self._conclude(Failure.PROTOCOL, Sent.NO, "the proxy gave no answer of HTTP/1")
            return
        if reader.status is not None and reader.has_head:
            self._opened(reader.status)
            if reader.status // 100 == _TUNNEL_IS_OPEN and reader.has_body:
                self._conclude(Failure.PROTOCOL, Sent.NO, "the proxy spoke before it was asked")

    def _opened(self, status: int) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(status)
        self._opening = None

    def _hurry(self) -> None:
        """Wait for the rest of an answer for a moment only: its status has decided."""
        due = self._loop.time() + self._patience
        if due < self.due:
            self.due = due
            self._owner.watch(due)

    def _answered(self) -> None:
        """Tell of the answer, and be free again if it is whole and nothing else is left."""
        reader, answer = self._reader, cast("asyncio.Future[Answer]", self._answer)
        self._answer = None
        self.due = NEVER
        if not answer.done():
            answer.set_result(reader.answer())
        self._well = not (reader.complete and reader.cut)  # nobody asked for what came behind it
        if not reader.complete or self._transport.get_write_buffer_size():
            self._end()  # what has not left is not waited for, nor is what has not come
            self._transport.abort()
        elif reader.reusable:
            self._owner.freed(self, reader.idle_timeout)
        else:
            self.close()

    def _conclude(self, failure: Failure, sent: Sent, detail: str) -> None:
        """End: with the answer, where a status line has come, or without one."""
        answer = self._answer
        if answer is not None and self._reader.status is not None:
            self._reader.cut = True
            self._answered()
            return
        if answer is None:
            self._troubled(failure, detail)
        elif not answer.done():
            answer.set_result(Answer(failure=failure, sent=sent, detail=detail))
        if answer is None and failure is Failure.RESET:
            self.close()
            return
        self._answer = None
        self._well = False
        self.abort()

    def _troubled(self, failure: Failure, detail: str) -> None:
        """Take note of an end without a request; one while idle is the receiver's right."""
        opening, self._opening = self._opening, None
        if opening is not None and failure is Failure.RESET:
            failure = Failure.CONNECT if self._tls is None else Failure.TLS
            detail = "the proxy hung up" if self._tls is None else "it ended before TLS began"
        self.trouble = NotConnectedError(failure, detail)
        if opening is not None and not opening.done():
            opening.set_exception(self.trouble)

    def _end(self) -> None:
        self.ended = True
        self.due = NEVER
        if self._listening is not None and not self._listening.done():
            self._listening.set_result(None)

    def _read_what_is_left(self) -> None:
        """Read what has arrived, before it is judged that nothing has."""
        while self._answer is not None and not self.ended:
            try:
                data = self._socket.recv(_PIECE)
            except OSError:
                return
            if not data:
                return
            self.data_received(data)


def _tls_words(error: ssl.SSLError) -> str:
    """Say what is wrong with TLS, in OpenSSL's words and none of the other side's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return error.reason.replace("_", " ").lower() if error.reason else "TLS failed"
