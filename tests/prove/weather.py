"""What can go wrong around a relay, each with its beginning and its end."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from tests.acceptance.receiver import OK, REDIRECT, Answer, Hang, Receiver, Reset, SlowBody, busy
from tests.prove.scene import Scene
from tests.support.simulator import Answer as MixinAnswer
from tests.support.simulator import (
    AppError,
    Drop,
    Echo,
    ErrorFrame,
    HttpFault,
    Late,
    Moment,
    Order,
    Place,
    Repeat,
    throttle,
)
from tests.support.simulator import Hang as MixinHang
from tests.support.simulator import Reset as MixinReset

Begin = Callable[[Scene, AsyncExitStack], Awaitable[None]]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Front:
    """One thing that goes wrong; what ends it goes onto the stack."""

    name: str
    begin: Begin


FRONTS: list[Front] = []


def _front(begin: Begin) -> Begin:
    FRONTS.append(Front(begin.__name__, begin))
    return begin


# --- The socket -----------------------------------------------------------------------------------


@_front
async def drops(scene: Scene, closing: AsyncExitStack) -> None:
    """Let sockets end at every point, with and without a close frame."""
    faults, chance = scene.house.simulator.faults, scene.chance
    for _ in range(4):
        code = chance.choice([None, 1000, 1006, 1011])
        after = chance.randint(1, 200)
        faults.drops.next(Drop(chance.choice([*Moment][:3]), code, after=after))
    await scene.house.simulator.drop(chance.choice([None, 1001]))
    closing.callback(faults.drops.off)


@_front
async def refused_upgrades(scene: Scene, closing: AsyncExitStack) -> None:
    """Let Mixin's front refuse the relay, or drop it at once."""
    faults = scene.house.simulator.faults
    faults.upgrades.next(MixinReset(), MixinAnswer(502), ErrorFrame(7000))
    await scene.house.simulator.drop()
    closing.callback(faults.upgrades.off)


@_front
async def half_open(scene: Scene, closing: AsyncExitStack) -> None:
    """Let the socket take everything and say nothing."""
    faults = scene.house.simulator.faults
    faults.half_open = True

    async def end() -> None:
        faults.half_open = False
        await scene.house.simulator.drop()  # a link that is found dead in seconds, at last

    closing.push_async_callback(end)


@_front
async def stalls(scene: Scene, closing: AsyncExitStack) -> None:
    """Let the server trickle its frames."""
    faults = scene.house.simulator.faults
    faults.drip = 0.001
    closing.callback(setattr, faults, "drip", None)


@_front
async def duplicates(scene: Scene, closing: AsyncExitStack) -> None:
    """Push messages twice, and old ones again."""
    simulator = scene.house.simulator
    simulator.faults.pushes.next(None, None, None, Repeat(2), Repeat(1, same_frame=True), times=20)
    for one in scene.chance.sample(scene.obligations, min(50, len(scene.obligations))):
        scene.comes_again(one.message_id)
        simulator.push_again(one.message_id)
    closing.callback(simulator.faults.pushes.off)


@_front
async def disorder(scene: Scene, closing: AsyncExitStack) -> None:
    """Push the backlog in any order, with live messages and echoes in between."""
    faults, chance = scene.house.simulator.faults, scene.chance
    faults.order, faults.mix_live = chance.choice([*Order]), True
    faults.lists.next(Echo(chance.choice([*Place])))

    def end() -> None:
        faults.order, faults.mix_live = Order.OLDEST_FIRST, False
        faults.lists.off()

    closing.callback(end)


# --- Receipts -------------------------------------------------------------------------------------


@_front
async def receipts_lost(scene: Scene, closing: AsyncExitStack) -> None:
    """Take READ or not, and answer nothing."""
    acks = scene.house.simulator.faults.acks
    acks.next(MixinReset(applied=True), None, MixinReset(), MixinHang(applied=True), times=2)
    closing.callback(acks.off)


@_front
async def receipts_late(scene: Scene, closing: AsyncExitStack) -> None:
    """Take time over the answers to READ."""
    acks = scene.house.simulator.faults.acks
    acks.always(Late(0.3))
    closing.callback(acks.off)


@_front
async def receipts_refused(scene: Scene, closing: AsyncExitStack) -> None:
    """Answer READ with errors: in the status, in the body, from a proxy."""
    acks = scene.house.simulator.faults.acks
    answers: tuple[HttpFault, ...] = (
        *(AppError(500), AppError(7000), AppError(429)),
        *(MixinAnswer(500), throttle("1")),
    )
    acks.next(*scene.chance.sample(answers, 4))
    closing.callback(acks.off)


# --- Receivers ------------------------------------------------------------------------------------


def _some_receiver(scene: Scene, closing: AsyncExitStack) -> Receiver:
    receiver = scene.chance.choice(scene.receivers)
    closing.callback(receiver.forget_next)
    return receiver


@_front
async def flaky_receiver(scene: Scene, closing: AsyncExitStack) -> None:
    """Let it answer 500, 502, 409 or with a redirect now and then."""
    answers = (OK, OK, OK, Answer(500), Answer(502), Answer(409), REDIRECT)
    _some_receiver(scene, closing).next(*scene.chance.choices(answers, k=200))


@_front
async def busy_receiver(scene: Scene, closing: AsyncExitStack) -> None:
    """Let it ask to be left alone for a second."""
    receiver = _some_receiver(scene, closing)
    receiver.next(busy(503, 1), *[OK] * 50, busy(429, 1))


@_front
async def hanging_receiver(scene: Scene, closing: AsyncExitStack) -> None:
    """Let it take requests and say nothing."""
    _some_receiver(scene, closing).next(*scene.chance.choices((OK, OK, OK, Hang()), k=40))


@_front
async def resetting_receiver(scene: Scene, closing: AsyncExitStack) -> None:
    """Let it cut connections instead of answers."""
    _some_receiver(scene, closing).next(*scene.chance.choices((OK, OK, Reset()), k=60))


@_front
async def slow_bodies(scene: Scene, closing: AsyncExitStack) -> None:
    """Let it say 200 at once, and never end its answer."""
    _some_receiver(scene, closing).next(*scene.chance.choices((OK, OK, OK, SlowBody()), k=40))


@_front
async def receiver_away(scene: Scene, closing: AsyncExitStack) -> None:
    """Let nobody listen at its port."""
    receiver = scene.chance.choice(scene.receivers)
    await receiver.stop()

    async def end() -> None:
        await receiver.stop()  # a stranger may have taken its place meanwhile
        await receiver.start()

    closing.push_async_callback(end)


@_front
async def stranger_with_a_certificate(scene: Scene, closing: AsyncExitStack) -> None:
    """Let somebody else answer at its port, whose certificate nobody vouches for."""
    receiver = scene.chance.choice([one for one in scene.receivers if one.secured])
    ours = receiver.secured

    async def change(context: object) -> None:
        await receiver.stop()
        receiver.secured = context  # type: ignore[assignment]
        await receiver.start()

    await change(scene.stranger)
    closing.push_async_callback(change, ours)


@_front
async def no_names(scene: Scene, closing: AsyncExitStack) -> None:
    """Let no name be found."""
    _hurt(scene, closing, "dns")


# --- The journal ----------------------------------------------------------------------------------


def _hurt(scene: Scene, closing: AsyncExitStack, name: str, text: str = "") -> None:
    file = scene.hurts / name
    file.write_text(text)
    closing.callback(file.unlink)


@_front
async def disk_full(scene: Scene, closing: AsyncExitStack) -> None:
    """Let no file grow any more."""
    if relay := scene.alive:
        relay.fill_disk()

        def end() -> None:
            if scene.alive is relay:
                relay.free_disk()

        closing.callback(end)


@_front
async def disk_read_only(scene: Scene, closing: AsyncExitStack) -> None:
    """Let the journal's volume take no writes."""
    _hurt(scene, closing, "readonly")


@_front
async def disk_slow(scene: Scene, closing: AsyncExitStack) -> None:
    """Make every transaction slow."""
    _hurt(scene, closing, "slow")


@_front
async def journal_locked(scene: Scene, closing: AsyncExitStack) -> None:
    """Let another program hold the journal's write lock."""
    if scene.house.journal.exists():
        with suppress(sqlite3.DatabaseError):  # damaged, and not set aside yet: nothing to lock
            closing.enter_context(scene.house.locked_journal())


# --- The clock ------------------------------------------------------------------------------------


@_front
async def clock_steps(scene: Scene, closing: AsyncExitStack) -> None:
    """Set the clock hours off, ahead or behind."""
    hours = scene.chance.choice([-6.0, -3.0, -1.0, 1.0, 3.0, 6.0])
    _hurt(scene, closing, "clock", str(hours * _HOUR))
