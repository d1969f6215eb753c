"""What `relay check --connect` asks of the outside."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from relay.config import Settings, load_settings
from relay.probe import ProbeResult, connect_probes
from tests.config.example import SECRET
from tests.support.simulator import Simulator


class Receiver:
    """A webhook that verifies as a stranger would, and remembers what it was sent."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: list[dict[str, str]] = []
        self.events: list[dict[str, object]] = []

    async def take(self, request: web.Request) -> web.Response:
        headers = dict(request.headers)
        event = Webhook(SECRET).verify(await request.read(), headers)
        self.headers.append({name.lower(): value for name, value in headers.items()})
        self.events.append(event)
        return web.Response(status=self.status, text="hm" if self.status == 404 else None)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as server:
        yield server


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def settings(simulator: Simulator, receiver: Receiver) -> AsyncIterator[Settings]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield load_settings(
            None,
            {
                "RELAY_KEYSTORE": simulator.keystore_json(),
                "RELAY_WEBHOOK_URLS": str(server.make_url("/hook")),
                "RELAY_WEBHOOK_SECRET": SECRET,
                "RELAY_BLAZE_URL": f"ws://127.0.0.1:9/ {simulator.blaze_url}",
                "RELAY_API_URL": f"http://127.0.0.1:9 {simulator.api_url}",
            },
        )


async def _probe(settings: Settings) -> list[ProbeResult]:
    return await connect_probes(settings, refusal_wait=0.2)


async def test_all_holds(settings: Settings, simulator: Simulator, receiver: Receiver) -> None:
    """Each login and each endpoint is probed, at the first host that answers."""
    results = await _probe(settings)
    assert ["default: GET /me", "default: socket", "default/webhook-1"] == [
        result.component for result in results
    ]
    assert all(result.ok for result in results)
    assert results[0].detail.startswith("logged in; our clock is ")
    assert ["127.0.0.1: open", "answered 204"] == [result.detail for result in results[1:]]
    assert {} == simulator.journal.kinds()


async def test_the_test_event(settings: Settings, receiver: Receiver) -> None:
    """The event is signed, of type relay.test, and names bot and endpoint."""
    await _probe(settings)
    (event,) = receiver.events
    (headers,) = receiver.headers
    assert "relay.test" == event["type"]
    assert event["data"] == {
        "bot": {"name": "default", "app_id": settings.bots[0].keystore.app_id},
        "endpoint": {"name": "webhook-1"},
    }
    assert headers["webhook-id"].startswith("test_")
    assert "webhook-1" == headers["relay-endpoint"]


async def test_nothing_is_asked_of_the_socket(settings: Settings, simulator: Simulator) -> None:
    """The backlog stays with the relay that may run: nothing is listed and nothing acknowledged."""
    simulator.push("hello")
    await _probe(settings)
    assert 1 == len(simulator.pending())
    assert [None] == [connect.listed_at for connect in simulator.journal.accepted]


async def test_a_session_that_is_revoked(settings: Settings, simulator: Simulator) -> None:
    """A refused token is told by the API and by the socket, though its upgrade succeeds."""
    await simulator.revoke()
    api, socket, webhook = await _probe(settings)
    assert (False, False, True) == (api.ok, socket.ok, webhook.ok)
    assert api.detail.startswith("401 ")
    assert socket.detail.startswith("127.0.0.1: 401 ")


async def test_nobody_there(simulator: Simulator, settings: Settings) -> None:
    """Hosts out of reach are told as such."""
    await simulator.stop()
    api, socket, _ = await _probe(settings)
    assert (False, False) == (api.ok, socket.ok)
    assert api.detail
    assert socket.detail.startswith("127.0.0.1: ")


@pytest.mark.parametrize(
    ("status", "detail"),
    [(404, "404 (http_4xx) hm"), (302, "302 (redirect)"), (500, "500 (http_5xx)")],
)
async def test_a_receiver_that_refuses(
    settings: Settings, receiver: Receiver, status: int, detail: str
) -> None:
    """Whatever is no 2xx fails, with the status, the reason and the receiver's words."""
    receiver.status = status
    *_, webhook = await _probe(settings)
    assert ProbeResult("default/webhook-1", ok=False, detail=detail) == webhook


async def test_no_secret_is_told(settings: Settings, receiver: Receiver) -> None:
    """Results are printed, so no secret is among them."""
    receiver.status = 500
    assert "whsec_" not in repr(await _probe(settings))
