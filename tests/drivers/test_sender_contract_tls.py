"""What the sender promises of TLS."""

import asyncio
import datetime as dt
import socket
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from relay.webhook.exchange import Failure, Sent, TlsSettings
from tests.drivers.scripted_server import (
    Peer,
    Script,
    ScriptedServer,
    answer,
    answering,
    mute,
)
from tests.drivers.sender_adapters import PATIENT, SHORT, AnySender, MakeSender, Post, outcome, post

OK = (200, None, Sent.YES)
REFUSED = (None, Failure.TLS, Sent.NO)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the test's own, with its file for `ca_file`."""

    ca: trustme.CA
    file: str

    def server(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        return context

    def request(self, port: int, *, host: str = "127.0.0.1", **deadlines: float) -> Post:
        return post(port, scheme="https", host=host, tls=TlsSettings(self.file), **deadlines)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Found an authority."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, str(file))


def ok() -> Script:
    return answering(answer())


async def test_the_configured_authority_is_trusted(sender: AnySender, authority: Authority) -> None:
    """A private authority's receiver is delivered to."""
    async with ScriptedServer(ok(), tls=authority.server()) as server:
        assert OK == outcome(await sender.send(authority.request(server.port)))


async def test_connections_over_tls_are_used_again(sender: AnySender, authority: Authority) -> None:
    """One handshake serves many requests."""
    async with ScriptedServer(ok(), tls=authority.server()) as server:
        for _ in range(3):
            assert OK == outcome(await sender.send(authority.request(server.port)))
        assert 1 == server.connections


async def test_large_bodies_go_out_whole_over_tls(sender: AnySender, authority: Authority) -> None:
    """Many records make one body, and many make one answer."""
    body = bytes(range(256)) * 4096

    async def echoing(peer: Peer) -> None:
        while received := await peer.request():
            await peer.send(answer(body=received.body[: 48 * 1024]))

    async with ScriptedServer(echoing, tls=authority.server()) as server:
        request = post(server.port, scheme="https", tls=TlsSettings(authority.file), body=body)
        got = [await sender.send(request) for _ in range(2)]
        assert [body, body] == [received.body for received in server.requests]
        assert 1 == server.connections
    assert [body[: 48 * 1024]] * 2 == [each.body for each in got]


async def test_a_name_is_verified(make_sender: MakeSender, authority: Authority) -> None:
    """The certificate is to be that of the URL's host, whatever the address."""
    sender = make_sender(names={"receiver.test": ("127.0.0.1",)})
    async with ScriptedServer(ok(), tls=authority.server("receiver.test")) as server:
        right = await sender.send(authority.request(server.port, host="receiver.test"))
        wrong = await sender.send(authority.request(server.port))
        assert 1 == len(server.requests)
    assert [OK, REFUSED] == [outcome(right), outcome(wrong)]


async def test_an_unknown_authority_is_refused(sender: AnySender, authority: Authority) -> None:
    """Nobody trusts the first best certificate, and nothing is sent to its owner."""
    async with ScriptedServer(ok(), tls=authority.server()) as server:
        got = await sender.send(post(server.port, scheme="https"))
        assert [] == server.requests
    assert REFUSED == outcome(got)
    assert "certificate verify failed" in got.detail


async def test_a_configured_authority_is_the_only_one(
    sender: AnySender, authority: Authority
) -> None:
    """With a `ca_file`, nobody else's word counts."""
    async with ScriptedServer(ok(), tls=Authority(trustme.CA(), "").server()) as server:
        assert REFUSED == outcome(await sender.send(authority.request(server.port)))


async def test_old_tls_is_refused(sender: AnySender, authority: Authority) -> None:
    """TLS 1.1 is not spoken."""
    old = authority.server()
    with warnings.catch_warnings(action="ignore"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with ScriptedServer(ok(), tls=old) as server:
        assert REFUSED == outcome(await sender.send(authority.request(server.port)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown(
    sender: AnySender, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """Who asks for the relay's certificate gets it, and refuses those who have none."""
    demanding = authority.server()
    demanding.minimum_version = demanding.maximum_version = version
    demanding.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(demanding)
    certificate = authority.ca.issue_cert("relay.test")
    files = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    async with ScriptedServer(ok(), tls=demanding) as server:
        shown = TlsSettings(authority.file, *files)
        got = await sender.send(post(server.port, scheme="https", tls=shown))
        refused = await sender.send(authority.request(server.port))
        assert 1 == len(server.requests)
    assert OK == outcome(got)
    # TLS 1.3 refuses us only after we have begun to send; when a reset follows, its reason is lost.
    late = {Failure.TLS, Failure.RESET} if version is ssl.TLSVersion.TLSv1_3 else {Failure.TLS}
    assert refused.failure in late


async def test_missing_files_are_told(sender: AnySender, tmp_path: Path) -> None:
    """A file that is not there is no reason to crash, and none to trust everybody."""
    tls = TlsSettings(ca_file=str(tmp_path / "absent.pem"))
    async with ScriptedServer(mute) as server:
        got = await sender.send(post(server.port, scheme="https", tls=tls))
        assert 0 == server.connections
    assert REFUSED == outcome(got)


async def test_files_that_come_later_are_found(
    sender: AnySender, authority: Authority, tmp_path: Path
) -> None:
    """A mistake in a file is over as soon as it is corrected."""
    file = tmp_path / "ca.pem"
    tls = TlsSettings(ca_file=str(file))
    async with ScriptedServer(ok(), tls=authority.server()) as server:
        assert REFUSED == outcome(await sender.send(post(server.port, scheme="https", tls=tls)))
        authority.ca.cert_pem.write_to_path(str(file))
        assert OK == outcome(await sender.send(post(server.port, scheme="https", tls=tls)))


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
async def test_a_certificate_counts_in_its_time(
    sender: AnySender, authority: Authority, days: tuple[int, int]
) -> None:
    """One that has expired, or is not valid yet, is no certificate."""
    now = dt.datetime.now(dt.UTC)
    since, until = (now + dt.timedelta(days=day) for day in days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.ca.issue_cert("127.0.0.1", not_before=since, not_after=until)
    certificate.configure_cert(context)
    async with ScriptedServer(ok(), tls=context) as server:
        assert REFUSED == outcome(await sender.send(authority.request(server.port)))


async def test_a_renewed_certificate_is_shown(
    sender: AnySender, authority: Authority, tmp_path: Path
) -> None:
    """Files that change are read again with the next request, without a restart."""
    demanding = authority.server()
    demanding.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(demanding)
    files = [tmp_path / name for name in ("cert.pem", "key.pem")]
    shown = TlsSettings(authority.file, *map(str, files))

    def renew(ca: trustme.CA) -> None:
        pair = ca.issue_cert("relay.test")
        pair.cert_chain_pems[0].write_to_path(files[0])
        pair.private_key_pem.write_to_path(files[1])

    async with ScriptedServer(ok(), tls=demanding) as server:
        renew(trustme.CA())
        refused = await sender.send(post(server.port, scheme="https", tls=shown))
        renew(authority.ca)
        taken = await sender.send(post(server.port, scheme="https", tls=shown))
        files[1].write_text("half")
        half = await sender.send(post(server.port, scheme="https", tls=shown))
        renew(authority.ca)
        again = await sender.send(post(server.port, scheme="https", tls=shown))
    assert refused.failure in {Failure.TLS, Failure.RESET}
    assert [OK, REFUSED, OK] == [outcome(taken), outcome(half), outcome(again)]


async def test_a_mute_tls_server_is_a_connect_timeout(
    sender: AnySender, authority: Authority
) -> None:
    """A handshake that never ends is no connection."""
    async with ScriptedServer(mute) as server:
        got = await sender.send(authority.request(server.port, connect_timeout=SHORT))
        await server.all_ended(1)
    assert (None, Failure.CONNECT_TIMEOUT, Sent.NO) == outcome(got)


async def test_the_end_of_tls_is_told_and_not_waited_for(
    sender: AnySender, authority: Authority
) -> None:
    """A receiver that never ends TLS from its side keeps no socket of ours."""
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.settimeout(PATIENT)
        tls = authority.server().wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False)
        tls.recv(65536)
        tls.sendall(answer(Connection="close"))
        seen.append(tls.recv(1))
        with socket.socket(fileno=tls.detach()) as plain:
            plain.settimeout(PATIENT)
            seen.append(plain.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve, listener))
        got = await sender.send(authority.request(listener.getsockname()[1]))
        await serving
    assert (OK, [b"", b""]) == (outcome(got), seen)


@pytest.mark.parametrize("turns", range(0, 24, 3))
async def test_who_gives_up_while_connecting_gives_the_place_back(
    make_sender: MakeSender, authority: Authority, turns: int
) -> None:
    """At whatever moment that is: no connection is left, and no hole."""
    sender = make_sender(connections=1)
    async with ScriptedServer(ok(), tls=authority.server()) as server, asyncio.timeout(PATIENT):
        request = authority.request(server.port)
        for _ in range(3):
            giving_up = asyncio.create_task(sender.send(request))
            for _ in range(turns):
                await asyncio.sleep(0)
            giving_up.cancel()
            await asyncio.wait([giving_up])
        assert OK == outcome(await sender.send(request))


async def test_a_handshake_cut_off_is_tls(sender: AnySender, authority: Authority) -> None:
    """It is told from a port that nobody listens on."""

    async def hanging_up(peer: Peer) -> None:
        await peer.hang_up()

    async with ScriptedServer(hanging_up) as server:
        assert REFUSED == outcome(await sender.send(authority.request(server.port)))


async def test_a_server_without_tls_is_told(sender: AnySender, authority: Authority) -> None:
    """An https:// URL on a plain port is a matter of TLS."""

    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.hang_up()

    async with ScriptedServer(plain) as server:
        assert REFUSED == outcome(await sender.send(authority.request(server.port)))
