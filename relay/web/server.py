"""The HTTP surface: liveness, readiness, metrics and, where it is on, the admin API."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import exposition
from prometheus_client.registry import Collector

from relay.telemetry.health import Health, Report
from relay.telemetry.metrics import Metrics
from relay.web.connection_limit import AT_ONCE, MOST, QUEUE, SILENCE, ConnectionLimit
from relay.web.problem import answer_problems, problem

STOP_TIMEOUT = 1.0
"""Seconds that requests under way get when the server stops: nothing here takes longer."""

MAX_BODY = 64 * 1024
"""Bytes; the most that can be meant is a list of a thousand ids."""


class ListenFailed(Exception):  # noqa: N818 - says what happened, as an operator reads it
    """The address can't be listened on; the text says which and why."""


class Address(NamedTuple):
    """Where a server listens; port 0 asks for any free one."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """Write it as the setting is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """Serves the HTTP surface from `start` until `stop`; also an async context manager."""

    def __init__(
        self,
        listen: Address,
        *,
        health: Health,
        metrics: Metrics,
        admin: web.Application | None = None,
        connections: int = MOST,
        silence: float = SILENCE,
    ) -> None:
        self.address = listen
        self._health = health
        self._metrics = metrics
        self._connections = connections
        self._silence = silence
        self._scraping = asyncio.Lock()
        self._runner = web.AppRunner(self._app(admin), shutdown_timeout=STOP_TIMEOUT)
        self._limit: ConnectionLimit | None = None
        self._listening: asyncio.Server | None = None

    async def start(self) -> Address:
        """Listen; answers with the address that is bound. Raises `ListenFailed`."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101 - so says aiohttp of a runner that is set up
        self._limit = ConnectionLimit(server, most=self._connections, silence=self._silence)
        host, port = self.address
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                self._limit, host or None, port, backlog=AT_ONCE
            )
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise ListenFailed(f"can't listen on {host}:{port}: {_why(error)}") from error
        for listening in self._listening.sockets:
            with listening.dup() as same:
                same.listen(QUEUE)
        self.address = Address(*self._listening.sockets[0].getsockname()[:2])
        return self.address

    async def stop(self) -> None:
        """Stop listening and let go of every connection."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()
        if self._limit is not None:
            self._limit.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _app(self, admin: web.Application | None) -> web.Application:
        app = web.Application(middlewares=[answer_problems], client_max_size=MAX_BODY)
        app.on_response_prepare.append(_finish_headers)
        app.router.add_get("/livez", _answering(self._health.live))
        app.router.add_get("/readyz", _answering(self._health.ready))
        app.router.add_get("/metrics", self._scrape)
        if admin is None:
            app.router.add_route("*", "/api{rest:(/.*)?}", _admin_is_off)
        else:
            app.add_subapp("/api/", admin)
        return app

    async def _scrape(self, request: web.Request) -> web.Response:
        encode, content_type = _encoder(", ".join(request.headers.getall(hdrs.ACCEPT, ())))
        async with self._scraping:  # one thread at most, and not one for each impatient scraper
            body = await asyncio.to_thread(encode, self._metrics)
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response


def _answering(report: Callable[[], Report]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        found = report()
        status = HTTPStatus.OK if found.ok else HTTPStatus.SERVICE_UNAVAILABLE
        word = "ok" if found.ok else "failing"
        if "verbose" not in request.query:
            return web.Response(status=status, text=f"{word}\n")
        components = [asdict(component) for component in found.components]
        return web.json_response({"status": word, "components": components}, status=status)

    return answer


async def _admin_is_off(_: web.Request) -> web.Response:
    return problem(HTTPStatus.NOT_FOUND, "the admin API is off: no admin token is set")


async def _finish_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall(hdrs.SERVER, None)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return exposition.choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no version
        return exposition.choose_encoder("")


def _why(error: OSError | OverflowError) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error)
