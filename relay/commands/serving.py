"""What the commands have in common that serve on this machine until somebody ends them."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path


async def until_terminated(serving: Coroutine[None, None, None]) -> None:
    """Serve until SIGTERM, which is a good end: the first process of a container must heed it."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    waiters = {asyncio.ensure_future(serving), asyncio.ensure_future(terminated.wait())}
    try:
        done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    for waiter in done:
        waiter.result()


def write_new(path: Path, text: str) -> None:
    """Write a secret to a new file, for its owner's eyes only. Raises OSError or ValueError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
