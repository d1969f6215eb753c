"""`make bench` works from end to end; how fast anything is, no test asks."""

import pytest

from tests.bench.run import FLOOR, PEERS, RELAY, carry, memory
from tests.bench.suite import Table, highest, ladder
from tests.bench.world import Load

FEW = 20


@pytest.mark.parametrize("peer", PEERS)
async def test_each_peer_carries_every_sort_of_load(peer: str) -> None:
    """A backlog to two receivers over TLS, and live messages to a slow one, are all READ."""
    backlog = await carry(peer, Load(FEW, endpoints=2), tls=True)
    live = await carry(peer, Load(FEW, rate=200.0, delay=0.01), concurrency=4)
    assert ([], []) == (backlog.wrong, live.wrong)
    for run in (backlog, live):
        assert run.seconds > 0
        assert run.peak > 0
        assert 0 < run.p50 <= run.p99


async def test_memory_is_looked_at_idle_and_with_messages_that_wait() -> None:
    """The floor can be idle only; the relay keeps what its receiver doesn't take."""
    assert await memory(FLOOR, 0, rest=0) > 0
    assert await memory(RELAY, FEW, rest=0) > 0


@pytest.mark.parametrize("most", [0, 9, 10, 55, 1_000])
async def test_capacity_is_the_highest_rate_that_holds(most: int) -> None:
    """Whatever it is, and also if the first try of a rate fails."""
    tried = set[int]()

    async def holds(rate: int) -> bool:
        again = rate in tried
        tried.add(rate)
        return again and rate <= most

    rates = ladder(10, 100, 1.5)
    assert rates == sorted(rates)
    assert max([0, *(rate for rate in rates if rate <= most)]) == await highest(rates, holds)


def test_the_table_has_medians_and_the_ratio_within_a_round() -> None:
    """A round in which the whole machine was slow changes no ratio."""
    table = Table()
    table.add("a backlog", "CPU a message", "µs", [[100, 50], [200, 100], [120, 72]])
    table.add("pending", "memory", "MiB", [[0, 70]])
    assert [
        "| a backlog | CPU a message | 120 µs | 72 µs | 0.50 |",
        "| pending | memory | - | 70 MiB | - |",
    ] == table.lines[2:]
