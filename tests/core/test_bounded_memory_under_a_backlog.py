"""The promise: however much waits in the journal, only a window of it is in memory."""

from relay.delivery.lanes import Lanes
from tests.core.couriers import HANG, Answer
from tests.core.recorder import AttemptStarted, Recorder, Told
from tests.core.samples import BROKEN, CRM, OK, uuid
from tests.core.world import Endpoint, World

MANY = 5000
WINDOW = 100


class Gauge(Recorder):
    """Measures a window at each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: Lanes | None = None
        self.most = 0

    def __call__(self, event: Told) -> None:
        super().__call__(event)
        if isinstance(event, AttemptStarted) and self.lanes is not None:
            self.most = max(self.most, len(self.lanes))


async def test_a_backlog_is_delivered_through_a_small_window() -> None:
    """Five thousand messages, a third of them in one long conversation, a hundred at a time."""
    async with World(Endpoint(CRM, max_deliveries=WINDOW), tell=Gauge(), latency=0.0) as world:
        gauge = world.tell
        assert isinstance(gauge, Gauge)
        world.courier.usually(CRM, Answer(OK, takes=0.01))
        ids = []
        for number in range(MANY):
            ids.append(world.push(number, "long" if number % 3 == 0 else f"c{number}"))
            if number % 500 == 0:
                await world.run.writer.idle()
        gauge.lanes = world.run.dispatchers[CRM].lanes
        await world.read(*ids)
        assert MANY == len(world.courier.posts)
        assert 0 < gauge.most <= 2 * WINDOW


async def test_a_restart_on_a_backlog_loads_a_window_of_it() -> None:
    """What is in the journal is not read at once."""
    async with World(Endpoint(CRM, max_deliveries=WINDOW), latency=0.0) as world:
        world.courier.usually(CRM, BROKEN)
        ids = [world.push(n, f"c{n}") for n in range(2000)]
        await world.run.writer.idle()
        await world.restart()
        await world.pass_time(60.0)
        assert 0 < len(world.run.dispatchers[CRM].lanes) <= WINDOW
        world.courier.heal()
        await world.read(*ids)


async def test_the_window_is_bounded_in_bytes() -> None:
    """A few large messages fill it as well."""
    async with World(Endpoint(CRM, max_bytes=10_000), latency=0.0) as world:
        world.courier.usually(CRM, Answer(OK, takes=HANG))
        for number in range(100):
            world.push(number, f"c{number}", size=3000)
        await world.pass_time(60.0)
        assert 3 <= len(world.run.dispatchers[CRM].lanes) <= 6
        world.courier.heal()
        await world.restart()
        await world.read(*(uuid(n) for n in range(100)))
