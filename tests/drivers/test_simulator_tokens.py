"""The simulator checks tokens as docs/protocol.md says."""

import hashlib
import time
from typing import Any

import aiohttp
import pytest

from relay.simulator.people import contact_conversation
from tests.drivers.simulator_client import Client, new_id, simulated, token_for
from tests.support.simulator import ALICE, Answer, Bot, ErrorFrame, Family, Simulator, make_keystore

UNAUTHORIZED = {"status": 202, "code": 401, "description": "Unauthorized, maybe invalid token."}


def stale(**changes: float) -> dict[str, float]:
    return {name: int(time.time() + seconds) for name, seconds in changes.items()}


BAD_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "sig of other bytes": ({"sig": "0" * 64}, "wrong_sig"),
    "no scope": ({"scp": None}, "incomplete"),
    "no jti": ({"jti": None}, "incomplete"),
    "no exp": ({"exp": None}, "incomplete"),
    "exp is text": ({"exp": "soon"}, "incomplete"),
    "another session": ({"sid": new_id()}, "unknown_session"),
    "another user": ({"uid": new_id()}, "unknown_session"),
    "expired": (stale(iat=-120, exp=-60), "expired"),
    "from the future": (
        stale(iat=90_000, exp=90_300),
        "from_the_future",
    ),  # however late it is tried
}


@pytest.mark.parametrize(("claims", "why"), BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_gets_the_captured_error_frame(claims: dict[str, Any], why: str) -> None:
    """The upgrade succeeds, one ERROR frame comes, and the server closes."""
    async with simulated() as (simulator, client):
        token = token_for(client.bot, "GET", "/", **claims)
        async with client.connect(token) as socket:
            frame = await socket.take()
            assert ["ERROR", UNAUTHORIZED] == [frame["action"], frame["error"]]
            assert "00000000-0000-0000-0000-000000000000" == frame["id"]
            assert 1000 == await socket.closed()
        assert ["ERROR 401"] == [one.refused for one in simulator.journal.connects]
        (request,) = [(await client.call("GET", "/me", **claims))[1]]
        assert {"error": UNAUTHORIZED} == request
        assert why == simulator.journal.requests[0].refusal


async def test_no_token_and_nonsense_are_refused() -> None:
    """Without a token, and with something else, the answer is the same."""
    async with simulated() as (simulator, client):
        for token in ("", "nonsense", "a.b.c"):
            async with client.connect(token) as socket:
                assert 401 == (await socket.take())["error"]["code"]
        assert 3 == simulator.journal.kinds()["unsigned"]


async def test_a_token_signed_with_another_key_is_refused() -> None:
    """The signature has to be made with the session's key."""
    async with simulated() as (simulator, client):
        stranger = Bot.of({**make_keystore(), "app_id": client.bot.app_id})
        token = token_for(stranger, "GET", "/", sid=client.bot.session_id)
        async with client.connect(token) as socket:
            assert 401 == (await socket.take())["error"]["code"]
        assert ["unsigned"] == list(simulator.journal.kinds())


async def test_the_refusal_can_stay_open_or_be_plain_http() -> None:
    """Knobs: the socket stays open after the ERROR frame, or the upgrade itself gets a 401."""
    async with simulated() as (simulator, client):
        simulator.faults.bad_token = ErrorFrame(401, close=False)
        async with client.connect("nonsense") as socket:
            await socket.take()
            await socket.ws.ping()
            assert not socket.ws.closed
        simulator.faults.bad_token = Answer(401, "no")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with client.connect("nonsense"):
                pass
        assert 401 == caught.value.status


async def test_the_body_is_signed_too() -> None:
    """A request whose body was changed after signing is refused; one of a good client is not."""
    async with simulated() as (simulator, client):
        assert 200 == (await client.call("POST", "/sessions/fetch", [ALICE.user_id]))[0]
        assert [] == simulator.journal.violations
        sig = hashlib.sha256(b"POST/sessions/fetch[]").hexdigest()
        status, answer = await client.call("POST", "/sessions/fetch", [ALICE.user_id], sig=sig)
        assert [202, 401] == [status, answer["error"]["code"]]
        assert ["unsigned"] == list(simulator.journal.kinds())


async def test_a_token_used_twice_is_written_down() -> None:
    """Reuse is served, since shipped clients do it, and is a violation."""
    async with simulated() as (simulator, client):
        jti = new_id()
        for _ in range(2):
            assert 200 == (await client.call("GET", "/me", jti=jti))[0]
        assert ["token_reused"] == list(simulator.journal.kinds())
        assert 2 == simulator.journal.tokens[jti]


async def test_a_token_that_lives_long_is_written_down() -> None:
    """More than 15 minutes is served, and is a violation."""
    async with simulated() as (simulator, client):
        now = int(time.time())
        await client.call("GET", "/me", iat=now, exp=now + 900)
        assert [] == simulator.journal.violations
        await client.call("GET", "/me", iat=now, exp=now + 901)
        assert ["token_too_long"] == list(simulator.journal.kinds())


async def test_the_server_clock_can_be_wrong() -> None:
    """With its clock six minutes ahead or behind, good tokens are refused."""
    async with simulated() as (simulator, client):
        for offset in (360, -360):
            simulator.clock.offset = offset
            status, answer = await client.call("GET", "/me")
            assert [202, 401] == [status, answer["error"]["code"]]
        simulator.clock.offset = 0
        assert 200 == (await client.call("GET", "/me"))[0]
        assert [] == simulator.journal.violations


async def test_a_revoked_session_is_told_at_once_and_later() -> None:
    """Revoking sends ERROR mid-session and refuses what comes after, until it is restored."""
    async with simulated() as (simulator, client):
        async with client.listening() as socket:
            await simulator.revoke()
            assert 401 == (await socket.take())["error"]["code"]
            await socket.closed()
        assert 401 == (await client.call("GET", "/me"))[1]["error"]["code"]
        simulator.restore()
        assert 200 == (await client.call("GET", "/me"))[0]


@pytest.mark.parametrize("family", [Family.RSA, Family.OLDEST, Family.NETWORK_USER])
async def test_keystores_of_every_family_work(family: Family) -> None:
    """RSA sessions sign with RS512, the others with EdDSA; each connects and calls."""
    async with simulated(keystores=[make_keystore(family)]) as (simulator, client):
        async with client.listening():
            assert 200 == (await client.call("GET", "/me"))[0]
        assert [] == simulator.journal.violations


async def test_an_rsa_session_cannot_sign_with_the_wrong_algorithm() -> None:
    """The key of the session decides the algorithm, not the token's header."""
    async with simulated() as (simulator, client):
        rsa = Client(simulator, client.session, simulator.add_bot(make_keystore(Family.RSA)))
        token = token_for(client.bot, "GET", "/", uid=rsa.bot.app_id, sid=rsa.bot.session_id)
        async with client.connect(token) as socket:
            assert 401 == (await socket.take())["error"]["code"]


def test_legacy_keystores_are_read_in_every_spelling() -> None:
    """64 bytes in URL-safe or standard base64, padded or not, are the same key."""
    keystore = make_keystore(Family.ED25519)
    standard = keystore["private_key"].replace("-", "+").replace("_", "/")
    spellings = [keystore["private_key"], standard, standard + "=="]
    bots = [Bot.of({**keystore, "private_key": text}) for text in spellings]
    assert 1 == len({bot.sealing_key for bot in bots})
    assert {"client_id", "session_id", "pin_token", "private_key", "pin"} == set(keystore)


@pytest.mark.parametrize(
    "changes",
    [{"session_private_key": "00"}, {"app_id": "me"}, {"session_private_key": ""}],
)
def test_what_is_no_keystore_is_refused(changes: dict[str, str]) -> None:
    """A broken keystore raises instead of making a bot."""
    with pytest.raises((ValueError, KeyError)):
        Bot.of({**make_keystore(), **changes})


def test_keys_are_not_shown() -> None:
    """A bot's repr holds no key."""
    simulator = Simulator()
    keystore = simulator.bot.keystore
    assert keystore["session_private_key"] not in repr(simulator.bot)
    assert keystore["session_private_key"] in simulator.keystore_json()


def test_a_conversation_has_the_captured_id() -> None:
    """The conversation id of two users is that of the real capture (docs/protocol.md, Messages)."""
    one, other = "28ee416a-0eaa-4133-bc79-9676909b7b4e", "daf8b473-39a0-4419-991a-77f30d28dd6d"
    expected = "c5458ec8-5e95-3e64-ae63-d4dfc3135c9e"
    assert expected == contact_conversation(one, other) == contact_conversation(other, one)
