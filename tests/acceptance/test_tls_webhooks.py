"""Webhooks over TLS, with real servers: whom the relay trusts, and who it is to them."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.authority import Authority, founded
from tests.acceptance.house import House

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Found the authority that the endpoint's settings name."""
    return founded(tmp_path, "authority")


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
async def test_a_private_authority_and_a_client_certificate(
    house: House, authority: Authority, version: ssl.TLSVersion
) -> None:
    """A receiver behind an authority of the house, which lets in whom it knows, is delivered to."""
    await house.receiver(secured=authority.demanding_server(version), tls=authority.client())
    await house.relay()
    await house.read(house.push(3))


WRONG: dict[str, Callable[[Authority, Authority], ssl.SSLContext]] = {
    "unknown authority": lambda _, stranger: stranger.server(),
    "another's name": lambda ours, _: ours.server("receiver.example.com"),
    "expired": lambda ours, _: ours.server(days=(-30, -1)),
    "not valid yet": lambda ours, _: ours.server(days=(1, 30)),
    "TLS 1.1": lambda ours, _: ours.old_server(),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_server_gets_nothing(
    house: House, authority: Authority, tmp_path: Path, what: str
) -> None:
    """Not a byte goes to a server that can't prove itself; once it can, everything does."""
    wrong = WRONG[what](authority, founded(tmp_path, "stranger"))
    receiver = await house.receiver(secured=wrong, tls={"ca_file": authority.file})
    relay = await house.relay()
    ids = house.push(2)
    ended = [await relay.said("attempt.ended", times=2, message_id=each) for each in ids]
    assert [("tls", "transient")] * 2 == [(one["reason"], one["outcome"]) for one in ended]
    assert [] == receiver.posts
    await receiver.stop()
    receiver.secured = authority.server()
    await receiver.start()
    await house.read(ids)
    assert {"failed"} == {post.prior for post in receiver.posts}


async def test_the_systems_authorities_are_not_asked_beside_a_ca_file(
    house: House, authority: Authority, tmp_path: Path
) -> None:
    """With a `ca_file` nobody else's word counts, not even the system's."""
    system = founded(tmp_path, "system")
    house.environ["SSL_CERT_FILE"] = system.file
    trusting = await house.receiver(secured=system.server())
    choosy = await house.receiver(
        "choosy", required=False, secured=system.server(), tls={"ca_file": authority.file}
    )
    relay = await house.relay()
    await house.read(house.push())
    await relay.said("attempt.ended", endpoint="choosy", reason="tls")
    assert (1, 0) == (len(trusting.posts), len(choosy.posts))


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("shown", ["a stranger's", "none"])
async def test_a_refused_client_certificate_costs_time_only(
    house: House, authority: Authority, tmp_path: Path, version: ssl.TLSVersion, shown: str
) -> None:
    """The attempt fails as `tls`, and is made again; nothing is lost, nothing is READ."""
    certificate = {} if shown == "none" else founded(tmp_path, "stranger").client()
    tls = {**certificate, "ca_file": authority.file}
    receiver = await house.receiver(secured=authority.demanding_server(version), tls=tls)
    relay = await house.relay()
    ids = house.push(2)
    await relay.said("attempt.ended", times=4, outcome="transient")
    # With TLS 1.3 a server refuses after the handshake; when a reset follows, the reason is lost.
    late = {"tls", "reset"} if version is TLS_1_3 else {"tls"}
    assert {one["reason"] for one in relay.events("attempt.ended")} <= late
    assert ([], sorted(ids)) == (receiver.posts, sorted(house.simulator.pending()))
    await receiver.stop()
    receiver.secured = authority.server()
    await receiver.start()
    await house.read(ids)


async def test_a_renewed_client_certificate_needs_no_restart(
    house: House, authority: Authority, tmp_path: Path
) -> None:
    """Files that are replaced, as by an operator or a certificate manager, are read again."""
    stranger = founded(tmp_path, "stranger")
    tls = {**stranger.client(), "ca_file": authority.file}
    await house.receiver(secured=authority.demanding_server(TLS_1_2), tls=tls)
    relay = await house.relay()
    ids = house.push(2)
    await relay.said("attempt.ended", reason="tls")
    authority.renew(tls)
    await house.read(ids)
    assert 0 == await relay.stop()
