"""The HTTP surface on a real socket, asked by a real client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from relay.telemetry.health import Health
from relay.telemetry.metrics import Metrics
from relay.web.server import Address, Server

ANYWHERE = Address("127.0.0.1", 0)


@asynccontextmanager
async def serving(
    health: Health | None = None,
    metrics: Metrics | None = None,
    admin: web.Application | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[aiohttp.ClientSession]:
    server = Server(
        ANYWHERE,
        health=health or Health([], ready_grace=30.0),
        metrics=metrics or Metrics(version="1.2.3"),
        admin=admin,
    )
    async with server:
        base = f"http://{server.address.host}:{server.address.port}"
        async with aiohttp.ClientSession(base, headers=headers) as client:
            yield client


async def read_problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read an answer that must be a problem, and hold it to RFC 9457."""
    assert "application/problem+json" == answer.content_type
    body: dict[str, Any] = await answer.json()
    assert answer.status == body["status"]
    assert "about:blank" == body["type"]
    assert body["title"]
    return body
