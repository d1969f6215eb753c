"""The HTTP surface over real sockets."""

import asyncio
import json
from typing import NoReturn

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from relay.telemetry.event_bus import Broadcast
from relay.telemetry.events import RelayStopping
from relay.telemetry.health import Component, Health
from relay.telemetry.metrics import Metrics
from relay.web.server import MAX_BODY, Address, ListenFailed, Server
from tests.web.serving import ANYWHERE, read_problem, serving

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def make(listen: Address = ANYWHERE) -> Server:
    health = Health([], ready_grace=30.0)
    return Server(listen, health=health, metrics=Metrics(version="1.2.3"))


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_healthy_relay_says_ok(path: str) -> None:
    """Both probes answer 200 and a word."""
    async with serving() as client, client.get(path) as answer:
        assert (200, "ok\n") == (answer.status, await answer.text())


async def test_readyz_says_503_while_draining_and_livez_does_not() -> None:
    """A stop takes the relay out of service, and nobody restarts it for that."""
    health = Health([], ready_grace=30.0)
    Broadcast(health)(RelayStopping("SIGTERM"))

    async with serving(health) as client:
        async with client.get("/readyz") as answer:
            assert (503, "failing\n") == (answer.status, await answer.text())
        async with client.get("/livez") as answer:
            assert 200 == answer.status


async def test_livez_says_503_when_a_probe_fails() -> None:
    """Liveness is what its probes say."""
    health = Health([], ready_grace=30.0)
    health.watch_live(lambda: Component("tasks", ok=False, reason="ended: intake"))

    async with serving(health) as client, client.get("/livez") as answer:
        assert 503 == answer.status


@pytest.mark.parametrize("query", ["verbose", "verbose=1"])
async def test_verbose_gives_one_entry_per_component(query: str) -> None:
    """`?verbose` is JSON with a reason for each component."""
    health = Health(["a"], ready_grace=30.0)
    async with serving(health) as client, client.get(f"/readyz?{query}") as answer:
        assert (503, "application/json") == (answer.status, answer.content_type)
        body = await answer.json()

    assert "failing" == body["status"]
    assert {"name": "bot a", "ok": False, "reason": "not connected yet"} in body["components"]
    assert {"name": "journal", "ok": True, "reason": "accepts writes"} in body["components"]


async def test_metrics_are_prometheus_text() -> None:
    """Without a wish the scraper gets the text format."""
    async with serving() as client, client.get("/metrics") as answer:
        text = await answer.text()

    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["Content-Type"]
    assert "relay_build" in {family.name.removesuffix("_info") for family in read_text(text)}


async def test_metrics_are_openmetrics_when_asked_for() -> None:
    """A scraper that accepts OpenMetrics gets it."""
    wish = {"Accept": OPENMETRICS}
    async with serving(headers=wish) as client, client.get("/metrics") as answer:
        text = await answer.text()

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["abc", "1.x", "", "9" * 5000])
async def test_a_wish_that_makes_no_sense_gets_an_answer(version: str) -> None:
    """An unreadable version is no error of ours."""
    accept = f"application/openmetrics-text;version={version}"
    async with serving(headers={"Accept": accept}) as client, client.get("/metrics") as answer:
        assert 200 == answer.status


async def test_metrics_are_compressed_when_asked_for() -> None:
    """A scraper that accepts gzip gets it."""
    wish = {"Accept-Encoding": "gzip"}
    async with serving(headers=wish) as client, client.get("/metrics") as answer:
        assert "gzip" == answer.headers["Content-Encoding"]
        assert "relay_build_info" in await answer.text()


async def test_a_scrape_does_not_hold_up_the_loop() -> None:
    """While one scrape is rendered others wait in turn, and probes are answered."""

    async def status(path: str) -> int:
        async with client.get(path) as answer:
            await answer.read()
            return answer.status

    async with serving() as client:
        paths = ["/metrics", "/livez"] * 5
        assert [200] * 10 == await asyncio.gather(*map(status, paths))


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_head_works(path: str) -> None:
    """HEAD is answered as GET is, without a body."""
    async with serving() as client, client.head(path) as answer:
        assert (200, b"") == (answer.status, await answer.read())


@pytest.mark.parametrize("path", ["/", "/nothing", "/livez/x", "/apix"])
async def test_an_unknown_path_is_a_problem(path: str) -> None:
    """404 is JSON."""
    async with serving() as client, client.get(path) as answer:
        assert 404 == (await read_problem(answer))["status"]


async def test_a_wrong_method_is_a_problem() -> None:
    """405 is JSON, and says which methods there are."""
    async with serving() as client, client.post("/metrics") as answer:
        assert 405 == (await read_problem(answer))["status"]
        assert "GET,HEAD" == answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/messages", "/api/v1/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_a_token_there_is_no_admin_api(method: str, path: str) -> None:
    """Where no token is set everything under /api is 404, and says why."""
    async with serving() as client, client.request(method, path) as answer:
        assert 404 == answer.status
        assert "the admin API is off" in (await read_problem(answer))["detail"]


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/nothing", "/api/v1/messages"])
async def test_answers_tell_nothing_of_what_serves_them(path: str) -> None:
    """No answer has a server banner, and none is kept by a cache."""
    async with serving() as client, client.get(path) as answer:
        assert "Server" not in answer.headers
        assert "no-store" == answer.headers["Cache-Control"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]


async def test_a_bug_is_a_problem_without_words(caplog: pytest.LogCaptureFixture) -> None:
    """500 is JSON that tells nothing; the log has the trace."""

    class Buggy(Health):
        def live(self) -> NoReturn:
            raise ValueError("whsec_secret")

    async with serving(Buggy([], ready_grace=30.0)) as client, client.get("/livez") as answer:
        assert 500 == (await read_problem(answer))["status"]
        assert "secret" not in await answer.text()
    assert ["http.failed"] == [record.message for record in caplog.records]


async def test_what_is_no_http_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """A stranger who sends garbage is answered 400, and writes nothing into the log."""
    async with make() as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert [] == caplog.records


async def test_the_bound_address_is_told() -> None:
    """Port 0 becomes a real one, which `start` answers and `address` shows."""
    server = make()

    bound = await server.start()

    assert "127.0.0.1" == bound.host
    assert bound.port > 0
    assert bound == server.address
    await server.stop()


async def test_a_taken_address_is_a_clear_error() -> None:
    """The error names the address and the reason, and leaves nothing behind."""
    async with make() as first:
        with pytest.raises(ListenFailed) as failed:
            await make(first.address).start()

    assert f"can't listen on 127.0.0.1:{first.address.port}: " in str(failed.value)
    assert "Address already in use" in str(failed.value)


async def test_an_impossible_port_is_a_clear_error() -> None:
    """A port that can't be is the same error."""
    with pytest.raises(ListenFailed, match=r"can't listen on 127\.0\.0\.1:70000: .*port"):
        await make(Address("127.0.0.1", 70000)).start()


async def test_stopping_lets_go_of_the_port() -> None:
    """Another server can take the address at once."""
    async with make() as first:
        address = first.address

    async with make(address) as second:
        assert address == second.address


def test_bodies_are_bounded() -> None:
    """The longest list of ids fits, and not much more."""
    ids = ["5f3b1c9a-0e4b-4a53-9d4e-0c1d2e3f4a5b"] * 1000

    assert len(json.dumps({"message_ids": ids})) < MAX_BODY <= 1024 * 1024
