"""One episode: a relay and its world from a seed, through bad weather, to the judgement."""

import asyncio
import random
import ssl
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import trustme

from tests.acceptance.damages import DAMAGES
from tests.acceptance.house import BOT, House
from tests.acceptance.nursery import Starter, opened_nursery
from tests.prove.oracle import Era, late
from tests.prove.scene import Scene, Tally
from tests.prove.weather import FRONTS, Front
from tests.support.simulator import Simulator

PATIENCE = 120.0
"""Seconds in which everything is READ once the last fault is over."""

PHASES = 6
_PUSHED_AT_ONCE = 200
_PHASE = 6.0
"""Seconds that a phase of bad weather lasts at most."""

_DAMAGED = 0.2
"""The share of the episodes in which a journal is damaged."""

_RETRY = {"first": "10ms", "max": "300ms", "rejected_attempts": 3}
_BREAKER = {"open_after": 5, "probe_max": "300ms", "gone_confirm": "1h"}


@dataclass(frozen=True, slots=True)
class Episode:
    """What an episode was, and what it has seen."""

    seed: int
    messages: int
    seconds: float
    tally: Tally


def play_alone(seed: int, messages: int) -> Episode:
    """Play one episode in a process of its own."""
    began = time.monotonic()
    try:
        with opened_nursery() as nursery:
            return asyncio.run(play(seed, messages, nursery))
    except Exception as error:  # noqa: BLE001 - an episode that breaks must not hide the others
        story = "".join(traceback.format_exception(error)[-3:])
        tally = Tally(complaints=[f"the episode itself broke: {story}"])
        return Episode(seed, messages, time.monotonic() - began, tally)


async def play(seed: int, messages: int, starter: Starter, *, calm: bool = False) -> Episode:
    """Play one episode; `calm` ones have kills and no other fault."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        async with Simulator() as simulator, aiohttp.ClientSession() as http:
            simulator.journal.patience = PATIENCE
            scene = Scene(House(simulator, starter, Path(folder), http), random.Random(seed))
            try:
                await _play(scene, messages, calm=calm)
            finally:
                await scene.house.close()
    scene.tally.complaints += scene.house.judge()
    scene.tally.posts = scene.posts
    scene.tally.doubled = sum(len(one.taken) - len({*one.taken}) for one in scene.receivers)
    return Episode(seed, messages, time.monotonic() - began, scene.tally)


async def _play(scene: Scene, messages: int, *, calm: bool) -> None:
    await _furnish(scene)
    watching = asyncio.create_task(scene.watch())
    try:
        damaged_after = None if calm else _damaged_after(scene)
        for number, share in enumerate(_shares(messages, PHASES)):
            await _phase(scene, share, [] if calm else _fronts(scene))
            if number == damaged_after:
                await scene.lose_journal(scene.chance.choice(DAMAGES))
        await _heal(scene)
    finally:
        watching.cancel()
    scene.tally.complaints += scene.judged()
    await scene.stop()


async def _furnish(scene: Scene) -> None:
    """Open the receivers: one or two, now and then behind TLS, in order or not."""
    chance, house = scene.chance, scene.house
    house.settings |= {"log_level": "info", "drain_timeout": "3s"}
    house.settings["journal_recovery"] = "start_fresh"
    house.bots[BOT]["ordering"] = chance.choice(["conversation", "conversation", "none"])
    for name in ("crm", "archive")[: chance.choice([1, 1, 1, 2])]:
        options: dict[str, Any] = {"retry": _RETRY, "breaker": _BREAKER, "timeout": "1s"}
        if chance.random() < 0.2:
            options |= _behind_tls(scene)
        receiver = await house.receiver(name, **options)
        endpoint = house.bots[BOT]["endpoints"][-1]
        endpoint["url"] = endpoint["url"].replace("127.0.0.1", "localhost")
        scene.receivers.append(receiver)
    scene.eras.append(Era({}, {receiver.name: 0 for receiver in scene.receivers}))


def _behind_tls(scene: Scene) -> dict[str, Any]:
    authority, other = trustme.CA(), trustme.CA()
    file = Path(scene.house.directory, f"ca-{len(scene.receivers)}.pem")
    authority.cert_pem.write_to_path(str(file))
    scene.stranger = _server(other)
    return {"secured": _server(authority), "tls": {"ca_file": str(file)}}


def _server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def _shares(messages: int, phases: int) -> Iterator[int]:
    for phase in range(phases):
        yield messages // phases + (1 if phase < messages % phases else 0)


def _damaged_after(scene: Scene) -> int | None:
    """Draw the phase after which the journal is damaged; in most episodes none."""
    return scene.chance.randrange(PHASES) if scene.chance.random() < _DAMAGED else None


def _fronts(scene: Scene) -> list[Front]:
    """Draw a pair of faults that can be here."""
    secured = any(one.secured for one in scene.receivers)
    possible = [one for one in FRONTS if secured or one.name != "stranger_with_a_certificate"]
    return scene.chance.sample(possible, 2)


async def _phase(scene: Scene, messages: int, fronts: list[Front]) -> None:
    """Let people write in bad weather, and let the relay die of something, or not."""
    chance = scene.chance
    dies = chance.random()
    if dies < 0.5:
        await scene.stop()
        await scene.up(*scene.draw_death(messages))
    else:
        await scene.up()
    async with AsyncExitStack() as closing:
        for front in fronts:
            scene.tally.fault(front.name)
            await front.begin(scene, closing)
        await _people_write(scene, messages)
        await scene.progress(chance.randint(1, messages), _PHASE * chance.random())
        if dies > 0.7:
            await scene.kill()
    await scene.up()


async def _people_write(scene: Scene, messages: int) -> None:
    left = messages
    while left > 0:
        scene.write(min(left, _PUSHED_AT_ONCE))
        left -= _PUSHED_AT_ONCE
        await asyncio.sleep(0)


async def _heal(scene: Scene) -> None:
    """Let all be well, and wait until everything is READ but what is doomed."""
    for receiver in scene.receivers:
        receiver.forget_next()
        receiver.release()
    relay = await scene.up()
    began = time.monotonic()
    alive = [one.message_id for one in scene.obligations if not one.doomed]
    reading = asyncio.create_task(scene.house.read(alive))
    while not reading.done():
        await asyncio.wait([reading], timeout=1.0)
        relay = await scene.up()  # the death that was drawn may come only now
    try:
        reading.result()
    except TimeoutError:
        left = scene.house.simulator.pending()
        scene.tally.complaints += late(len({*left} & {*alive}), PATIENCE)
    scene.tally.drained = time.monotonic() - began
    await _doomed(scene, relay)


async def _doomed(scene: Scene, relay: Any) -> None:
    """Wait until what no receiver takes has ended as dead letters."""
    doomed = [one for one in scene.obligations if one.doomed]
    if not doomed:
        return

    async def buried() -> bool:
        ((dead,),) = scene.house.rows("SELECT count(*) FROM messages WHERE outcome = 'dead'")
        return bool(dead == len(doomed))

    with suppress(TimeoutError):
        await scene.house.eventually(buried, "the dead letters")
        return
    scene.tally.complaints.append(f"of {len(doomed)} doomed messages not all are dead letters")
    del relay
