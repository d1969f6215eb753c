"""What the sender promises of requests and answers."""

import gzip

import pytest

from relay.webhook.exchange import Answer, Failure, Sent
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
from tests.drivers.sender_adapters import BODY, DRIP, SHORT, AnySender, MakeSender, outcome, post

KIB = 1024
BODY_LIMIT = 64 * KIB

# --- What is sent -------------------------------------------------------------------------------


async def test_the_request_goes_out_as_it_was_given(sender: AnySender) -> None:
    """Method, path, headers and body are those of the request, to the byte."""
    async with ScriptedServer(answering(answer())) as server:
        await sender.send(post(server.port, path="/a%2Fb/../%7e%E4?x=%20&y=a+b;c#fragment"))
        [received] = server.requests
    assert "POST /a%2Fb/../%7e%E4?x=%20&y=a+b;c HTTP/1.1" == received.line
    assert BODY == received.body
    assert "application/json" == received.header("content-type")
    assert "an-id" == received.header("webhook-id")
    assert f"127.0.0.1:{server.port}" == received.header("host")


async def test_nothing_is_asked_for_that_is_not_read(sender: AnySender) -> None:
    """No compression is offered, and no connection upgrade."""
    async with ScriptedServer(answering(answer())) as server:
        await sender.send(post(server.port))
        [received] = server.requests
    assert received.header("accept-encoding") in (None, "identity")
    assert received.header("upgrade") is None
    assert received.header("expect") is None


async def test_large_bodies_go_out_whole(sender: AnySender) -> None:
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


async def test_cookies_are_not_kept(sender: AnySender) -> None:
    """A receiver can't mark the relay."""
    async with ScriptedServer(answering(answer(Set_Cookie="a=b"))) as server:
        for _ in range(2):
            await sender.send(post(server.port, host="127.0.0.1"))
    assert [None, None] == [received.header("cookie") for received in server.requests]


# --- What comes back ----------------------------------------------------------------------------


async def test_the_answer_is_told_whole(sender: AnySender) -> None:
    """Status, Retry-After and the body are told."""
    said = answer("503 Busy", b"come back", Retry_After="7")
    async with ScriptedServer(answering(said)) as server:
        got = await sender.send(post(server.port))
    expected = Answer(status=503, retry_after="7", body=b"come back", sent=Sent.YES)
    assert expected == got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(sender: AnySender, status: int) -> None:
    """A redirect is an answer like any other: one request, and no second one anywhere."""
    said = answer(f"{status} Elsewhere", Location="/elsewhere")
    async with ScriptedServer(answering(said)) as server:
        got = await sender.send(post(server.port))
        assert 1 == len(server.requests)
    assert (status, None, Sent.YES) == outcome(got)


async def test_connections_are_used_again(sender: AnySender) -> None:
    """One connection carries one request after the other."""
    async with ScriptedServer(answering(answer(body=b"1"), answer(body=b"2"))) as server:
        got = [await sender.send(post(server.port)) for _ in range(2)]
        assert 1 == server.connections
    assert [b"1", b"2"] == [answered.body for answered in got]


async def test_interim_answers_are_passed_over(sender: AnySender) -> None:
    """The answer is the final one."""
    said = b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer("201 Created")
    async with ScriptedServer(answering(said)) as server:
        assert (201, None, Sent.YES) == outcome(await sender.send(post(server.port)))


async def test_another_protocol_is_not_switched_to(sender: AnySender) -> None:
    """101 is nothing that was asked for, and its connection is not used again."""
    said = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"
    async with ScriptedServer(saying(said), answering(answer())) as server:
        got = [await sender.send(post(server.port)) for _ in range(2)]
    protocol = (None, Failure.PROTOCOL, Sent.YES)
    assert [protocol, (200, None, Sent.YES)] == [outcome(answered) for answered in got]


async def test_an_answer_before_the_request_is_read_counts(sender: AnySender) -> None:
    """A receiver that refuses a large body without reading it is understood."""

    async def refusing(peer: Peer) -> None:
        await peer.first_bytes()
        await peer.send(answer("413 Too Large", Connection="close"))
        await peer.left()

    async with ScriptedServer(refusing) as server:
        got = await sender.send(post(server.port, body=bytes(8 * KIB * KIB)))
        await server.all_ended(1)
    assert (413, None, Sent.YES) == outcome(got)


# --- Silence ------------------------------------------------------------------------------------


async def test_silence_before_the_answer_is_a_timeout(sender: AnySender) -> None:
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
async def test_silence_behind_the_status_line_changes_nothing(
    sender: AnySender, said: bytes
) -> None:
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


async def test_a_drip_of_body_changes_nothing(sender: AnySender) -> None:
    """A body that is always about to end is cut off."""
    script = dripping(head("Content-Length: 9999"), bytes(9999), every=DRIP)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)


async def test_a_drip_of_headers_is_a_timeout(sender: AnySender) -> None:
    """Bytes are no progress: the deadline covers all up to the end of the headers."""
    script = dripping(b"", head("X-Slow: " + "z" * 9999), every=DRIP)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port, timeout=SHORT))
        await server.all_ended(1)
    assert (None, Failure.TIMEOUT, Sent.MAYBE) == outcome(got)


@pytest.mark.parametrize(("count", "got"), [(8, 201), (9, Failure.PROTOCOL)])
async def test_interim_answers_are_counted(
    sender: AnySender, count: int, got: int | Failure
) -> None:
    """Eight may come before the answer; a ninth ends the connection, whatever is behind it."""
    said = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count + answer("201 Created")
    async with ScriptedServer(saying(said)) as server:
        answered = await sender.send(post(server.port))
    assert got in (answered.status, answered.failure)


async def test_interim_answers_have_no_more_room_than_a_head(sender: AnySender) -> None:
    """64 KiB of them are enough."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"z" * 16 * KIB + b"\r\n\r\n"
    async with ScriptedServer(saying(hints * 5 + answer())) as server:
        got = await sender.send(post(server.port))
    assert (None, Failure.PROTOCOL, Sent.YES) == outcome(got)


async def test_a_black_hole_is_a_connect_timeout(sender: AnySender) -> None:
    """A connect that hangs is told from a receiver that hangs: nothing was sent."""
    with black_hole() as port:
        got = await sender.send(post(port, connect_timeout=SHORT))
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_deadline_covers_the_connect(sender: AnySender) -> None:
    """A connect timeout longer than the whole does not prolong it."""
    with black_hole() as port:
        got = await sender.send(post(port, timeout=SHORT))
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_connect_timeout_ends_with_the_connect(sender: AnySender) -> None:
    """A receiver that connects quickly may answer slowly."""
    async with ScriptedServer(dripping(b"", answer(), every=DRIP / 2)) as server:
        got = await sender.send(post(server.port, connect_timeout=SHORT))
    assert (200, None, Sent.YES) == outcome(got)


# --- Too much -----------------------------------------------------------------------------------


async def test_a_large_body_is_cut_off(sender: AnySender) -> None:
    """Of 10 MB the beginning is kept, and nobody waits for the rest."""
    async with ScriptedServer(saying(answer(body=bytes(10_000_000)))) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)
    assert bytes(BODY_LIMIT) == got.body


async def test_an_endless_body_is_cut_off(sender: AnySender) -> None:
    """Nor does anyone wait for the end of what has none."""
    chunk = b"1000\r\n" + bytes(0x1000) + b"\r\n"
    script = flooding(head("Transfer-Encoding: chunked"), chunk)
    async with ScriptedServer(script) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)
    assert bytes(BODY_LIMIT) == got.body


@pytest.mark.parametrize(
    "again", [b"X-Much: " + b"z" * 4 * KIB + b"\r\n", b"z" * KIB, b"a:\r\n" * KIB]
)
async def test_a_head_without_end_is_cut_off(sender: AnySender, again: bytes) -> None:
    """8 MB of headers are not kept, be it many or one; the status line has decided."""
    async with ScriptedServer(flooding(b"HTTP/1.1 200 OK\r\nX-Long: ", again)) as server:
        got = await sender.send(post(server.port))
        await server.all_ended(1)
    assert (200, None, Sent.YES) == outcome(got)


async def test_bodies_are_not_decompressed(sender: AnySender) -> None:
    """A bomb stays as small as it came."""
    bomb = gzip.compress(bytes(10_000_000))
    async with ScriptedServer(answering(answer(body=bomb, Content_Encoding="gzip"))) as server:
        got = await sender.send(post(server.port))
    assert bomb == got.body


@pytest.mark.parametrize(
    "more", [b"and more", answer("500 Smuggled", b"no")], ids=["noise", "answer"]
)
async def test_bytes_behind_an_answer_answer_nothing(sender: AnySender, more: bytes) -> None:
    """What follows an answer never becomes the next request's."""

    async def overdoing(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(body=b"1") + more)
        await peer.left()

    async with ScriptedServer(overdoing, answering(answer("201 Created", b"2"))) as server:
        first = await sender.send(post(server.port))
        second = await sender.send(post(server.port))
    assert (200, None, Sent.YES) == outcome(first)
    assert (201, b"2") == (second.status, second.body)


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\0\xff" * 99 + b"\r\n\r\n"]
)
async def test_what_is_no_http_is_a_breach_of_protocol(sender: AnySender, said: bytes) -> None:
    """Something came back, so the receiver has the request; what it thinks of it nobody knows."""
    async with ScriptedServer(saying(said)) as server:
        got = await sender.send(post(server.port))
    assert (None, Failure.PROTOCOL, Sent.YES) == outcome(got)
