"""A journal that can't be opened, and the lock of the one relay that runs on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import exc

from relay.journal.keys_in_use import WrongKeys
from relay.journal.versions import WrongVersion
from relay.ports import JournalDamaged, JournalUnavailable


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


def lock_of(path: Path) -> FileLock:
    """Make the lock that a relay holds while it runs; taking it never waits."""
    return FileLock(f"{path}.lock", blocking=False)
