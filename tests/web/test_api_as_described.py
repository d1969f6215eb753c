"""The admin API does what its OpenAPI document says: a stranger's tool asks, thousands of times."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from relay.admin.operations import AdminApi
from relay.delivery.routing import Route
from relay.telemetry.health import Health
from relay.telemetry.metrics import Metrics
from relay.web.api import admin_app, openapi
from relay.web.server import Address, Server
from tests.web.fake_admin_store import CRM, FakeAdminStore

TOKEN = "correct-horse-battery"
EXAMPLES = 12
"""For each operation; the same ones in every run."""

schema = schemathesis.openapi.from_dict(openapi("1.2.3"))


@contextmanager
def answering() -> Iterator[str]:
    """Serve the API from a loop in a thread of its own: schemathesis waits for its answers."""
    loop, ticks = asyncio.new_event_loop(), iter(range(10**9))
    app = partial(
        admin_app,
        AdminApi(
            FakeAdminStore(),
            lambda: 10.0 * next(ticks),  # nobody asks too soon
            lambda _: [Route(CRM)],
        ),
        TOKEN,
        tell=lambda _: None,
        version="1.2.3",
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    health, metrics = Health([], ready_grace=30.0), Metrics(version="1.2.3")

    async def start() -> Server:
        server = Server(Address("127.0.0.1", 0), health=health, metrics=metrics, admin=app())
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://{server.address.host}:{server.address.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with answering() as url:
        yield url


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Case[Any], base: str) -> None:
    """Whatever is asked, right or wrong: status, type and body are those of the document."""
    case.call_and_validate(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"})
