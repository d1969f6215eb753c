"""A real Prometheus sees a real relay through outages, with the shipped rules, only faster."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.house import BOT, House
from tests.acceptance.nursery import Nursery, opened_nursery
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Answer
from tests.deploy.prometheus_server import Alert, Pace, Prometheus, running, tool
from tests.support.simulator import Answer as Refusal
from tests.support.simulator import Sessions, Simulator

TEN_SECONDS_A_SECOND = Pace(factor=10, interval=1.0)
MINUTE_A_SECOND = Pace(factor=60, interval=0.5)
TWO_MINUTES_A_SECOND = Pace(factor=120, interval=0.25)
QUARTER_HOUR_A_SECOND = Pace(factor=900, interval=0.05)
QUICK_BREAKER = {"open_after": 3, "probe_max": "200ms"}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Have the relay imported once."""
    tool("prometheus")
    with opened_nursery() as nursery:
        yield nursery


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session for everybody."""
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
async def house(
    nursery: Nursery, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[House]:
    """Build a house, and judge what happened in it."""
    async with Simulator() as simulator:
        house = House(simulator, nursery, tmp_path, http)
        try:
            yield house
        finally:
            await house.close()
    assert [] == house.judge()


@asynccontextmanager
async def watched(
    house: House, http: aiohttp.ClientSession, *relays: RelayProcess, pace: Pace
) -> AsyncIterator[Prometheus]:
    """Have Prometheus watch relays that are well, and see that it finds nothing wrong."""
    targets = [relay.base.removeprefix("http://") for relay in relays]
    async with running(house.directory / "prometheus", http, targets, pace) as prometheus:
        await prometheus.has("relay_ready == 1 and on () relay_blaze_connected == 1")
        await prometheus.fires()
        prometheus.forget()
        yield prometheus


def of_crm(name: str) -> Alert:
    """Name an alert about the endpoint crm."""
    return Alert.of(name, bot=BOT, endpoint="crm")


def of_bot(name: str) -> Alert:
    """Name an alert about the bot."""
    return Alert.of(name, bot=BOT)


# --- Quick ones -----------------------------------------------------------------------------------


async def test_a_receiver_that_is_away(house: House, http: aiohttp.ClientSession) -> None:
    """Its alert fires and no other, ends when it is back, and a restart stays unnoticed."""
    crm = await house.receiver("crm", breaker=QUICK_BREAKER)
    await house.receiver("archive", breaker=QUICK_BREAKER)
    relay = await house.relay()
    async with watched(house, http, relay, pace=MINUTE_A_SECOND) as prometheus:
        await house.read(house.push(3))
        await crm.stop()
        late = house.push(5)
        await prometheus.fires(of_crm("RelayEndpointDown"))
        await crm.start()
        await house.read(late)
        await prometheus.fires()
        assert 0 == await relay.stop()
        await house.relay()
        await prometheus.has("changes(process_start_time_seconds[1m]) == 1")
        await house.read(house.push(3))
        assert {"RelayEndpointDown"} == await prometheus.fired()


# --- Long ones ------------------------------------------------------------------------------------
# The relay counts its stock every 10 seconds, and its waits upstream are those of life: at these
# paces both are minutes.


@pytest.mark.prove
async def test_a_receiver_that_holds_messages_up(house: House, http: aiohttp.ClientSession) -> None:
    """First the endpoint's alert fires, then the page for what is late; both end with it."""
    crm = await house.receiver("crm", breaker=QUICK_BREAKER)
    relay = await house.relay()
    async with watched(house, http, relay, pace=MINUTE_A_SECOND) as prometheus:
        await house.read(house.push(3))
        await crm.stop()
        late = house.push(5)
        await prometheus.fires(of_crm("RelayEndpointDown"))
        await prometheus.fires(of_crm("RelayEndpointDown"), of_bot("RelayMessagesBlocked"))
        await crm.start()
        await house.read(late)
        await prometheus.fires()
        assert {"RelayEndpointDown", "RelayMessagesBlocked"} == await prometheus.fired()


@pytest.mark.prove
async def test_mixin_that_is_away(house: House, http: aiohttp.ClientSession) -> None:
    """The socket's alert fires, and not what follows from it; it ends with the next connect."""
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=TWO_MINUTES_A_SECOND) as prometheus:
        await house.simulator.stop()
        await prometheus.fires(of_bot("RelayUpstreamDown"))
        await house.simulator.start()
        await relay.said("blaze.connected", times=2)
        await prometheus.fires()
        assert {"RelayUpstreamDown"} == await prometheus.fired()


@pytest.mark.prove
async def test_a_keystore_that_is_refused(house: House, http: aiohttp.ClientSession) -> None:
    """It is called by its name, and not an outage of Blaze; a restored one ends it."""
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=MINUTE_A_SECOND) as prometheus:
        await house.simulator.revoke()
        await prometheus.fires(of_bot("RelayUnauthorized"))
        house.simulator.restore()
        assert 0 == await relay.stop()
        await house.relay()
        await prometheus.fires()
        assert {"RelayUnauthorized"} == await prometheus.fired()


@pytest.mark.prove
async def test_a_receiver_that_rejects(house: House, http: aiohttp.ClientSession) -> None:
    """A broken path pages, and leaves dead letters; once they are sent again, nothing is left."""
    crm = await house.receiver("crm", retry={"rejected_attempts": 10, "max": "2s"})
    relay = await house.relay()
    async with watched(house, http, relay, pace=MINUTE_A_SECOND) as prometheus:
        crm.default = Answer(404)
        rejected = house.push(6)
        rejecting, dead = of_crm("RelayEndpointRejecting"), of_crm("RelayDeadLetters")
        await prometheus.fires(rejecting, dead)
        crm.default = OK
        await house.command("dead-letters", "retry", "--all")
        await house.read(rejected)
        await prometheus.fires()
        assert {rejecting.name, dead.name} == await prometheus.fired()


@pytest.mark.prove
async def test_an_endpoint_that_is_paused(house: House, http: aiohttp.ClientSession) -> None:
    """What an operator does is no outage: only the pause itself is told of, and after hours."""
    await house.receiver("crm")
    relay = await house.relay()
    async with watched(house, http, relay, pace=QUARTER_HOUR_A_SECOND) as prometheus:
        await house.command("endpoints", "pause", "crm")
        await prometheus.has("relay_circuit_state == 3")
        waiting = house.push(3)
        await prometheus.fires(of_crm("RelayEndpointPaused"))
        await house.command("endpoints", "resume", "crm")
        await house.read(waiting)
        await prometheus.fires()
        assert {"RelayEndpointPaused"} == await prometheus.fired()


@pytest.mark.prove
async def test_receipts_that_mixin_does_not_take(house: House, http: aiohttp.ClientSession) -> None:
    """Messages get through, so that it is a warning, and the only one; it ends by itself."""
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=TWO_MINUTES_A_SECOND) as prometheus:
        house.simulator.faults.acks.always(Refusal(502))
        unread = house.push(3)
        await prometheus.fires(of_bot("RelayReceiptsStuck"))
        house.simulator.faults.acks.off()
        await house.read(unread)
        await prometheus.fires()
        assert {"RelayReceiptsStuck"} == await prometheus.fired()


@pytest.mark.prove
async def test_two_relays_with_one_keystore(house: House, http: aiohttp.ClientSession) -> None:
    """Where Mixin closes the older socket for the newer one, the closes tell of it."""
    house.one_journal = False
    house.simulator.faults.sessions = Sessions.NEWEST_WINS
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=TEN_SECONDS_A_SECOND) as prometheus:
        await house.another_relay()
        await prometheus.fires(of_bot("RelayUpstreamFlapping"))
        assert {"RelayUpstreamFlapping"} == await prometheus.fired()


@pytest.mark.prove
async def test_two_relays_that_both_get_everything(
    house: House, http: aiohttp.ClientSession
) -> None:
    """Where Mixin serves both, only their number tells, and it ends with one of them."""
    house.one_journal = False
    await house.receiver()
    relay = await house.relay()
    other = await house.another_relay()
    async with running(
        house.directory / "prometheus",
        http,
        [each.base.removeprefix("http://") for each in (relay, other)],
        TWO_MINUTES_A_SECOND,
    ) as prometheus:
        await prometheus.fires(of_bot("RelayBotTwice"))
        assert 0 == await other.stop()
        await prometheus.fires()


@pytest.mark.prove
async def test_a_relay_that_is_gone(house: House, http: aiohttp.ClientSession) -> None:
    """It is missed, once, and no more when it is back."""
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=TWO_MINUTES_A_SECOND) as prometheus:
        await relay.kill()
        await prometheus.fires(Alert.of("RelayAbsent"))
        await house.relay()
        await prometheus.fires()
        assert {"RelayAbsent"} == await prometheus.fired()


@pytest.mark.prove
async def test_a_journal_that_takes_no_writes(house: House, http: aiohttp.ClientSession) -> None:
    """The relay is not ready although its socket is up; room on the disk ends it."""
    await house.receiver()
    relay = await house.relay()
    async with watched(house, http, relay, pace=TWO_MINUTES_A_SECOND) as prometheus:
        relay.fill_disk()
        unread = house.push(3)
        await prometheus.fires(Alert.of("RelayNotReady"))
        relay.free_disk()
        await house.read(unread)
        await prometheus.fires()
        assert {"RelayNotReady"} == await prometheus.fired()
