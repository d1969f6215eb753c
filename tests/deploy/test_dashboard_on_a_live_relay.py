"""Every query of the dashboard has an answer from a relay that runs."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.house import House
from tests.acceptance.nursery import Nursery, opened_nursery
from tests.deploy.prometheus_dashboard import Window, fill_in, panels_of, read_dashboard
from tests.deploy.prometheus_server import Pace, running, tool
from tests.support.simulator import Simulator

PACE = Pace(factor=60, interval=0.25)
WINDOW = Window(seconds=60, rate=2)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Have the relay imported once."""
    tool("prometheus")
    with opened_nursery() as nursery:
        yield nursery


async def test_every_query_has_data(nursery: Nursery, tmp_path: Path) -> None:
    """No panel is empty and no query is refused, with all bots and endpoints chosen."""
    board = read_dashboard()
    async with Simulator() as simulator, aiohttp.ClientSession() as http:
        house = House(simulator, nursery, tmp_path, http)
        try:
            await house.receiver()
            relay = await house.relay()
            target = relay.base.removeprefix("http://")
            async with running(tmp_path / "prometheus", http, [target], PACE) as prometheus:
                await prometheus.has("rate(relay_messages_received_total[2s])")
                await house.read(house.push(10))
                for panel in panels_of(board):
                    for query in panel["targets"]:
                        expression = fill_in(query["expr"], WINDOW, bot=".*", endpoint=".*")
                        assert await prometheus.query(expression), (panel["title"], expression)
        finally:
            await house.close()
    assert [] == house.judge()
