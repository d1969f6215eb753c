"""/readyz says whether the relay does its work, and why not; /livez looks at the process alone."""

import pytest

from tests.acceptance.house import House
from tests.acceptance.process import Probe, RelayProcess
from tests.support.simulator import Answer as MixinAnswer


async def turns_ready(house: House, relay: RelayProcess, status: int) -> Probe:
    """Wait until /readyz answers with that status."""
    found = await relay.ready()

    async def looks() -> bool:
        nonlocal found
        found = await relay.ready()
        return found.status == status

    await house.eventually(looks, f"/readyz to answer {status}")
    assert 200 == (await relay.alive()).status
    assert float(status == 200) == (await relay.metrics()).value("relay_ready")
    return found


async def test_ready_only_after_the_first_connect(house: House) -> None:
    """Not ready before the socket was ever up, ready from then on, alive all the time."""
    await house.receiver()
    house.simulator.faults.upgrades.always(MixinAnswer(503))
    relay = await house.start()
    await relay.said("blaze.connect_failed")
    ready = await turns_ready(house, relay, 503)
    assert {"bot support": "not connected yet"} == ready.reasons
    house.simulator.faults.upgrades.off()
    await relay.said("blaze.connected")
    assert Probe(200) == await relay.ready()


async def test_a_socket_may_be_away_for_a_while(house: House) -> None:
    """Within `ready_grace` a lost socket changes nothing."""
    await house.receiver()
    relay = await house.relay()
    await house.simulator.stop()
    await relay.said("blaze.disconnected")
    assert Probe(200) == await relay.ready()


async def test_a_socket_that_is_away_for_long(house: House) -> None:
    """Beyond `ready_grace` the relay is not ready, and is again once the socket is back."""
    await house.receiver()
    house.settings["ready_grace"] = "100ms"
    relay = await house.relay()
    await house.simulator.stop()
    await relay.said("blaze.disconnected")
    ready = await turns_ready(house, relay, 503)
    assert ready.reasons["bot support"].startswith("away for ")
    await house.simulator.start()
    await turns_ready(house, relay, 200)


async def test_refused_credentials_have_no_grace(house: House) -> None:
    """A 401 that GET /me confirms makes the relay unready at once, and keeps it alive."""
    await house.receiver()
    relay = await house.relay()
    await house.simulator.revoke()
    await relay.said("blaze.credentials_refused", confirmed=True)
    ready = await turns_ready(house, relay, 503)
    assert {"bot support": "Mixin refuses the credentials"} == ready.reasons


async def test_a_wrong_clock_is_named(house: House) -> None:
    """Where the clocks differ by more than tokens live, the log says so instead of blaming keys."""
    await house.receiver()
    house.simulator.clock.advance(7200)
    relay = await house.start()
    said = await relay.said("blaze.credentials_refused")
    assert "this machine's clock is 7200 s behind Mixin's" in said["advice"]
    await turns_ready(house, relay, 503)


async def test_the_container_health_check_agrees(house: House) -> None:
    """`relay healthcheck` exits with 0 if /readyz says ready, with 1 if not or out of reach."""
    await house.receiver()
    relay = await house.relay()
    assert 0 == await house.exit_code("healthcheck")
    await house.simulator.revoke()
    await relay.said("blaze.credentials_refused")
    assert 1 == await house.exit_code("healthcheck")
    await relay.kill()
    assert 1 == await house.exit_code("healthcheck")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_receiver_in_trouble_changes_nothing(house: House, path: str) -> None:
    """Whatever a webhook does, restarting the relay or taking it out of service would not help."""
    receiver = await house.receiver()
    await receiver.stop()
    relay = await house.relay()
    house.push()
    await relay.said("attempt.ended", reason="connect")
    assert 200 == (await relay.probe(path)).status
