"""The HTTP client for webhooks: one POST at a time over connections that are kept.

It follows no redirect, keeps no cookie, unpacks nothing, and never sends a request a second time.
Through a proxy it goes where one is set, and never because of the environment alone.
"""

import asyncio
import socket

from msgspec.structs import replace

from relay.net.lookups import Lookup, system_lookups
from relay.net.proxies import Proxy
from relay.webhook.address_guard import AddressGuard
from relay.webhook.connection import Connection
from relay.webhook.dial import Dialler, Trust
from relay.webhook.exchange import Answer, Failure, NotConnectedError, Request, Target
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
        self._pool = ConnectionPool(_Route(target, guard, lookup, self._trust), policy)
        self._loop = asyncio.get_running_loop()
        self._by_proxy = target.proxy is not None and target.scheme == "http"
        where, more = target.path, _ALWAYS
        if target.proxy is not None and self._by_proxy:
            where, more = (
                f"http://{target.host_header}{target.path}",
                _ALWAYS + _login(target.proxy),
            )
        self._head = f"POST {where} HTTP/1.1\r\nHost: {target.host_header}\r\n{more}"

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
        if answer.status == _PROXY_AUTHENTICATION and self._by_proxy:
            return Answer(failure=Failure.CONNECT, detail=_refused(_PROXY_AUTHENTICATION))
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
_PROXY_AUTHENTICATION = 407
_OPEN = range(200, 300)


def _login(proxy: Proxy) -> str:
    """Write the header that says to a proxy who we are."""
    return f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""


def _refused(status: int) -> str:
    wants = ": it wants a user and password" if status == _PROXY_AUTHENTICATION else ""
    return f"the proxy answered {status}{wants}"


class _Route:
    """The way to a target, through its proxy if it has one (`relay.webhook.pool.Route`).

    The guard judges what is dialled on the receiver's behalf. A proxy's own address is the
    operator's choice and not judged; what a proxy makes of a name is out of sight.
    """

    def __init__(
        self, target: Target, guard: AddressGuard, lookup: Lookup | None, trust: Trust
    ) -> None:
        self._target = target
        self._guard = guard
        self._dialler = Dialler(guard if target.proxy is None else None, lookup or system_lookups())
        self._trust = trust

    async def dial(self) -> socket.socket:
        """Connect. Raises `NotConnectedError`."""
        target = self._target
        if target.scheme == "https":
            self._trust.context()  # a file that is no good is told before anybody is dialled
        if target.proxy is None:
            return await self._dialler.dial(target.host, target.port)
        if target.has_address and (why := self._guard.refuses(target.host)):
            raise NotConnectedError(Failure.BLOCKED, f"{target.host} is refused: {why}")
        try:
            return await self._dialler.dial(target.proxy.host, target.proxy.port)
        except NotConnectedError as error:
            raise NotConnectedError(error.failure, f"the proxy: {error.detail}") from None

    async def establish(self, connection: Connection) -> None:
        """Begin TLS, where there is any. Raises `NotConnectedError`."""
        target = self._target
        if target.scheme != "https":
            return
        if target.proxy is not None:
            way = f"{target.authority} HTTP/1.1\r\nHost: {target.authority}\r\n"
            request = f"CONNECT {way}{_login(target.proxy)}\r\n"
            status = await connection.open_tunnel(request.encode())
            if status not in _OPEN:
                raise NotConnectedError(Failure.CONNECT, _refused(status))
        await connection.start_tls(self._trust.context(), target.host.rstrip("."))
