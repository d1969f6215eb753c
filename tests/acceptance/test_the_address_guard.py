"""Webhooks don't point inwards: what must not be dialled is not, whatever the URL says."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.acceptance.house import BOT, House
from tests.acceptance.receiver import Receiver

INSIDE = "127.0.0.2"


@pytest.fixture
def inside() -> Iterator[socket.socket]:
    """Listen at an address of the house that receivers have no business with."""
    with closing(socket.create_server((INSIDE, 0))) as listening:
        listening.settimeout(0)
        yield listening


def was_dialled(listening: socket.socket) -> bool:
    """Tell whether anybody has connected."""
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def pointed(house: House, url: str) -> dict[str, Any]:
    """Let the endpoint's URL be another."""
    endpoint: dict[str, Any] = house.bots[BOT]["endpoints"][-1]
    endpoint["url"] = url
    return endpoint


async def blocked(house: House, receiver: Receiver) -> str:
    """Push a message, see its attempts blocked, and give what the log says of it."""
    relay = await house.relay()
    ids = house.push()
    said = await relay.said("attempt.ended", times=2, message_id=ids[0])
    assert ("blocked_address", "transient") == (said["reason"], said["outcome"])
    assert ([], ids) == (receiver.posts, house.simulator.pending())
    name = "relay_attempt_failures_total"
    counted = (await relay.metrics()).value(
        name, bot=BOT, endpoint=receiver.name, reason="blocked_address"
    )
    assert counted >= 2
    assert 0 == await relay.stop()
    return str(said["detail"])


SPELLINGS = [INSIDE, "[::ffff:127.0.0.2]", "[::ffff:7f00:2]"]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_a_blocked_network_is_not_dialled(
    house: House, inside: socket.socket, host: str
) -> None:
    """However an address is written, no connection is made to a network that is blocked."""
    receiver = await house.receiver()
    house.settings["blocked_networks"] = [f"{INSIDE}/32"]
    pointed(house, f"http://{host}:{inside.getsockname()[1]}/hook")
    assert f"in blocked network {INSIDE}/32" in await blocked(house, receiver)
    assert not was_dialled(inside)


@pytest.mark.parametrize("host", SPELLINGS)
async def test_what_is_not_blocked_is_dialled(
    house: House, inside: socket.socket, host: str
) -> None:
    """The proof of the proof: without the block, the same URL leads there."""
    await house.receiver()
    pointed(house, f"http://{host}:{inside.getsockname()[1]}/hook")
    await house.relay()
    house.push()

    async def dialled() -> bool:
        return was_dialled(inside)

    await house.eventually(dialled, "a connection")


async def test_a_name_is_judged_by_what_it_resolves_to(house: House) -> None:
    """A name that leads to a blocked network is not followed, though a receiver listens there."""
    receiver = await house.receiver()
    house.settings["blocked_networks"] = ["127.0.0.0/8", "::1/128"]
    port = receiver.url.split(":")[2].partition("/")[0]
    pointed(house, f"http://localhost:{port}/hook")
    assert "in blocked network" in await blocked(house, receiver)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
    ],
)
async def test_the_clouds_credentials_are_out_of_reach(house: House, host: str) -> None:
    """Metadata services and the unspecified address are blocked without any setting."""
    receiver = await house.receiver()
    port = receiver.url.split(":")[2].partition("/")[0]
    pointed(house, f"http://{host}:{port}/latest/meta-data/")["allow_plaintext"] = True
    why = await blocked(house, receiver)
    assert ("metadata service" in why) or ("unspecified" in why)
