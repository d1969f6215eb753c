"""How requests to Mixin travel: each signed token goes out once, to the host it was meant for."""

import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from relay.net.lookups import system_lookups
from relay.net.proxies import Proxy
from relay.net.tls import system_trust

_LONGEST_DETAIL = 200
_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


def open_session(
    *, ssl: SSLContext | None = None, user_agent: str = "blaze-relay"
) -> aiohttp.ClientSession:
    """Open the HTTP client for all bots' sockets and API calls; whoever opens it closes it.

    Without `ssl` the system's authorities are trusted.
    """
    return aiohttp.ClientSession(
        connector=_Connector(
            ssl=ssl or system_trust(),
            limit=0,  # sockets stay open
            resolver=Names(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        middlewares=(once,),
    )


class _Handler(ResponseHandler):
    """One connection. What comes while nothing was asked for ends it, and answers nothing."""

    asked = False

    def set_response_params(self, **params: Any) -> None:
        """Begin a request."""
        self.asked = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take what has come for an answer, or for the end."""
        if self.asked or not data:  # with none it goes on with what it has
            super().data_received(data)
        else:
            self.abort()


class _Connector(aiohttp.TCPConnector):
    """Keeps connections, and has an eye on those that are idle."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = _Handler
        self._factory = partial(handler, loop=self._loop)

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        cast("_Handler", protocol).asked = False


class Names(AbstractResolver):
    """Looks names up as webhooks do, so that no dead one takes a thread from anything else."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give a host's addresses, of one family if one is asked for. Raises `OSError`."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=of,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for of, _, protocol, _, address in await system_lookups()(host, port)
            if family in (of, socket.AF_UNSPEC)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class ProxiedHttp:
    """A session whose requests go through the proxy that `proxy_of` names for their URL."""

    def __init__(
        self, session: aiohttp.ClientSession, proxy_of: Callable[[URL], Proxy | None]
    ) -> None:
        self._session = session
        self._proxy_of = proxy_of

    def request(self, method: str, url: URL, **options: Any) -> Any:
        """Make a request; the answer is a context manager."""
        return self._session.request(method, url, **self._way(url), **options)

    def ws_connect(self, url: URL, **options: Any) -> Any:
        """Open a socket."""
        return self._session.ws_connect(url, **self._way(url), **options)

    def _way(self, url: URL) -> dict[str, Any]:
        proxy = self._proxy_of(url)
        if proxy is None:
            return {}
        login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        return {"proxy": proxy.url, "proxy_headers": login}


Http = aiohttp.ClientSession | ProxiedHttp
"""One bot's way to Mixin."""


async def once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET again after a reset, and from following redirects.

    Both would use the same token twice; for `ws_connect` aiohttp has no option against either.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except aiohttp.ClientHttpProxyError as refusal:  # its status is none of Mixin's
        answered = OSError(f"the proxy answered {refusal.status}")
        raise aiohttp.ClientProxyConnectionError(request.connection_key, answered) from None
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as cut:
        raise aiohttp.ClientConnectionError(str(cut)) from cut
    if response.status in _REDIRECTS:
        response.close()
        raise aiohttp.ClientResponseError(
            response.request_info,
            (),
            status=response.status,
            message="redirects are not followed",
            headers=response.headers,
        )
    return response


def describe(trouble: BaseException) -> str:
    """Tell a foreign exception in a line, bounded, for people."""
    return (str(trouble) or type(trouble).__name__)[:_LONGEST_DETAIL]
