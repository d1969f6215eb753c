"""The limit of connections to the HTTP surface: the oldest is closed for a new one."""

import asyncio
import logging
from typing import cast

from aiohttp import hdrs, web

from relay.web.problem import problem

MOST = 100
"""Connections at once: each takes a file descriptor that a webhook may need, and a few probes,
scrapers and operators need no more."""

AT_ONCE = 16
"""Connections that asyncio accepts before the limit hears of the first: a burst goes beyond `MOST`
by a few times this number."""

QUEUE = 512
"""Connections that the kernel keeps waiting meanwhile; beyond, a probe would come a second late."""

SILENCE = 75.0
"""Seconds without a whole request after which a connection is closed; scrapes come each minute."""

# What aiohttp would add if nothing else stood there tells its version and Python's.
_HEADERS = {
    hdrs.SERVER: "relay",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
}

# A stranger who sends what is no HTTP must not fill the log; bugs of ours are logged elsewhere.
_strangers = logging.getLogger(f"{__name__}.strangers")
_strangers.disabled = True


class ConnectionLimit:
    """Makes the protocol of each new connection; a factory for `loop.create_server`.

    At the limit the connection that has been open for longest is closed: a new probe is never
    turned away, however many others were opened to say nothing.
    """

    def __init__(self, server: web.Server, *, most: int = MOST, silence: float = SILENCE) -> None:
        self._server = server
        self._most = most
        self._silence = silence
        self._open: dict[asyncio.Transport, None] = {}

    def __call__(self) -> "Connection":
        """Make the protocol of a connection."""
        return Connection(self, self._server, self._silence)

    def __len__(self) -> int:
        """Count the connections."""
        return len(self._open)

    def add(self, transport: asyncio.Transport) -> None:
        """Count a new connection, and close the oldest if there are too many."""
        if len(self._open) >= self._most:
            self._abort(next(iter(self._open)))
        self._open[transport] = None

    def remove(self, transport: asyncio.Transport | None) -> None:
        """Forget a connection that has ended."""
        if transport is not None:
            self._open.pop(transport, None)

    def close(self) -> None:
        """Cut whatever is still open, whether its last answer was read or not."""
        for transport in list(self._open):
            self._abort(transport)

    def _abort(self, transport: asyncio.Transport) -> None:
        # A polite close would wait for a peer that reads nothing.
        self.remove(transport)
        transport.abort()


class Connection(web.RequestHandler):
    """One connection, counted while it is open."""

    def __init__(self, limit: ConnectionLimit, server: web.Server, silence: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=silence,
            access_log=_strangers,
            logger=_strangers,
        )
        self._limit = limit
        self._connection: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._connection = cast(asyncio.Transport, transport)
        self._limit.add(self._connection)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._limit.remove(self._connection)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, without aiohttp's banner and without the stranger's words."""
        super().handle_error(request, status, exc, message)
        answer = problem(status, headers=_HEADERS)
        answer.force_close()
        return answer
