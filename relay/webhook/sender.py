"""The HTTP client for webhooks: one POST at a time over connections that are kept.

It follows no redirect, keeps no cookie, unpacks nothing, and never sends a request a second time.
"""

import asyncio
import socket
from dataclasses import replace

from relay.webhook.address_guard import AddressGuard
from relay.webhook.connection import Connection
from relay.webhook.dial import Dialler, Trust
from relay.webhook.exchange import Answer, Failure, NotConnectedError, Request, Target
from relay.webhook.lookups import Lookup, system_lookups
from relay.webhook.pool import ConnectionPool, PoolPolicy


class HttpSender:
    """Sends requests to one target (`relay.webhook.exchange.Sender`), inside one running loop."""

    def __init__(
        self,
        target: Target,
        guard: AddressGuard,
        policy: PoolPolicy,
        *,
        lookup: Lookup | None = None,
    ) -> None:
        self._trust = Trust(target.tls)
        route = _Direct(target, Dialler(guard, lookup or system_lookups()), self._trust)
        self._pool = ConnectionPool(route, policy)
        self._loop = asyncio.get_running_loop()
        self._head = f"POST {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n{_ALWAYS}"

    async def send(self, request: Request) -> Answer:
        """Make one request, and never a second one. Raises only cancellation."""
        ends_at = self._loop.time() + request.timeout
        try:
            wire = self._written(request)
        except ValueError:  # a lone surrogate is one, too
            return Answer(failure=Failure.CLIENT, detail="a header can't be sent")
        if self._trust.changed():
            self._pool.close_idle()
        connection = self._pool.idle()
        if connection is None:
            try:
                connection = await self._pool.take(ends_at, request.connect_timeout)
            except NotConnectedError as error:
                return Answer(failure=error.failure, detail=error.detail)
            except Exception as error:  # noqa: BLE001 - the port promises an answer
                return Answer(failure=Failure.CLIENT, detail=type(error).__name__)
        try:
            answer = await connection.post(wire, ends_at)
        except asyncio.CancelledError:
            connection.abort()
            raise
        if answer.failure is Failure.TIMEOUT:
            return replace(answer, detail=f"no answer within {request.timeout:g} s")
        return answer

    def close_when_idle(self) -> None:
        """Keep no connection from now on: what is under way ends as it may, on its own."""
        self._pool.close_when_idle()

    async def close(self) -> None:
        """Drop all connections."""
        self._pool.close()

    def _written(self, request: Request) -> bytes:
        """Write a request. Raises `ValueError` for a header that would break its frame."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        count = len(request.headers)
        if lines.count("\r") != count or lines.count("\n") != count or "\0" in lines:
            raise ValueError("a header that is none")
        head = f"{self._head}{lines}Content-Length: {len(request.body)}\r\n\r\n"
        return head.encode() + request.body


_ALWAYS = "Accept: */*\r\nAccept-Encoding: identity\r\n"


class _Direct:
    """The way to a target without anybody between (`relay.webhook.pool.Route`)."""

    def __init__(self, target: Target, dialler: Dialler, trust: Trust) -> None:
        self._target = target
        self._dialler = dialler
        self._trust = trust

    async def dial(self) -> socket.socket:
        """Connect. Raises `NotConnectedError`."""
        if self._target.scheme == "https":
            self._trust.context()  # a file that is no good is told before anybody is dialled
        return await self._dialler.dial(self._target.host, self._target.port)

    async def establish(self, connection: Connection) -> None:
        """Begin TLS, where there is any. Raises `NotConnectedError`."""
        if self._target.scheme == "https":
            await connection.start_tls(self._trust.context(), self._target.host.rstrip("."))
