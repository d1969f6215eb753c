"""Memory that a burst has used, given back to the system.

The C library keeps what is freed between things that stay, in a pool for each thread, and hours of
bursts leave more and more of that: 11 of 120 MiB after a backlog of a minute
(https://man7.org/linux/man-pages/man3/malloc_trim.3.html).
"""

import asyncio
import ctypes
from typing import NoReturn

EVERY = 60.0
"""Seconds between two times; one takes a few milliseconds of another thread."""


async def keep_small() -> NoReturn:
    """Give back what is free, again and again, until cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(give_back)


def give_back() -> None:
    """Give back what is free now; only glibc can be asked for it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
