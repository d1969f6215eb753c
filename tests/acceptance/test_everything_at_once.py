"""Whatever goes wrong together, and in whatever order: once it is over, everything is READ."""

import random
import signal

import pytest

from tests.acceptance.house import House, conversation
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, REDIRECT, Answer, Behaviour, Receiver, Reset
from tests.support.simulator import Answer as MixinAnswer
from tests.support.simulator import (
    AppError,
    Drop,
    Echo,
    HttpFault,
    Moment,
    Order,
    Place,
    Repeat,
    UpgradeFault,
)
from tests.support.simulator import Reset as MixinReset

BEHAVIOURS: tuple[Behaviour, ...] = (
    *[OK] * 6,
    Answer(500),
    Answer(503),
    Answer(409),
    Answer(410),
    Answer(404),
    REDIRECT,
    Reset(),
)
ACK_FAULTS: tuple[HttpFault, ...] = (MixinReset(applied=True), AppError(500), MixinAnswer(502))
UPGRADE_FAULTS: tuple[UpgradeFault, ...] = (MixinReset(), MixinAnswer(502))
ROUNDS = 4


class Storm:
    """One relay after another, in bad weather on every side."""

    def __init__(self, house: House, seed: int, crm: Receiver, archive: Receiver) -> None:
        self.ids: list[str] = []
        self._house = house
        self._chance = random.Random(seed)
        self._crm = crm
        self._archive = archive
        self._relay: RelayProcess | None = None

    async def rage(self) -> None:
        """Let a few things happen, and something to the relay at the end."""
        if self._relay is None:
            self._relay = await self._house.start()
        for _ in range(10):
            self._people_write()
            self._mixin_fails()
            self._receivers_fail()
            more = len(self._crm.posts) + self._chance.randint(0, 10)
            await self._house.posts(self._crm, more)
        acts = (self._kill, self._stop, self._drop, self._pinch_disk, self._lock)
        await self._chance.choice(acts)(self._relay)

    async def calm(self) -> None:
        """Let everything be well, and wait until everything is READ."""
        self._mixin_is_well()
        self._crm.forget_scripts()
        self._archive.forget_scripts()
        relay = self._relay or await self._house.start()
        await self._house.read(self.ids)
        assert 0 == await relay.stop()

    # --- The weather

    def _people_write(self) -> None:
        for _ in range(10):
            place = conversation(self._chance.randint(0, 12))
            self.ids += self._house.push(conversation_id=place)
        self._house.simulator.push_again(self._chance.choice(self.ids))

    def _mixin_is_well(self) -> None:
        faults = self._house.simulator.faults
        for script in (faults.upgrades, faults.lists, faults.acks, faults.drops, faults.pushes):
            script.off()

    def _mixin_fails(self) -> None:
        self._mixin_is_well()  # failures in a row would only make for longer waits
        chance, faults = self._chance, self._house.simulator.faults
        faults.order = chance.choice([*Order])
        faults.mix_live = chance.random() < 0.5
        faults.acks.next(chance.choice(ACK_FAULTS))
        faults.lists.next(chance.choice([None, None, Echo(Place.NEVER), AppError(7000)]))
        faults.pushes.next(*[None] * chance.randint(0, 9), Repeat(times=2))
        if chance.random() < 0.3:
            faults.drops.next(Drop(Moment.AFTER_PUSHES, after=chance.randint(1, 40)))
            faults.upgrades.next(chance.choice([None, *UPGRADE_FAULTS]))

    def _receivers_fail(self) -> None:
        for receiver in (self._crm, self._archive):
            receiver.next(*self._chance.choices(BEHAVIOURS, k=15))

    # --- What happens to the relay

    async def _kill(self, relay: RelayProcess) -> None:
        await relay.kill()
        self._relay = None

    async def _stop(self, relay: RelayProcess) -> None:
        relay.signal(self._chance.choice([signal.SIGTERM, signal.SIGINT]))
        assert 0 == await relay.ended()
        self._relay = None

    async def _drop(self, _: RelayProcess) -> None:
        await self._house.simulator.drop(self._chance.choice([None, 1000, 1006, 1011]))

    async def _pinch_disk(self, relay: RelayProcess) -> None:
        before = len(relay.events("journal.failed"))
        relay.fill_disk()
        self._people_write()
        await relay.said("journal.failed", times=before + 1)
        if self._chance.random() < 0.5:
            await self._kill(relay)
        else:
            relay.free_disk()

    async def _lock(self, relay: RelayProcess) -> None:
        with self._house.locked_journal():
            self._people_write()
            await self._kill(relay)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(3))
async def test_after_the_storm_everything_is_read(house: House, seed: int) -> None:
    """Failures on both sides, drops, kills, stops, full disks: nothing is lost or READ early.

    Nor does anything come twice that was not announced as `unknown`.
    """
    breaker = {"open_after": 3, "gone_confirm": "1h"}
    crm = await house.receiver("crm", breaker=breaker, retry={"rejected_attempts": 1000})
    archive = await house.receiver("archive", retry={"rejected_attempts": 1000})
    storm = Storm(house, seed, crm, archive)
    for _ in range(ROUNDS):
        await storm.rage()
    await storm.calm()
    assert set(storm.ids) == set(crm.taken) == set(archive.taken)
