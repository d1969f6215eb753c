"""What a courier promises: one attempt, written and judged as docs/reference.md says."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import standardwebhooks
from msgspec import structs

from relay.model.messages import Delivery, EndpointKey, Message, Reason, Source, Success, Transient
from relay.model.ports import Courier as CourierPort
from relay.webhook.courier import Courier, Destination, HeaderError
from relay.webhook.envelope import Envelopes, build_envelope
from relay.webhook.exchange import Answer, Failure, Request, Sender, Sent, Target
from relay.webhook.signature import Signer
from tests.drivers.scripted_server import Peer, ScriptedServer, answer, answering
from tests.drivers.sender_adapters import AnySender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "QUJD" * 8
MESSAGE_ID = "f381aaa0-a462-4333-af10-e3f5bff7bec7"
NOW = 1614265330.75
KEY = EndpointKey("support", "crm")

MESSAGE = Message(
    bot="support",
    message_id=MESSAGE_ID,
    conversation_id="c",
    user_id="u",
    category="PLAIN_TEXT",
    source=Source.LIVE,
    frame=b'{"data":{"category":"PLAIN_TEXT","data_base64":"aGVsbG8"}}',
    received_at=NOW,
)
DELIVERY = Delivery(id=1, endpoint=KEY, lane="c", message=MESSAGE)
DESTINATION = Destination(KEY, Target.parse("https://crm.example.com/hooks"), Signer.parse(SECRET))


class FakeSender:
    """Answers as it is told and remembers every request."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers) or [Answer(200, sent=Sent.YES)]

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._answers[min(len(self.requests), len(self._answers)) - 1]

    async def close(self) -> None:
        pass


@dataclass
class Clock:
    """A clock that tests set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def envelopes() -> Envelopes:
    return Envelopes(
        partial(build_envelope, bot_name="support", app_id="the-app", decrypt=lambda _: b"")
    )


def courier_of(
    sender: Sender, destination: Destination = DESTINATION, clock: Clock | None = None
) -> Courier:
    return Courier(
        destination,
        sender,
        envelopes(),
        app_id="the-app",
        version="1.2.3",
        clock=clock or Clock(),
    )


async def headers_of(delivery: Delivery = DELIVERY, **changes: Any) -> Mapping[str, str]:
    """Make one attempt to a destination with these changes and give the headers of the request."""
    sender = FakeSender()
    await courier_of(sender, replace(DESTINATION, **changes)).attempt(delivery)
    [request] = sender.requests
    return request.headers


async def test_only_a_replay_says_that_it_is_one() -> None:
    """The header is there with a replay, and not there otherwise."""
    assert "relay-replay" not in await headers_of()
    assert "true" == (await headers_of(structs.replace(DELIVERY, replay=3)))["relay-replay"]


async def test_the_headers_are_those_of_the_interface() -> None:
    """Each of them, and no others."""
    headers = await headers_of()
    expected = {
        "content-type": "application/json",
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": headers["webhook-signature"],
        "user-agent": "blaze-relay/1.2.3",
        "relay-bot": "support",
        "relay-endpoint": "crm",
        "relay-attempt": "1",
        "relay-prior-outcome": "none",
    }
    assert expected == headers


async def test_the_request_has_the_endpoints_time() -> None:
    """The deadlines are those of the endpoint."""
    sender = FakeSender()
    destination = replace(DESTINATION, timeout=9.0, connect_timeout=3.0)
    await courier_of(sender, destination).attempt(DELIVERY)
    [request] = sender.requests
    assert (9.0, 3.0) == (request.timeout, request.connect_timeout)


async def test_without_a_secret_there_is_no_signature() -> None:
    """Id and time are still told."""
    headers = await headers_of(signer=None)
    assert "webhook-signature" not in headers
    assert {"webhook-id", "webhook-timestamp"} <= set(headers)


@pytest.mark.parametrize(
    ("delivery", "attempt", "prior"),
    [
        (DELIVERY, "1", "none"),
        (structs.replace(DELIVERY, attempts=1), "2", "failed"),
        (structs.replace(DELIVERY, attempts=7, doubtful=True), "8", "unknown"),
        (structs.replace(DELIVERY, doubtful=True), "1", "unknown"),
    ],
)
async def test_earlier_attempts_are_told(delivery: Delivery, attempt: str, prior: str) -> None:
    """Their number, and whether one of them may have been taken."""
    headers = await headers_of(delivery)
    assert (attempt, prior) == (headers["relay-attempt"], headers["relay-prior-outcome"])


async def test_every_attempt_is_signed_anew() -> None:
    """The time is that of the attempt, the id and the body stay."""
    sender, clock = FakeSender(), Clock()
    courier = courier_of(sender, clock=clock)
    await courier.attempt(DELIVERY)
    clock.now += 3600
    await courier.attempt(structs.replace(DELIVERY, attempts=1))
    first, second = sender.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert "1614268930" == second.headers["webhook-timestamp"]
    expected = Signer.parse(SECRET).sign(MESSAGE_ID, 1614268930, second.body)
    assert expected == second.headers["webhook-signature"]


async def test_configured_headers_and_token_are_sent() -> None:
    """Beside the relay's own."""
    headers = await headers_of(headers={"X-Tenant": "acme"}, bearer_token="t0ken")
    assert ("acme", "Bearer t0ken") == (headers["x-tenant"], headers["authorization"])
    assert MESSAGE_ID == headers["webhook-id"]


async def test_the_urls_user_is_sent() -> None:
    """As Basic authentication, which is what a URL means by it."""
    headers = await headers_of(target=Target.parse("http://u:p@h/"))
    assert "Basic dTpw" == headers["authorization"]


@pytest.mark.parametrize(
    "name",
    [
        "Webhook-Id",
        "webhook-anything",
        "Relay-Bot",
        "User-Agent",
        "Content-Type",
        "HOST",
        "content-length",
        "transfer-encoding",
        "connection",
        "proxy-authorization",
    ],
)
def test_the_relays_own_headers_cant_be_configured(name: str) -> None:
    """Receivers can rely on them."""
    with pytest.raises(HeaderError, match=name):
        replace(DESTINATION, headers={name: "s3cret"})


@pytest.mark.parametrize(
    "headers", [{"": "s3cret"}, {"a b": "s3cret"}, {"x:": "s3cret"}, {"x": "s3cret\r\ny: z"}]
)
def test_headers_that_break_the_frame_cant_be_configured(headers: dict[str, str]) -> None:
    """And the error does not tell their values."""
    with pytest.raises(HeaderError) as caught:
        replace(DESTINATION, headers=headers)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "s3cret\n", "s3 cret"])
def test_a_token_that_is_none_cant_be_configured(token: str) -> None:
    """Nor is it told."""
    with pytest.raises(HeaderError) as caught:
        replace(DESTINATION, bearer_token=token)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"Authorization": "x"}, "bearer_token": "y"},
        {"target": Target.parse("http://u:p@h/"), "bearer_token": "y"},
        {"target": Target.parse("http://u:p@h/"), "headers": {"Authorization": "x"}},
    ],
)
def test_one_authorization_is_enough(changes: dict[str, Any]) -> None:
    """Of two, one would be lost in silence."""
    with pytest.raises(HeaderError, match="more than one"):
        replace(DESTINATION, **changes)


def test_secrets_are_not_shown() -> None:
    """What is printed while debugging holds none of them."""
    target = Target.parse("https://h/s3cret")
    shown = repr(
        replace(DESTINATION, target=target, headers={"x": "s3cret"}, bearer_token="s3cret")
    )
    assert "s3cret" not in shown
    assert SECRET[6:] not in shown


# --- The verdict --------------------------------------------------------------------------------


async def test_the_answer_is_judged() -> None:
    """By its status, with the clock of the attempt's end."""
    date = "Thu, 25 Feb 2021 15:02:40 GMT"  # half a minute after NOW
    sender = FakeSender(Answer(200), Answer(503, retry_after=date))
    courier = courier_of(sender, clock=Clock(1614265330))
    expected = [Success(200), Transient(Reason.HTTP_503, 503, pause=30.0)]
    assert expected == [await courier.attempt(DELIVERY) for _ in range(2)]


async def test_a_failure_is_judged() -> None:
    """A request that may have arrived leaves doubt."""
    sender = FakeSender(Answer(failure=Failure.RESET, sent=Sent.MAYBE, detail="gone"))
    expected = Transient(Reason.RESET, detail="gone", doubtful=True)
    assert expected == await courier_of(sender).attempt(DELIVERY)


async def test_endpoints_of_a_bot_share_their_envelopes() -> None:
    """The message is written once for all of them."""
    built = []

    def build(message: Message) -> bytes:
        built.append(message.message_id)
        return b"{}"

    shared, sender = Envelopes(build), FakeSender()
    for name in ("crm", "audit"):
        destination = replace(DESTINATION, endpoint=EndpointKey("support", name))
        courier = Courier(destination, sender, shared, app_id="the-app", version="1", clock=Clock())
        await courier.attempt(DELIVERY)
    assert [MESSAGE_ID] == built
    assert ["crm", "audit"] == [request.headers["relay-endpoint"] for request in sender.requests]


async def test_the_test_event_is_signed_like_a_message() -> None:
    """Its id tells that it is none, and is never the same."""
    sender = FakeSender()
    courier = courier_of(sender)
    assert [Success(200), Success(200)] == [await courier.send_test() for _ in range(2)]
    request, other = sender.requests
    told = json.loads(request.body)
    assert ("relay.test", "crm") == (told["type"], told["data"]["endpoint"]["name"])
    assert {"name": "support", "app_id": "the-app"} == told["data"]["bot"]
    webhook_id = request.headers["webhook-id"]
    assert webhook_id.startswith("test_")
    assert webhook_id != other.headers["webhook-id"]
    expected = Signer.parse(SECRET).sign(webhook_id, int(NOW), request.body)
    assert expected == request.headers["webhook-signature"]


# --- On the wire --------------------------------------------------------------------------------


async def test_a_stranger_verifies_what_arrives(sender: AnySender) -> None:
    """The reference library accepts the request as it comes off the wire, with either secret."""
    async with ScriptedServer(answering(answer("204 No Content"))) as server:
        target = Target.parse(f"http://127.0.0.1:{server.port}/hook")
        courier: CourierPort = Courier(
            Destination(KEY, target, Signer.parse(f"{SECRET} {OLD_SECRET}")),
            sender.to(target),
            envelopes(),
            app_id="the-app",
            version="1.2.3",
            clock=time.time,
        )
        assert Success(204) == await courier.attempt(DELIVERY)
        [received] = server.requests
    for secret in (SECRET, OLD_SECRET):
        told = standardwebhooks.Webhook(secret).verify(received.body, dict(received.headers))
        assert "hello" == told["data"]["content"]
    assert "blaze-relay/1.2.3" == received.header("user-agent")
    assert "application/json" == received.header("content-type")


async def test_a_cancelled_attempt_ends_at_once(sender: AnySender) -> None:
    """A stop cuts it short, and nothing is concluded."""

    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.left()

    async with ScriptedServer(silent) as server:
        target = Target.parse(f"http://127.0.0.1:{server.port}/")
        courier = courier_of(sender.to(target), replace(DESTINATION, target=target))
        attempt = asyncio.create_task(courier.attempt(DELIVERY))
        await server.received(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.all_ended(1)


@pytest.mark.parametrize(
    "echoed",
    [
        "Bearer of-the-receiver-1",
        "of-the-receiver-1",
        "key-of-x-1",
        "/hooks/T00S3CRETPATH?token=t0k3n-in-query",
        "T00S3CRETPATH",
        "t0k3n-in-query",
    ],
)
async def test_what_a_receiver_reflects_is_kept_without_secrets(echoed: str) -> None:
    """Its words may be read by whoever has the journal or the admin token, who knows no secret."""
    destination = replace(
        DESTINATION,
        target=Target.parse("https://crm.example.com/hooks/T00S3CRETPATH?token=t0k3n-in-query"),
        headers={"x-api-key": "key-of-x-1"},
        bearer_token="of-the-receiver-1",
    )
    sender = FakeSender(Answer(422, body=f"no {echoed} here".encode(), sent=Sent.YES))
    verdict = await courier_of(sender, destination).attempt(DELIVERY)
    assert "no *** here" == verdict.detail.replace("Bearer ***", "***").replace("?***", "")
