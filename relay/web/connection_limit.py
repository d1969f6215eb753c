"""Who is let in to the HTTP surface: strangers may knock, and must not take the house over."""

import asyncio
import logging
from typing import cast

from aiohttp import hdrs, web

from relay.web.problem import problem

MOST = 100
"""Connections at once: each takes a file descriptor that a webhook may need, and a few probes,
scrapers and operators need no more."""

AT_ONCE = 16
"""Connections that asyncio accepts before the door hears of the first: a burst goes beyond `MOST`
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


class Door:
    """Makes the protocol of each new connection; a factory for `loop.create_server`.

    When the house is full, the connection that has been there for longest makes room: a new probe
    is never turned away, however many others were opened to say nothing.
    """

    def __init__(self, server: web.Server, *, most: int = MOST, silence: float = SILENCE) -> None:
        self._server = server
        self._most = most
        self._silence = silence
        self._inside: dict[asyncio.Transport, None] = {}

    def __call__(self) -> "Guest":
        """Make the protocol of a connection."""
        return Guest(self, self._server, self._silence)

    def __len__(self) -> int:
        """Count the connections."""
        return len(self._inside)

    def enter(self, transport: asyncio.Transport) -> None:
        """Take note of a new connection."""
        if len(self._inside) >= self._most:
            self._show_out(next(iter(self._inside)))
        self._inside[transport] = None

    def leave(self, transport: asyncio.Transport | None) -> None:
        """Forget a connection that has ended."""
        if transport is not None:
            self._inside.pop(transport, None)

    def close(self) -> None:
        """Cut whatever is still open, whether its last answer was read or not."""
        for transport in list(self._inside):
            self._show_out(transport)

    def _show_out(self, transport: asyncio.Transport) -> None:
        # A polite close would wait for a peer that reads nothing.
        self.leave(transport)
        transport.abort()


class Guest(web.RequestHandler):
    """One connection."""

    def __init__(self, door: Door, server: web.Server, silence: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=silence,
            access_log=_strangers,
            logger=_strangers,
        )
        self._door = door
        self._connection: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in."""
        self._connection = cast(asyncio.Transport, transport)
        self._door.enter(self._connection)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Go."""
        self._door.leave(self._connection)
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
