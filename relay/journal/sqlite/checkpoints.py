"""The write-ahead log, carried into the database beside whoever writes.

SQLite's own way is that the commit which makes the log long carries all of it, and everybody who
commits waits for the disk meanwhile: at 150 messages a second to five endpoints some 30 ms in each
second, and the more endpoints are owed a message, the oftener.
"""

import math
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from typing import Protocol

from relay.model.ports import JournalDamaged, JournalUnavailable

EVERY = 2.0
"""Seconds between two times, while something is written.

Each time the same pages are carried anew and the disk is waited for: at 0.2 it was a tenth of what
a message costs.
"""

_OFTEN = 0.2
"""Seconds between two times, while so much is written that the log is long sooner."""

LONG = 4000
"""Pages, 16 MB: the log begins anew above it. A burst changes the same pages again and again."""

_TOO_LONG = 4 * LONG

BACKSTOP = f"PRAGMA wal_autocheckpoint={_TOO_LONG}"
"""For the writer: its own commits carry what comes faster than it can be carried beside them."""

_TOLD_BY_WRITES = (JournalUnavailable, JournalDamaged, sqlite3.Error)

_CARRY = "PRAGMA wal_checkpoint(PASSIVE)"


class Thread(Protocol):
    """One thread with a connection of its own."""

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Do something after what is waiting there."""

    def execute(self, statement: str) -> tuple[int, ...]:
        """Execute a statement outside of transactions, on this thread; answers with its row."""


class Checkpoints:
    """Carries the log on a thread of its own; the writer carries only what is left in the end.

    The log can begin anew only when all of it is carried, and somebody who writes all the time is
    always a little ahead. What fails is tried again after a later write, which tells of trouble.
    """

    def __init__(
        self, carrier: Thread, writer: Thread, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alone = Lock()
        self._carrier = carrier
        self._writer = writer
        self._clock = clock
        self._every = EVERY
        self._next_at = clock() + EVERY
        self._under_way = False

    def written(self) -> None:
        """Note that something was written; never waits."""
        now = self._clock()
        if not self._under_way and now >= self._next_at:
            self._under_way, self._next_at = True, now + self._every
            self._carrier.submit(self._carry)

    def end(self) -> None:
        """Begin no more: the threads are about to be closed."""
        self._next_at = math.inf

    def _carry(self) -> None:
        pages = self._checkpoint(self._carrier)
        self._every = min(EVERY, max(_OFTEN, self._every * LONG / max(pages, 1)))
        finish = pages > LONG
        if finish:
            self._checkpoint(self._carrier)  # what came during the first leaves little to finish
            self._writer.submit(self._finish)
        else:
            self._under_way = False

    def _finish(self) -> None:
        self._checkpoint(self._writer)
        self._under_way = False

    def _checkpoint(self, thread: Thread) -> int:
        """Carry what nobody reads any more; answers with the log's length in pages."""
        with self.alone, suppress(*_TOLD_BY_WRITES):
            _busy, pages, _carried = thread.execute(_CARRY)
            return pages
        return 0
