"""What the sender promises of its way through an HTTP proxy."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from relay.net.proxies import Proxy
from relay.webhook.exchange import Failure, Sent, TlsSettings
from tests.drivers.scripted_server import (
    ScriptedServer,
    answer,
    answering,
    mute,
    refusing_port,
)
from tests.drivers.sender_adapters import AnySender, MakeSender, Post, outcome, post
from tests.support.proxy import OPEN, proxy

OK = (200, None, Sent.YES)


def by(port: int, request: Post, user: str = "") -> Post:
    """Send a request through the proxy at a port."""
    way = Proxy.parse(f"http://{user}127.0.0.1:{port}")
    return replace(request, target=replace(request.target, proxy=way))


@pytest.fixture
def tls(tmp_path: Path) -> tuple[TlsSettings, ssl.SSLContext]:
    """Found an authority, and certify `crm.test` by it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("crm.test").configure_cert(context)
    return TlsSettings(str(tmp_path / "ca.pem")), context


async def test_an_http_target_is_named_whole(sender: AnySender) -> None:
    """The proxy looks its name up; we don't. It is told who we are, the receiver is not."""
    async with ScriptedServer(answering(answer())) as server:
        request = by(server.port, post(80, host="crm.test", path="/hook?a=b"), "user:pass@")
        assert [OK, OK] == [outcome(await sender.send(request)) for _ in range(2)]
        assert 1 == server.connections
        received = server.requests[0]
    assert "POST http://crm.test/hook?a=b HTTP/1.1" == received.line
    assert "crm.test" == received.header("host")
    assert "Basic dXNlcjpwYXNz" == received.header("proxy-authorization")


async def test_an_https_target_is_reached_through_a_tunnel(
    sender: AnySender, tls: tuple[TlsSettings, ssl.SSLContext]
) -> None:
    """TLS is the receiver's, and so is everything in it; one tunnel serves many requests."""
    trust, context = tls
    async with (
        ScriptedServer(answering(answer()), tls=context) as server,
        proxy(to=server.port) as way,
    ):
        request = post(443, scheme="https", host="crm.test", tls=trust)
        for _ in range(2):
            assert OK == outcome(await sender.send(by(way.port, request, "user:pass@")))
        assert ["CONNECT crm.test:443 HTTP/1.1"] == way.asked
        assert ["Host: crm.test:443", "Proxy-Authorization: Basic dXNlcjpwYXNz"] == way.headers
        assert [None, None] == [each.header("proxy-authorization") for each in server.requests]
        await sender.close()


@pytest.mark.parametrize(
    ("says", "failure", "detail"),
    [
        (
            b"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno",
            Failure.CONNECT,
            "the proxy answered 407: it wants a user and password",
        ),
        (b"HTTP/1.0 502 No way\r\n\r\nno", Failure.CONNECT, "the proxy answered 502"),
        (b"HTTP/1.1 302 x\r\nLocation: /\r\n\r\n", Failure.CONNECT, "the proxy answered 302"),
        (b"SSH-2.0\r\n", Failure.PROTOCOL, "the proxy gave no answer of HTTP/1"),
        (b"", Failure.CONNECT, "the proxy hung up"),
        (b"HTTP/1.1 200 OK\r\n", Failure.CONNECT, "the proxy hung up"),
        (OPEN + b"HTTP/1.1 200 OK\r\n\r\n", Failure.TLS, "it ended before TLS began"),
    ],
)
async def test_a_proxy_that_opens_no_way_is_told(
    sender: AnySender, says: bytes, failure: Failure, detail: str
) -> None:
    """Not a byte of the message has left, and none of the proxy's words is kept."""
    async with proxy(says) as way:
        got = await sender.send(by(way.port, post(443, scheme="https", host="crm.test")))
    assert ((None, failure, Sent.NO), detail) == (outcome(got), got.detail)


async def test_a_proxy_that_wants_a_password_refuses_no_message(sender: AnySender) -> None:
    """Its 407 is not the receiver's: nothing is said of the message by it."""
    said = answer("407 Proxy Authentication Required")
    async with ScriptedServer(answering(said)) as server:
        got = await sender.send(by(server.port, post(80, host="crm.test")))
    assert (None, Failure.CONNECT, Sent.NO) == outcome(got)


async def test_a_proxy_that_is_not_there_is_told(sender: AnySender) -> None:
    """As such: the receiver may be well."""
    with refusing_port() as port:
        got = await sender.send(by(port, post(80, host="crm.test")))
    assert (None, Failure.CONNECT, Sent.NO) == outcome(got)
    assert f"the proxy: Connection refused (127.0.0.1:{port})" == got.detail


async def test_a_proxy_that_is_silent_is_a_connect_timeout(sender: AnySender) -> None:
    """The tunnel is part of connecting."""
    async with ScriptedServer(mute) as server:
        request = post(443, scheme="https", host="crm.test", connect_timeout=0.1)
        got = await sender.send(by(server.port, request))
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_guard_judges_addresses_and_not_the_proxys(make_sender: MakeSender) -> None:
    """A proxy's address is the operator's; one that a URL names is judged as ever."""
    sender = make_sender(blocked=("127.0.0.0/8",))
    async with ScriptedServer(answering(answer())) as server:
        named = await sender.send(by(server.port, post(80, host="crm.test")))
        literal = await sender.send(by(server.port, post(80, host="169.254.169.254")))
        assert 1 == len(server.requests)
    assert [OK, (None, Failure.BLOCKED, Sent.NO)] == [outcome(named), outcome(literal)]
