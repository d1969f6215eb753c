"""The simulator's listening socket: can be cut off and come back."""

import ssl
from typing import Final

from aiohttp import web

from relay.simulator.exchange import Exchange
from relay.simulator.http_api import serve_request
from relay.simulator.upgrade import upgrade

_SHUTDOWN: Final = 1.0
"""Seconds that handlers get to end after their connections were cut; they need none."""


class Server:
    """Listens on one port for Blaze, at `/`, and for the HTTP API, everywhere else."""

    def __init__(
        self, exchange: Exchange, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self._exchange = exchange
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.host = host
        self.port = port

    @property
    def is_up(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    def url(self, scheme: str) -> str:
        """Tell the address, without a path; `scheme` gets an `s` when there is TLS."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{'s' if self._tls else ''}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen; again on the same port after a stop. Raises OSError if it is taken."""
        if self._runner is not None:
            return
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port, ssl_context=self._tls).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """End every connection abruptly and refuse new ones."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await upgrade(self._exchange, request)
        return await serve_request(self._exchange, request)
