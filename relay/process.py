"""The process itself: its loop, its memory, its disk, its clock, its service manager."""

import asyncio
import ctypes
import gc
import math
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from relay.telemetry.events import Event, LoopLagged, RelayStarted, RelayStopping, Telemetry

BEAT = 0.5
"""Seconds between beats: often enough to meet a short stall, too seldom to cost anything."""

TRIM_EVERY = 60.0
"""Seconds between two times that memory is given back; one takes milliseconds of a thread."""

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's, which costs two thirds, or asyncio's where there is no other.

    There is no uvloop on Windows and on PyPy.
    """
    try:
        import uvloop  # noqa: PLC0415 - where it can be had
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run_loop(main: Coroutine[None, None, T]) -> T:
    """Run a coroutine until it is done, as `asyncio.run` does, on a loop of `new_loop`."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


class LoopWatch:
    """Measures how much later than asked the event loop wakes a sleeper.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep
        self._beat_at = clock()

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self._beat_at = self._clock()
            await self._sleep(BEAT)
            late = self._clock() - self._beat_at - BEAT
            self._telemetry(LoopLagged(max(0.0, late)))

    def age(self) -> float:
        """Seconds since the last beat; about `BEAT` at most while all is well."""
        return self._clock() - self._beat_at


async def keep_memory_small() -> NoReturn:
    """Give memory that a burst has used back to the system, again and again, until cancelled.

    The C library keeps what is freed between things that stay, in a pool for each thread, and hours
    of bursts leave more and more of that: 11 of 120 MiB after a backlog of a minute
    (https://man7.org/linux/man-pages/man3/malloc_trim.3.html).
    """
    while True:
        await asyncio.sleep(TRIM_EVERY)
        await asyncio.to_thread(trim_memory)


def trim_memory() -> None:
    """Give back what is free now; only glibc can be asked for it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def freeze_memory() -> None:
    """Collect garbage again, but never look at what was loaded so far, which stays as it is.

    Messages make no cycles: looking through their objects every 700 costs a twentieth of the work.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def free_bytes(journal: Path) -> float:
    """Measure what is free on the volume of a journal; NaN if that can't be told.

    Asks the file system, which may take its time: not for the event loop.
    """
    try:
        return float(shutil.disk_usage(journal.parent).free)
    except OSError:
        return math.nan


class ServiceManager:
    """Tells systemd how we fare, by its protocol sd_notify(3); a `Telemetry`.

    Whoever started us may not listen.
    """

    def __init__(self, address: str) -> None:
        # A name that begins with @ is of the abstract kind, which no file stands for.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Find the service manager, if there is one."""
        address = environ.get("NOTIFY_SOCKET", "")
        return cls(address) if address[:1] in {"/", "@"} else None

    def __call__(self, event: Event) -> None:
        """Say what an event means to who looks after the process."""
        match event:
            case RelayStarted():
                self._say(b"READY=1")
            case LoopLagged():  # told with every beat, late or not
                self._say(b"WATCHDOG=1")
            case RelayStopping():
                self._say(b"STOPPING=1")
            case _:
                pass

    def _say(self, word: bytes) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.settimeout(0)
            speaking.sendto(word, self._address)


class SteadyClock:
    """Wall time that never goes back, by which retries wait; a `relay.model.ports.Clock`.

    A wall clock that is set back by hours would hold every retry, probe and lane for as long. A
    leap forward is followed: it is where the time was all along. In Unix seconds.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """Tell the time."""
        monotonic = self._monotonic()
        self._offset = max(self._offset, self._wall() - monotonic)
        return monotonic + self._offset
