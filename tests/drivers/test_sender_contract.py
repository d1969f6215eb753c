"""What every adapter of the HTTP port promises of requests and answers.

The cases are those of webhooks.md, "The HTTP client behind a port".
"""

import gzip

import pytest

from relay.webhook.exchange import Answer, Failure, Sender, Sent
from tests.drivers.scripted_server import (
    Peer,
    ScriptedServer,
    answer,
    answering,
    black_hole,
    dripping,
    flooding,
    head,
    refusing_port,
    saying,
    silent,
)
from tests.drivers.sender_adapters import BODY, DRIP, SHORT, MakeSender, outcome, post

KIB = 1024
BODY_LIMIT = 64 * KIB

# --- What is sent -------------------------------------------------------------------------------


async def test_the_request_goes_out_as_it_was_given(sender: Sender) -> None:
    """Method, path, headers and body are those of the request, to the byte."""
    async with ScriptedServer(answering(answer())) as server:
        await sender.send(post(server.port, path="/a%2Fb/../%7e%E4?x=%20&y=a+b;c#fragment"))
        [received] = server.requests
    assert "POST /a%2Fb/../%7e%E4?x=%20&y=a+b;c HTTP/1.1" == received.line
    assert BODY == received.body
    assert "application/json" == received.header("content-type")
    assert "an-id" == received.header("webhook-id")
    assert f"127.0.0.1:{server.port}" == received.header("host")


async def test_nothing_is_asked_for_that_is_not_read(sender: Sender) -> None:
    """No compression is offered, and no connection upgrade."""
    async with ScriptedServer(answering(answer())) as server:
        await sender.send(post(server.port))
        [received] = server.requests
    assert received.header("accept-encoding") in (None, "identity")
    assert received.header("upgrade") is None
    assert received.header("expect") is None


async def test_large_bodies_go_out_whole(sender: Sender) -> None:
    """A body of megabytes arrives to the byte."""
    body = bytes(range(256)) * 4 * KIB * 3
    async with ScriptedServer(answering(answer())) as server:
        got = await sender.send(post(server.port, body=body))
        [received] = server.requests
    assert (200, None, Sent.YES) == outcome(got)
    assert body == received.body


async def test_the_environments_proxies_are_not_used(
    make_sender: MakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address guard sees the receiver's address, never that of a proxy."""
    with refusing_port() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        async with ScriptedServer(answering(answer())) as server:
            assert 200 == (await make_sender().send(post(server.port))).status


async def test_cookies_are_not_kept(sender: Sender) -> None:
    """A receiver can't mark the relay."""
    async with ScriptedServer(answering(answer(Set_Cookie="a=b"))) as server:
        for _ in range(2):
            await sender.send(post(server.port, host="127.0.0.1"))
    assert [None, None] == [received.header("cookie") for received in server.requests]


# --- What comes back ----------------------------------------------------------------------------


async def test_the_answer_is_told_whole(sender: Sender) -> None:
    """Status, Retry-After and the body are told."""
    said = answer("503 Busy", b"come back", Retry_After="7")
    async with ScriptedServer(answering(said)) as server:
        got = await sender.send(post(server.port))
    expected = Answer(status=503, retry_after="7", body=b"come back", sent=Sent.YES)
    assert expected == got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(sender: Sender, status: int) -> None:
    """A redirect is an answer like any other: one request, and no second one anywhere."""
    said = answer(f"{status} Elsewhere", Location="/elsewhere")
    async with ScriptedServer(answering(said)) as server:
        got = await sender.send(post(server.port))
        assert 1 == len(server.requests)
    assert (status, None, Sent.YES) == outcome(got)


async def test_connections_are_used_again(sender: Sender) -> None:
    """One connection carries one request after the other."""
    async with ScriptedServer(answering(answer(body=b"1"), answer(body=b"2"))) as server:
        got = [await sender.send(post(server.port)) for _ in range(2)]
        assert 1 == server.connections
    assert [b"1", b"2"] == [answered.body for answered in got]


async def test_interim_answers_are_passed_over(sender: Sender) -> None:
    """The answer is the final one."""
    said = b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer("201 Created")
    async with ScriptedServer(answering(said)) as server:
        assert (201, None, Sent.YES) == outcome(await sender.send(post(server.port)))


async def test_another_protocol_is_not_switched_to(sender: Sender) -> None:
    """101 is told like any other status, and its connection is not used again."""
    said = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"
    async with ScriptedServer(saying(said), answering(answer())) as server:
        got = [await sender.send(post(server.port)) for _ in range(2)]
    assert [101, 200] == [answered.status for answered in got]


async def test_an_answer_before_the_request_is_read_counts(sender: Sender) -> None:
    """A receiver that refuses a large body without reading it is understood."""

    async def refusing(peer: Peer) -> None:
        await peer.send(answer("413 Too Large", Connection="close"))
        await peer.left()

    async with ScriptedServer(refusing) as server:
        got = await sender.send(post(server.port, body=bytes(8 * KIB * KIB)))
        await server.all_ended(1)
    assert (413, None, Sent.YES) == outcome(got)


# --- Silence ------------------------------------------------------------------------------------


async def test_silence_before_the_answer_is_a_timeout(sender: Sender) -> None:
    """The deadline holds, and the request may have been taken."""
    async with ScriptedServer(silent) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (None, Failure.TIMEOUT, Sent.MAYBE) == outcome(got)


@pytest.mark.parametrize(
    "said",
    [
        head("Content-Length: 5"),
        head("Content-Length: 5") + b"ab",
        head("Transfer-Encoding: chunked"),
    ],
    ids=["after the headers", "in the body", "before the first chunk"],
)
async def test_silence_behind_the_status_line_changes_nothing(sender: Sender, said: bytes) -> None:
    """The status line has decided; the connection is given up, the verdict is not."""
    async with ScriptedServer(saying(said)) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)


async def test_nobody_waits_long_for_a_body(make_sender: MakeSender) -> None:
    """However much of the deadline is left: the next message waits behind this one."""
    sender = make_sender(body_patience=DRIP)
    async with ScriptedServer(saying(head("Content-Length: 5"))) as server:
        got = await sender.send(post(server.port, timeout=3600))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)


async def test_a_drip_of_body_changes_nothing(sender: Sender) -> None:
    """A body that is always about to end is cut off."""
    script = dripping(head("Content-Length: 9999"), bytes(9999), every=DRIP)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)


async def test_a_drip_of_headers_is_a_timeout(sender: Sender) -> None:
    """Bytes are no progress: the deadline covers all up to the end of the headers."""
    script = dripping(b"", head("X-Slow: " + "z" * 9999), every=DRIP)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (None, Failure.TIMEOUT, Sent.MAYBE) == outcome(got)


async def test_endless_interim_answers_are_a_timeout(sender: Sender) -> None:
    """Nor are interim answers progress."""
    script = dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 999, every=DRIP / 20)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (None, Failure.TIMEOUT, Sent.MAYBE) == outcome(got)


async def test_a_black_hole_is_a_connect_timeout(sender: Sender) -> None:
    """A connect that hangs is told from a receiver that hangs: nothing was sent."""
    with black_hole() as port:
        got = await sender.send(post(port, connect_timeout=SHORT))
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_deadline_covers_the_connect(sender: Sender) -> None:
    """A connect timeout longer than the whole does not prolong it."""
    with black_hole() as port:
        got = await sender.send(post(port, timeout=SHORT))
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_connect_timeout_ends_with_the_connect(sender: Sender) -> None:
    """A receiver that connects quickly may answer slowly."""
    async with ScriptedServer(dripping(b"", answer(), every=DRIP / 2)) as server:
        got = await sender.send(post(server.port, connect_timeout=SHORT))
    assert (200, None, Sent.YES) == outcome(got)


# --- Too much -----------------------------------------------------------------------------------


async def test_a_large_body_is_cut_off(sender: Sender) -> None:
    """Of 10 MB the beginning is kept, and nobody waits for the rest."""
    async with ScriptedServer(saying(answer(body=bytes(10_000_000)))) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)
    assert bytes(BODY_LIMIT) == got.body


async def test_an_endless_body_is_cut_off(sender: Sender) -> None:
    """Nor does anyone wait for the end of what has none."""
    chunk = b"1000\r\n" + bytes(0x1000) + b"\r\n"
    script = flooding(head("Transfer-Encoding: chunked"), chunk)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)
    assert bytes(BODY_LIMIT) == got.body


async def test_headers_without_end_are_a_breach_of_protocol(sender: Sender) -> None:
    """8 MB of headers are not kept."""
    script = flooding(b"HTTP/1.1 200 OK\r\n", b"X-Much: " + b"z" * 4 * KIB + b"\r\n")
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (None, Failure.PROTOCOL, Sent.YES) == outcome(got)


async def test_one_header_without_end_is_a_breach_of_protocol(sender: Sender) -> None:
    """Nor is one of 8 MB."""
    async with ScriptedServer(flooding(b"HTTP/1.1 200 OK\r\nX-Long: ", b"z" * KIB)) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (None, Failure.PROTOCOL, Sent.YES) == outcome(got)


async def test_bodies_are_not_decompressed(sender: Sender) -> None:
    """A bomb stays as small as it came."""
    bomb = gzip.compress(bytes(10_000_000))
    async with ScriptedServer(answering(answer(body=bomb, Content_Encoding="gzip"))) as server:
        got = await sender.send(post(server.port))
    assert bomb == got.body


@pytest.mark.parametrize(
    "more", [b"and more", answer("500 Smuggled", b"no")], ids=["noise", "answer"]
)
async def test_bytes_behind_an_answer_answer_nothing(sender: Sender, more: bytes) -> None:
    """What follows an answer never becomes the next request's."""

    async def overdoing(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(body=b"1") + more)
        await peer.left()

    async with ScriptedServer(overdoing, answering(answer("201 Created", b"2"))) as server:
        first = await sender.send(post(server.port))
        second = await sender.send(post(server.port))
    # aiohttp loses the status line when its parser meets the noise in the same segment.
    lost = (None, Failure.PROTOCOL, Sent.YES)
    assert outcome(first) in ((200, None, Sent.YES), lost)
    assert (201, b"2") == (second.status, second.body)


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\0\xff" * 99 + b"\r\n\r\n"]
)
async def test_what_is_no_http_is_a_breach_of_protocol(sender: Sender, said: bytes) -> None:
    """Something came back, so the receiver has the request; what it thinks of it nobody knows."""
    async with ScriptedServer(saying(said)) as server:
        got = await sender.send(post(server.port))
    assert (None, Failure.PROTOCOL, Sent.YES) == outcome(got)
