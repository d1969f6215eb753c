"""Mixin over TLS, with a real server: who it is has been proved before a token leaves the house."""

import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.authority import Authority, founded
from tests.acceptance.house import BOT, House
from tests.acceptance.nursery import Nursery
from tests.support.simulator import Simulator


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Found the authority that the relay's system trusts."""
    return founded(tmp_path, "authority")


@asynccontextmanager
async def built(
    nursery: Nursery, directory: Path, authority: Authority, server: ssl.SSLContext
) -> AsyncIterator[House]:
    """Build a house whose Mixin answers with that certificate, and judge it in the end."""
    async with Simulator(tls=server) as simulator, aiohttp.ClientSession() as http:
        house = House(simulator, nursery, directory, http)
        house.environ["SSL_CERT_FILE"] = authority.file
        try:
            yield house
        finally:
            await house.close()
            for process in house.processes:
                sys.stdout.write(process.story())
    assert [] == house.judge()


async def test_an_authority_of_the_house_can_stand_before_mixin(
    nursery: Nursery, tmp_path: Path, authority: Authority
) -> None:
    """`SSL_CERT_FILE` names whom the socket and the API trust, as behind a proxy that inspects."""
    async with built(nursery, tmp_path, authority, authority.server()) as house:
        await house.receiver()
        await house.relay()
        await house.read(house.push(3))
        assert house.simulator.blaze_url.startswith("wss://")


IMPOSTORS: dict[str, Callable[[Authority, Authority], ssl.SSLContext]] = {
    "unknown authority": lambda _, stranger: stranger.server(),
    "another's name": lambda ours, _: ours.server("blaze.mixin.one"),
    "expired": lambda ours, _: ours.server(days=(-30, -1)),
    "TLS 1.1": lambda ours, _: ours.old_server(),
}


@pytest.mark.parametrize("what", IMPOSTORS)
async def test_an_impostor_hears_no_token(
    nursery: Nursery, tmp_path: Path, authority: Authority, what: str
) -> None:
    """Neither the socket's upgrade nor a request reaches who can't prove to be Mixin."""
    server = IMPOSTORS[what](authority, founded(tmp_path, "stranger"))
    async with built(nursery, tmp_path, authority, server) as house:
        await house.receiver()
        relay = await house.start()
        await relay.said("blaze.connect_failed")
        assert 503 == (await relay.ready()).status
        assert 0 == await relay.stop()
        assert ([], []) == (house.simulator.journal.connects, [*house.simulator.journal.requests])


async def test_an_impostor_of_the_api_gets_no_receipt(
    nursery: Nursery, tmp_path: Path, authority: Authority
) -> None:
    """A receipt that is owed waits until the API has proved itself."""
    stranger = founded(tmp_path, "stranger").server()
    async with (
        Simulator(tls=stranger) as impostor,
        built(nursery, tmp_path, authority, authority.server()) as house,
    ):
        house.bots[BOT]["api_url"] = impostor.api_url
        receiver = await house.receiver()
        relay = await house.relay()
        ids = house.push()
        await relay.said("receipts.retried")
        assert ids == receiver.taken
        assert ids == house.simulator.pending()
        assert ([], []) == (impostor.journal.connects, [*impostor.journal.requests])


@pytest.mark.parametrize(
    ("key", "url", "expected"),
    [
        ("blaze_url", "ws://blaze.example.com/", "wss://"),
        ("api_url", "http://api.example.com", "https://"),
    ],
)
async def test_tokens_don_t_cross_the_internet_in_the_open(
    house: House, key: str, url: str, expected: str
) -> None:
    """A public host without TLS is a mistake in the settings: the relay does not start."""
    await house.receiver()
    house.bots[BOT][key] = url
    relay = await house.start()
    assert 2 == await relay.ended()
    (line,) = relay.err.lines
    assert f"{key}" in line
    assert line.endswith(f"expected {expected} for a public host")
