"""A journal that can't be opened, and the lock of the one relay that runs on it."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from relay.journal.encryption.rotation import WrongKeys
from relay.journal.migrations import WrongVersion
from relay.model.ports import JournalDamaged, JournalUnavailable


class JournalRefused(Exception):  # noqa: N818 - said to an operator, who can mend it
    """The journal can't be opened; the text names the file and says why."""


class LockHeld(Exception):  # noqa: N818 - a state of the file
    """Somebody else holds the lock."""


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say what can't be opened, and why, in words for an operator."""
    try:
        yield
    except LockHeld as error:
        text = "another relay runs on this journal, or `relay journal reseal` does"
        raise JournalRefused(f"{path}: {text}") from error
    except OSError as error:
        raise JournalRefused(f"{path}: {error.strerror}") from error
    except (WrongVersion, WrongKeys, JournalUnavailable, JournalDamaged) as error:
        raise JournalRefused(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise JournalRefused(f"{path}: not a journal, or damaged ({error})") from error


PATIENCE = 0.3
"""Seconds that a relay waits for the lock: whoever only looks at it holds it for an instant."""

_POLL = 0.02


class Lock:
    """The lock that a relay holds while it runs: on a file of its own, beside the journal.

    The system takes it back from a process that is killed.
    """

    def __init__(self, path: Path) -> None:
        self._file = _lock_file(path)
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._descriptor is not None

    def take(self) -> None:
        """Take it at once. Raises `LockHeld`, or `OSError` where there can be no such file."""
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise LockHeld(self._file) from error
            raise
        self._descriptor = descriptor

    def wait(self) -> None:
        """Take it for a relay. Raises `LockHeld` if somebody keeps it."""
        give_up_at = time.monotonic() + PATIENCE
        while True:
            try:
                self.take()
            except LockHeld:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(_POLL)
            else:
                return

    def release(self) -> None:
        """Give it back, if we hold it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Say whether a relay runs on the journal, or somebody reseals it; if in doubt, one does."""
    try:
        with _lock_file(path).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock_file(path: Path) -> Path:
    """Name it by where the journal is, whatever links lead there."""
    return Path(f"{path}.lock")
