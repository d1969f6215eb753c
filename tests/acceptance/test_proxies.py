"""Where nothing gets out but through a proxy: Mixin by the environment's, webhooks by their own."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.acceptance.authority import founded
from tests.acceptance.house import BOT, House
from tests.acceptance.nursery import Nursery
from tests.support.proxy import proxy
from tests.support.simulator import Simulator


async def test_everything_goes_through_proxies(nursery: Nursery, tmp_path: Path) -> None:
    """Socket, receipts and webhooks are tunnelled; the log tells of it, and no password."""
    authority = founded(tmp_path, "authority")
    async with (
        Simulator(tls=authority.server()) as simulator,
        aiohttp.ClientSession() as http,
        proxy() as way,
    ):
        house = House(simulator, nursery, tmp_path, http)
        house.environ |= {
            "SSL_CERT_FILE": authority.file,
            "HTTPS_PROXY": f"http://user:pa55word@127.0.0.1:{way.port}",
            "NO_PROXY": "elsewhere.test",
        }
        house.secrets.append("pa55word")
        by_name, tls = f"127.0.0.1:{way.port}", {"ca_file": authority.file}
        try:
            crm = await house.receiver(secured=authority.server(), tls=tls, proxy="environment")
            await house.receiver("plain", proxy=by_name)
            await house.receiver("direct", secured=authority.server(), tls=tls)
            relay = await house.relay()
            await house.read(house.push(3))
            said = await relay.said("blaze.proxied", times=2, bot=BOT)
            assert f"http://127.0.0.1:{way.port}" == said["proxy"]
            tunnelled = {line.split(" ")[1] for line in way.asked if line.startswith("CONNECT ")}
            assert {urlsplit(url).netloc for url in (simulator.api_url, crm.url)} == tunnelled
        finally:
            await house.close()
            for process in house.processes:
                sys.stdout.write(process.story())
        assert [] == house.judge()
        assert any(line.startswith("POST http://127.0.0.1:") for line in way.asked)
        assert any(line.startswith("Proxy-Authorization: Basic ") for line in way.headers)
