"""The admin API and the port that it is on, as a stranger on the network finds them."""

import asyncio
import resource
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from relay.admin.operations import OPERATIONS
from relay.web.connection_limit import AT_ONCE, MOST
from tests.acceptance.house import House
from tests.acceptance.process import RelayProcess

PATHS = ["/api", "/api/", "/api/v1/openapi.json", "/api/v1/nothing"] + [
    f"/api/v1{operation.path}".format(message_id="x", bot="support", name="crm", number=1)
    for operation in OPERATIONS
]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


async def statuses(relay: RelayProcess, headers: dict[str, str]) -> set[int]:
    """Ask for every path of the API by every method."""
    connector = aiohttp.TCPConnector(limit=MOST // 2)
    async with aiohttp.ClientSession(relay.base, headers=headers, connector=connector) as http:
        asked = (_status(http, method, path) for path in PATHS for method in METHODS)
        return set(await asyncio.gather(*asked))


async def _status(http: aiohttp.ClientSession, method: str, path: str) -> int:
    async with http.request(method, path) as answer:
        return answer.status


async def test_off_by_default(house: House) -> None:
    """Without a token in the settings there is no API, whatever is asked and shown."""
    await house.receiver()
    relay = await house.relay()
    assert {404} == await statuses(relay, {})
    assert {404} == await statuses(relay, {"Authorization": "Bearer "})


@pytest.mark.parametrize("token", ["", " ", None])
async def test_no_token_is_a_mistake(house: House, token: str | None) -> None:
    """A token that is empty does not open the API for all: the relay does not start."""
    await house.receiver()
    house.settings["admin_token"] = token
    assert 2 == await (await house.start()).ended()


async def test_an_empty_token_file_is_a_mistake(house: House, tmp_path: Path) -> None:
    """A secret that was not mounted, or not filled, does not open the API."""
    await house.receiver()
    file = tmp_path / "admin-token"
    file.write_text("\n")
    house.settings["admin_token_file"] = str(file)
    assert 2 == await (await house.start()).ended()


async def test_the_token_and_nothing_else_opens_it(house: House, tmp_path: Path) -> None:
    """A file with a newline at its end is the token; a wrong one opens nothing, and is told of."""
    token = secrets.token_hex(16)
    house.secrets.append(token)
    file = tmp_path / "admin-token"
    file.write_text(f"{token}\n")
    house.settings["admin_token_file"] = str(file)
    await house.receiver()
    relay = await house.relay()
    for wrong in ("", "Bearer", f"Bearer {token[:-1]}", f"Basic {token}", f"Bearer {token}0"):
        assert {401, 429} >= await statuses(relay, {"Authorization": wrong})
    said = await relay.said("admin.refused")
    assert ("127.0.0.1", "warning") == (said["peer"], said["level"])
    right = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(relay.base, headers=right) as http:
        async with http.get("/api/v1/openapi.json") as answer:
            assert 200 == answer.status
        async with http.get("/api/v1/endpoints") as answer:
            assert (200, "no-store", "nosniff") == (
                answer.status,
                answer.headers["Cache-Control"],
                answer.headers["X-Content-Type-Options"],
            )


@asynccontextmanager
async def crowd(relay: RelayProcess, size: int) -> AsyncIterator[None]:
    """Open so many connections that begin a request and never end it."""
    host, port = relay.base.removeprefix("http://").split(":")
    async with AsyncExitStack() as leaving:
        for _ in range(size):
            _, writer = await asyncio.open_connection(host, int(port))
            leaving.push_async_callback(_leave, writer)
            writer.write(b"GET /livez HTTP/1.1\r\nX-Slowly: ")
        yield


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_strangers_can_t_take_the_relay_s_sockets(house: House) -> None:
    """However many connections are opened to say nothing, probes are answered, webhooks posted."""
    await house.receiver()
    relay = await house.relay()
    files = len(relay.open_files()) + MOST + 8 * AT_ONCE
    _, most = resource.prlimit(relay.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (files, most))
    async with crowd(relay, files + 50):
        await house.read(house.push(20))
        assert 200 == (await relay.ready()).status
        assert len(relay.open_files()) < files
    assert 0 == await relay.stop()
