"""Ways to fail that a relay under proof carries in itself: it dies inside a window, or is hurt.

Nothing of this is in the product. A process that the nursery forks is patched before it becomes
`relay`, and only if its environment says so. The windows are those of the README.
"""

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp.client_reqrep import ClientResponse

from relay.journal.journal import SqlJournal
from relay.journal.sqlite import engine as database
from relay.model.journal import Batch
from relay.model.ports import JournalUnavailable
from relay.service import Service

FAIL_POINT = "RELAY_FAIL_POINT"
"""`WINDOW:N`: die at the Nth time that this window is passed; tests/acceptance/nursery.py."""

HURTS = "RELAY_HURTS"
"""A folder: the process looks for a file with the name of a hurt whenever it could do it."""

WINDOWS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7")

SLOW_COMMIT = 0.05
"""Seconds that a disk takes for a commit while it is slow."""


def arm(environ: Mapping[str, str]) -> None:
    """Patch this process as its environment says."""
    if point := environ.get(FAIL_POINT):
        window, _, count = point.partition(":")
        _Mine(int(count)).lay(window)
    if folder := environ.get(HURTS):
        _hurt(Path(folder))


class _Mine:
    """Kills the process when it is stepped on for the last time."""

    def __init__(self, count: int) -> None:
        self._left = count

    def step(self, items: int = 1) -> None:
        self._left -= items
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self, window: str) -> None:
        """Lay it where the window is open."""
        match window:
            case "W1":
                _before(SqlJournal, "commit", self._step_arrivals)
            case "W2":
                _after(SqlJournal, "commit", self._step_arrivals)
            case "W3":
                _before(ClientResponse, "start", self._step_post)
            case "W4":
                _before(SqlJournal, "commit", self._step_outcomes)
            case "W5":
                _after(SqlJournal, "commit", self._step_outcomes)
            case "W6":
                _before(ClientResponse, "start", self._step_receipts)
            case "W7":
                _before(SqlJournal, "commit", self._step_answers)
            case _:
                raise ValueError(window)

    def _step_arrivals(self, _journal: object, batch: Batch) -> None:
        self._step_some(len(batch.arrivals))

    def _step_outcomes(self, _journal: object, batch: Batch) -> None:
        self._step_some(len(batch.outcomes))

    def _step_answers(self, _journal: object, batch: Batch) -> None:
        self._step_some(len(batch.receipts))

    def _step_some(self, items: int) -> None:
        if items:
            self.step(items)

    def _step_post(self, response: ClientResponse, *_: object) -> None:
        if not response.url.path.startswith("/acknowledgements"):
            self.step()

    def _step_receipts(self, response: ClientResponse, *_: object) -> None:
        if response.url.path.startswith("/acknowledgements"):
            self.step()


def _before(owner: type, name: str, step: Callable[..., None]) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def patched(*args: Any, **kwargs: Any) -> Any:
        step(*args)
        return await original(*args, **kwargs)

    setattr(owner, name, patched)


def _after(owner: type, name: str, step: Callable[..., None]) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def patched(*args: Any, **kwargs: Any) -> Any:
        answer = await original(*args, **kwargs)
        step(*args)
        return answer

    setattr(owner, name, patched)


# --- Hurts ----------------------------------------------------------------------------------------


def _hurt(folder: Path) -> None:
    _hurt_names(folder / "dns")
    _hurt_disk(folder)
    _hurt_clock(folder / "clock")


def _hurt_names(flag: Path) -> None:
    """Let no name be found."""
    original = socket.getaddrinfo

    def patched(host: Any, *args: Any, **kwargs: Any) -> Any:
        if flag.exists() and host == "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(host, *args, **kwargs)

    socket.getaddrinfo = patched


def _hurt_disk(folder: Path) -> None:
    """Make every transaction slow, or refuse it as a disk does that is read-only now."""
    original = database.Worker._transact

    def patched(self: Any, work: Callable[..., Any]) -> Any:
        if (folder / "slow").exists():
            time.sleep(SLOW_COMMIT)
        if (folder / "readonly").exists():
            error = sqlite3.OperationalError("attempt to write a readonly database")
            raise JournalUnavailable(f"OperationalError: {error}")
        return original(self, work)

    database.Worker._transact = patched  # type: ignore[method-assign]


def _hurt_clock(file: Path) -> None:
    """Step the clock by which the relay waits; the file holds how many seconds it is off."""

    def wall() -> float:
        try:
            return time.time() + float(file.read_text())
        except (OSError, ValueError):
            return time.time()

    original = Service.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        from relay.process import SteadyClock

        original(self, *args, **{"clock": SteadyClock(wall=wall), **kwargs})

    Service.__init__ = patched  # type: ignore[method-assign]
