"""The HTTP API answers as docs/protocol.md says, in minimal versions."""

from typing import Any

import aiohttp

from relay.simulator.people import contact_conversation
from tests.drivers.simulator_client import new_id, simulated, token_for
from tests.support.simulator import ALICE, BOB, AppError
from tests.support.simulator.operations import checksum


def message(**changes: Any) -> dict[str, Any]:
    return {
        "conversation_id": new_id(),
        "recipient_id": ALICE.user_id,
        "message_id": new_id(),
        "category": "PLAIN_TEXT",
        "data_base64": "aGk",
        **changes,
    }


async def test_answers_echo_the_request_id_and_tell_the_time() -> None:
    """Good answers and errors carry both headers; errors come with status 202."""
    async with simulated() as (simulator, client):
        for path, status in (("/me", 200), ("/nowhere", 202)):
            headers = {
                "Authorization": f"Bearer {token_for(client.bot, 'GET', path)}",
                "X-Request-Id": "request-1",
            }
            async with client.session.get(simulator.api_url + path, headers=headers) as response:
                assert status == response.status
                assert "request-1" == response.headers["X-Request-Id"]
                assert response.headers["X-Server-Time"].isdecimal()
                assert "application/json" == response.content_type


async def test_a_stranger_is_told_401() -> None:
    """Without a token every path is unauthorized."""
    async with simulated() as (simulator, client):
        for path in ("/me", "/acknowledgements", "/nowhere"):
            async with client.session.post(simulator.api_url + path) as response:
                assert [202, 401] == [response.status, (await response.json())["error"]["code"]]
        assert 3 == simulator.journal.kinds()["unsigned"]


async def test_me_is_the_bot() -> None:
    """The cheapest check of credentials answers with the bot's profile."""
    async with simulated() as (_, client):
        status, answer = await client.call("GET", "/me")
        assert [200, client.bot.app_id] == [status, answer["data"]["user_id"]]


async def test_the_query_is_signed_too() -> None:
    """The URI of the signature includes the query as it was sent."""
    async with simulated() as (simulator, client):
        assert 200 == (await client.call("GET", "/me?a=%20b&c"))[0]
        assert [] == simulator.journal.violations


async def test_messages_are_taken_once() -> None:
    """One message or a list; a repeated id is taken once, a bad one fails, 101 are too many."""
    async with simulated() as (simulator, client):
        one, two = message(), message()
        assert (200, {}) == await client.call("POST", "/messages", one)
        assert (200, {}) == await client.call("POST", "/messages", [one, two])
        assert [one, two] == simulator.journal.sent
        many = [message() for _ in range(101)]
        bodies: list[Any] = [{}, [{}], message(category="?"), many, None]
        for bad in bodies:
            assert 10002 == (await client.call("POST", "/messages", bad))[1]["error"]["code"]


async def test_encrypted_messages_need_the_checksum_of_the_sessions() -> None:
    """A wrong checksum fails with the sessions of now; the right one succeeds."""
    async with simulated() as (simulator, client):
        encrypted = message(category="ENCRYPTED_TEXT", checksum="stale")
        _, answer = await client.call("POST", "/encrypted_messages", [encrypted])
        (result,) = answer["data"]
        assert "FAILED" == result["state"]
        sessions = [one["session_id"] for one in result["sessions"]]
        encrypted["checksum"] = checksum(sessions)
        _, answer = await client.call("POST", "/encrypted_messages", [encrypted])
        assert ["SUCCESS", []] == [answer["data"][0][name] for name in ("state", "sessions")]
        assert [encrypted] == simulator.journal.sent
        bodies: list[Any] = [{}, [1]]
        for bad in bodies:
            answer = (await client.call("POST", "/encrypted_messages", bad))[1]
            assert 10002 == answer["error"]["code"]


async def test_sessions_can_be_fetched() -> None:
    """Known users have one session with a raw-url X25519 key; strangers have none."""
    async with simulated() as (_, client):
        _, answer = await client.call("POST", "/sessions/fetch", [BOB.user_id, new_id()])
        (session,) = answer["data"]
        assert [BOB.user_id, BOB.session_id] == [session["user_id"], session["session_id"]]
        assert 43 == len(session["public_key"])
        _, answer = await client.call("POST", "/sessions/fetch", {})
        assert 10002 == answer["error"]["code"]


async def test_conversations_and_attachments_can_be_made() -> None:
    """A contact conversation has its computed id; an attachment has its two URLs."""
    async with simulated() as (_, client):
        body = {"category": "CONTACT", "participants": [{"user_id": ALICE.user_id}]}
        _, answer = await client.call("POST", "/conversations", body)
        expected = contact_conversation(client.bot.app_id, ALICE.user_id)
        assert expected == answer["data"]["conversation_id"]
        assert 10002 == (await client.call("POST", "/conversations", {}))[1]["error"]["code"]
        made = (await client.call("POST", "/attachments"))[1]["data"]
        found = (await client.call("GET", f"/attachments/{made['attachment_id']}"))[1]["data"]
        assert made == found


async def test_statuses_can_be_asked_for() -> None:
    """What was sent after an offset in nanoseconds is listed."""
    async with simulated() as (simulator, client):
        sent = message()
        await client.call("POST", "/messages", [sent])
        _, answer = await client.call("GET", "/messages/status/0")
        assert [sent["message_id"]] == [one["message_id"] for one in answer["data"]]
        later = int((simulator.clock.now() + 60) * 1e9)
        assert (200, {}) == await client.call("GET", f"/messages/status/{later}")
        _, answer = await client.call("GET", "/messages/status/now")
        assert 10002 == answer["error"]["code"]


async def test_other_calls_can_fail_too() -> None:
    """The fault point `api` is for every path without one of its own; effects are withheld."""
    async with simulated() as (simulator, client):
        simulator.faults.api.next(AppError(20140))
        sent = message()
        answer = (await client.call("POST", "/messages", [sent]))[1]
        assert 20140 == answer["error"]["code"]
        assert [] == simulator.journal.sent
        (request,) = simulator.journal.requests
        assert ["POST", "/messages", 202] == [request.method, request.path, request.status]
        assert aiohttp.hdrs.AUTHORIZATION not in request.headers
