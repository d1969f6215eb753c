"""Requests to Mixin are signed one by one, sent once, and their answers judged by section 5.3."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from relay.blaze.api import (
    MAX_ANSWER_BYTES,
    Answer,
    Answered,
    MixinApi,
    Refused,
    Unanswered,
    read_answer,
)
from relay.blaze.keystore import Keystore, parse_keystore
from relay.blaze.transport import open_session
from tests.support.simulator import Answer as Page
from tests.support.simulator import (
    AppError,
    Family,
    Hang,
    Reset,
    Simulator,
    make_keystore,
    redirect,
)

NOW = 1_700_000_000.0
ID = "f381aaa0-a462-4333-af10-e3f5bff7bec7"


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as http:
        yield http


def keystore_of(simulator: Simulator) -> Keystore:
    return parse_keystore(simulator.keystore_json())


@pytest.fixture
def api(simulator: Simulator, http: aiohttp.ClientSession) -> MixinApi:
    return MixinApi(http, [simulator.api_url + "/"], keystore_of(simulator))


async def test_me_is_answered(api: MixinApi, simulator: Simulator) -> None:
    """Good credentials get the bot's profile, and the clocks are compared."""
    answer = await api.me()
    assert isinstance(answer, Answered)
    assert answer.clock_skew is not None
    assert (simulator.bot.app_id, True) == (
        answer.value["data"]["user_id"],
        abs(answer.clock_skew) < 5,
    )


@pytest.mark.parametrize("family", list(Family))
async def test_every_family_signs(family: Family, http: aiohttp.ClientSession) -> None:
    """A token of every family of keystores is accepted."""
    async with Simulator(keystores=[make_keystore(family)]) as simulator:
        api = MixinApi(http, [simulator.api_url], keystore_of(simulator))
        assert isinstance(await api.me(), Answered)


async def test_receipts_are_signed_as_sent(api: MixinApi, simulator: Simulator) -> None:
    """The signature covers the exact body, and the request's id is the token's."""
    ids = [simulator.push("one"), simulator.push("two")]
    assert isinstance(await api.acknowledge(ids), Answered)
    (request,) = simulator.journal.requests
    assert (None, request.claims["jti"], []) == (
        request.refusal,
        request.headers["X-Request-Id"],
        simulator.pending(),
    )
    body = ",".join(f'{{"message_id":"{one}","status":"READ"}}' for one in ids)
    assert f"[{body}]".encode() == request.body


async def test_each_request_has_a_token_of_its_own(api: MixinApi, simulator: Simulator) -> None:
    """No token is used twice."""
    await api.me()
    await api.me()
    assert 2 == len({request.claims["jti"] for request in simulator.journal.requests})


async def test_a_redirect_is_not_followed(api: MixinApi, simulator: Simulator) -> None:
    """A signed request never goes where a proxy wants it."""
    async with Simulator() as elsewhere:
        simulator.faults.me.next(redirect(elsewhere.api_url))
        answer = await api.me()
        assert isinstance(answer, Unanswered)
        assert (302, 0) == (answer.status, len(elsewhere.journal.requests))


async def test_a_reset_is_not_repeated(api: MixinApi, simulator: Simulator) -> None:
    """A request that was cut off is one request."""
    simulator.faults.me.next(Reset())
    assert isinstance(await api.me(), Unanswered)
    assert 1 == len(simulator.journal.requests)


async def test_a_hanging_answer_is_given_up(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """The whole request has a time."""
    api = MixinApi(
        http,
        [simulator.api_url],
        keystore_of(simulator),
        timeout=aiohttp.ClientTimeout(total=0.05),
    )
    simulator.faults.me.next(Hang())
    assert isinstance(await api.me(), Unanswered)


async def test_the_next_host_is_tried_when_one_is_out_of_reach(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A host that refuses connections is left for the next, and not gone back to."""
    async with Simulator() as gone:
        refusing = gone.api_url
    api = MixinApi(http, [refusing, simulator.api_url], keystore_of(simulator))
    assert isinstance(await api.me(), Answered)
    assert isinstance(await api.me(), Answered)


async def test_a_host_that_answers_is_not_left(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """An error, a reset or a proxy's page is no reason to ask another host."""
    async with Simulator() as other:
        hosts = [simulator.api_url, other.api_url]
        api = MixinApi(http, hosts, keystore_of(simulator))
        simulator.faults.me.next(Page(502), AppError(500), Reset())
        for _ in range(3):
            await api.me()
        assert 0 == len(other.journal.requests)


async def test_nobody_there_is_said_so(http: aiohttp.ClientSession) -> None:
    """With every host out of reach there is no answer, and a reason."""
    async with Simulator() as gone:
        api = MixinApi(http, [gone.api_url, gone.api_url], keystore_of(gone))
    answer = await api.me()
    assert isinstance(answer, Unanswered)
    assert "Cannot connect" in answer.detail


async def test_an_endless_answer_is_cut_off(http: aiohttp.ClientSession) -> None:
    """Of an answer only so much is read."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b" " * MAX_ANSWER_BYTES)
        await response.write(b"{}")
        return response

    app = web.Application()
    app.router.add_get("/me", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    api = MixinApi(http, [f"http://127.0.0.1:{port}"], parse_keystore(Simulator().keystore_json()))
    try:
        assert isinstance(await api.me(), Unanswered)
    finally:
        await runner.cleanup()


# --- Judging ------------------------------------------------------------------------------------


BEFORE = "from something before Mixin"


@pytest.mark.parametrize(
    ("status", "text", "answer"),
    [
        (200, b"{}", Answered({})),
        (200, b"[1]", Answered([1])),
        (202, b'{"data":{}}', Answered({"data": {}})),
        (200, b'{"error":null}', Answered({"error": None})),
        (202, b'{"error":{"status":202,"code":403,"description":"no"}}', Refused(403, "no")),
        (500, b'{"error":{"code":7001,"description":"late"}}', Refused(7001, "late")),
        (200, b'{"error":{"code":"10002"}}', Refused(10002, "")),
        (403, b'{"error":{"code":403}}', Unanswered(f"HTTP 403 {BEFORE}", 403)),
        (404, b'{"message":"no route"}', Unanswered(f"HTTP 404 {BEFORE}", 404)),
        (401, b"{}", Refused(401, "")),
        (202, b'{"error":"no"}', Refused(202, "no")),
        (200, b"", Unanswered("HTTP 200 without JSON", 200)),
        (502, b"<html>", Unanswered("HTTP 502 without JSON", 502)),
        (413, b"too large", Unanswered("HTTP 413 without JSON", 413)),
        (200, b"[" * 99_999, Unanswered("HTTP 200 without JSON", 200)),
    ],
)
def test_the_bodys_error_goes_before_the_status(status: int, text: bytes, answer: Answer) -> None:
    """First the body's error, then the status, and what is no JSON is no answer."""
    assert answer == read_answer(status, CIMultiDict(), text, NOW)


def test_headers_tell_pauses_and_clocks() -> None:
    """Retry-After and X-Server-Time are read, whatever their case."""
    headers = CIMultiDict({"retry-after": "7", "x-server-time": "1699999990000000000"})
    assert Refused(429, "", retry_after=7.0, clock_skew=10.0) == read_answer(
        202, headers, b'{"error":{"code":429}}', NOW
    )


@given(st.text() | st.none(), st.text(), st.binary() | st.just(b"{}"), st.integers(100, 599))
def test_any_answer_is_judged(pause: Any, server_time: str, text: bytes, status: int) -> None:
    """No header, body or status raises."""
    headers = {"X-Server-Time": server_time} | ({"Retry-After": pause} if pause else {})
    assert isinstance(read_answer(status, headers, text, NOW), Answer)
