"""The HTTP client: aiohttp behind the port of exchange.py (webhooks.md).

What aiohttp would do of its own accord is switched off: redirects, cookies, proxies of the
environment, decompression. It never repeats a POST.
"""

import asyncio
import errno
import io
import os
import re
import socket
import ssl
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from relay.tls import system_trust, trusting
from relay.webhook.address_guard import AddressGuard
from relay.webhook.exchange import Answer, Failure, Request, Sent, Target, TlsSettings

# Node, uvicorn and Apache drop idle connections after 5 s. We are to be first: what becomes of a
# request on a connection that is being closed, nobody knows.
KEEP_IDLE = 4.0
# What is read of an answer's body, for diagnosis (interface.md 4).
MAX_BODY = 64 * 1024
# The status line has decided; for so long the rest is waited for, to keep the connection.
BODY_PATIENCE = 2.0

# Above this aiohttp wants a stream, which it writes piece by piece.
_LARGE = 1024 * 1024
_NO_TIMEOUT = aiohttp.ClientTimeout()
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


class AiohttpSender:
    """Sends with aiohttp. Made and used inside one running loop.

    At most `connections` are open to a target at once; a request waits for its turn.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connections: int,
        keep_idle: float = KEEP_IDLE,
        body_patience: float = BODY_PATIENCE,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._guard = guard
        self._body_patience = body_patience
        self._routes: dict[Target, _Route] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=connections,
                keepalive_timeout=keep_idle,
                resolver=resolver or aiohttp.ThreadedResolver(),
                socket_factory=self._socket,
            ),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            trust_env=False,
            auto_decompress=False,
            read_bufsize=MAX_BODY,
            trace_configs=[_tracing()],
        )

    async def send(self, request: Request) -> Answer:
        """Make one request, and never a second one. Raises only cancellation."""
        flight = _Flight(request)
        try:
            async with flight.deadline:
                await self._exchange(flight)
        except Exception as error:  # noqa: BLE001 - the port promises an answer, whatever happens
            if flight.status is None:
                return flight.failed(error)
        return flight.answered()

    async def close(self) -> None:
        """Drop all connections."""
        await self._session.close()

    async def _exchange(self, flight: "_Flight") -> None:
        request = flight.request
        route = self._route(request.target)
        response = await self._session.post(
            route.url,
            data=request.body if len(request.body) <= _LARGE else io.BytesIO(request.body),
            headers=request.headers,
            ssl=route.tls,
            allow_redirects=False,
            trace_request_ctx=flight,
        )
        try:
            await flight.receive(response, self._body_patience)
        finally:
            # Closes the connection, unless the whole answer is here: then it is in use again.
            response.close()

    def _route(self, target: Target) -> "_Route":
        route = self._routes.get(target)
        if route is None or route.files != _look_at(target.tls):
            route = self._routes[target] = _Route.to(target)
        return route

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Open the socket for an address that is about to be dialled, or refuse to."""
        family, kind, protocol, _, (host, *_) = address
        if why := self._guard.refuses(str(host)):
            raise _BlockedError(host, why)
        return socket.socket(family, kind, protocol)


class _BlockedError(OSError):
    """An address is refused; aiohttp keeps the type only while all texts are the same."""

    def __init__(self, host: str | int, why: str) -> None:
        super().__init__(errno.EACCES, "refused by the address guard")
        self.words = f"{host} is refused: {why}"


class _TlsFilesError(Exception):
    """The files of a target's TLS settings are not there, or no good."""


_Looks = tuple[tuple[int, int, int] | None, ...]


def _look_at(settings: TlsSettings) -> _Looks:
    """Tell the TLS files from those of another time; None for one that is not there."""
    files = (settings.ca_file, settings.client_cert_file, settings.client_key_file)
    return tuple(_look(file) for file in files if file is not None)


def _look(file: str) -> tuple[int, int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Route:
    """A target in aiohttp's terms, as of what its TLS files looked like."""

    url: URL
    tls: ssl.SSLContext
    files: _Looks

    @classmethod
    def to(cls, target: Target) -> Self:
        url = URL(f"{target.scheme}://{target.authority}{target.path}", encoded=True)
        files = _look_at(target.tls)  # first: what changes while it is read is read again
        return cls(url, _tls(target.tls), files)


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    if settings == TlsSettings():
        return system_trust()
    try:
        context = trusting(settings.ca_file)
        if settings.client_cert_file is not None:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(
                settings.client_cert_file, settings.client_key_file, password=""
            )
    except (OSError, ValueError) as error:
        raise _TlsFilesError from error
    return context


class _Stage(Enum):
    """How far a request came."""

    WAITING = auto()
    CONNECTING = auto()
    SENDING = auto()


class _Flight:
    """A request on its way, and what has come back of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.status: int | None = None
        self._retry_after: str | None = None
        self._body = bytearray()
        self._stage = _Stage.WAITING
        self._ends_at = _now() + request.timeout
        self.deadline = asyncio.timeout_at(self._ends_at)

    def connecting(self) -> None:
        """Take note that a new connection is being made."""
        self._stage = _Stage.CONNECTING
        self._hurry(self.request.connect_timeout)

    def sending(self) -> None:
        """Take note that from here on bytes may have left."""
        if self._stage is _Stage.CONNECTING:
            self.deadline.reschedule(self._ends_at)
        self._stage = _Stage.SENDING

    async def receive(self, response: aiohttp.ClientResponse, patience: float) -> None:
        """Take the answer's head, and as much of its body as comes within `patience`."""
        self.status = response.status
        self._retry_after = response.headers.get("Retry-After")
        if not response.content.is_eof():
            self._hurry(patience)
        while not response.content.at_eof() and (room := MAX_BODY - len(self._body)):
            self._body += await response.content.read(room)

    def answered(self) -> Answer:
        """Tell of an answer."""
        return Answer(self.status, self._retry_after, bytes(self._body), sent=Sent.YES)

    def failed(self, error: Exception) -> Answer:
        """Tell of an end without an answer."""
        failure = _failure(error, self._stage, self.request.target.scheme)
        if failure is Failure.PROTOCOL:
            sent = Sent.YES
        else:
            sent = Sent.MAYBE if self._stage is _Stage.SENDING else Sent.NO
        return Answer(failure=failure, sent=sent, detail=self._words(error))

    def _words(self, error: Exception) -> str:
        match error:
            case TimeoutError() if self._stage is _Stage.CONNECTING:
                return f"not connected within {self.request.connect_timeout:g} s"
            case TimeoutError():
                return f"no answer within {self.request.timeout:g} s"
            case _:
                return _words(error)

    def _hurry(self, seconds: float) -> None:
        self.deadline.reschedule(min(_now() + seconds, self._ends_at))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _tracing() -> aiohttp.TraceConfig:
    """Let aiohttp tell a request's flight how far it is."""

    async def connecting(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.connecting()

    async def sending(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.sending()

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_start.append(connecting)
    tracing.on_request_headers_sent.append(sending)
    return tracing


def _failure(error: Exception, stage: _Stage, scheme: str) -> Failure:
    match error:
        case TimeoutError():
            return Failure.CONNECT_TIMEOUT if stage is _Stage.CONNECTING else Failure.TIMEOUT
        case aiohttp.ClientConnectorError():
            return _connect_failure(error, scheme)
        case _TlsFilesError():
            return Failure.TLS
        case aiohttp.ClientResponseError():
            return Failure.PROTOCOL
        case aiohttp.ClientConnectionError() if stage is _Stage.SENDING:
            # A TLS 1.3 server refuses our certificate only after we have begun to send.
            refused = isinstance(error.__cause__, ssl.SSLError)
            return Failure.TLS if refused else Failure.RESET
        case _:
            return Failure.CLIENT


def _connect_failure(error: aiohttp.ClientConnectorError, scheme: str) -> Failure:
    match error, error.os_error:
        case aiohttp.ClientConnectorDNSError(), _:
            return Failure.DNS
        case aiohttp.ClientSSLError(), _:
            return Failure.TLS
        case _, _BlockedError():
            return Failure.BLOCKED
        case _, TimeoutError():
            return Failure.CONNECT_TIMEOUT
        case _, ConnectionResetError() | ConnectionAbortedError() if scheme == "https":
            return Failure.TLS  # the connection stood, and ended before TLS did
        case _:
            return Failure.CONNECT


def _words(error: Exception) -> str:
    """Describe an error for people, never by a text that could hold the URL."""
    match error, error.__cause__ or error:
        case _, _BlockedError() as blocked:
            return blocked.words
        case aiohttp.ClientResponseError(), _:
            return error.message
        case aiohttp.ServerDisconnectedError(), _:
            return "the connection was closed before an answer came"
        case _, aiohttp.ClientError() as cause:
            return type(cause).__name__
        case _, OSError() as cause:
            return _CONNECT.sub(_connect_words, str(cause))
        case _, cause:
            return type(cause).__name__


_CONNECT = re.compile(r"\[Errno ([0-9]{1,5})\] Connect call failed \('([^']*)', ([0-9]+)[^)]*\)")
"""asyncio's own words for an address that did not let us in; there may be several in one text."""


def _connect_words(found: re.Match[str]) -> str:
    number, host, port = found.groups()
    return f"{os.strerror(int(number))} ({f'[{host}]' if ':' in host else host}:{port})"
