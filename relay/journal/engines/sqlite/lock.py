"""A journal that can't be opened, and the lock of the one relay that runs on it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import exc

from relay.journal.encryption.keys_in_use import WrongKeys
from relay.journal.versions import WrongVersion
from relay.model.ports import JournalDamaged, JournalUnavailable


class JournalRefused(Exception):  # noqa: N818 - said to an operator, who can mend it
    """The journal can't be opened; the text names the file and says why."""


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say what can't be opened, and why, in words for an operator."""
    try:
        yield
    except Timeout as error:
        text = "another relay runs on this journal, or `relay journal reseal` does"
        raise JournalRefused(f"{path}: {text}") from error
    except OSError as error:
        raise JournalRefused(f"{path}: {error.strerror}") from error
    except (WrongVersion, WrongKeys, JournalUnavailable, JournalDamaged) as error:
        raise JournalRefused(f"{path}: {error}") from error
    except exc.DatabaseError as error:
        raise JournalRefused(f"{path}: not a journal, or damaged ({error.orig})") from error


PATIENCE = 0.3
"""Seconds that a relay waits for the lock: whoever only looks at it holds it for an instant."""

_POLL = 0.02


def lock_of(path: Path) -> FileLock:
    """Make the lock that a relay holds while it runs; taking it never waits."""
    return FileLock(_lock_file(path), blocking=False)


def acquire(lock: FileLock) -> None:
    """Take the lock for a relay. Raises `Timeout` if somebody holds it and keeps it."""
    lock.acquire(timeout=PATIENCE, poll_interval=_POLL, blocking=True)


def is_held(path: Path) -> bool:
    """Say whether a relay runs on the journal, or somebody reseals it; if in doubt, one does."""
    try:
        with Path(_lock_file(path)).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock_file(path: Path) -> str:
    return f"{path}.lock"
