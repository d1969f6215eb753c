"""What is done about a damaged journal, as the operator has said: it is moved aside, or refused."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from relay.journal.sqlite.integrity import files_of
from relay.journal.sqlite.lock import JournalRefused
from relay.model.ports import JournalDamaged, JournalGone, Recovery
from relay.telemetry.events import JournalSetAside, Telemetry

_STAMP = "%Y%m%dT%H%M%SZ"
_MARK = ".corrupt-"
_FORM = re.compile(r"\d{8}T\d{6}Z(?=-\d+\Z|\Z)")
_ADVICE = (
    "move it and its -wal aside and put a backup in its place, or set journal_recovery: "
    "start_fresh, which keeps it under another name and begins anew; "
    'docs/operations.md, "A damaged journal"'
)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Sets a journal's files aside, or refuses. `clock` gives Unix seconds."""

    path: Path
    recovery: Recovery
    telemetry: Telemetry
    clock: Callable[[], float] = time.time

    def before_the_run(self, damage: JournalDamaged) -> None:
        """Make room for a fresh journal; raises `JournalRefused` if that is not to be."""
        if self.recovery is not Recovery.START_FRESH:
            raise JournalRefused(f"{self.path}: {damage}; {_ADVICE}") from damage
        self._set_aside(damage)

    def after_the_run(self, damage: JournalDamaged) -> JournalRefused:
        """See to it that the next start doesn't meet the same; answers with what to end with.

        What lies where a file was that is gone may be sound: that is for the next start to see.
        """
        if isinstance(damage, JournalGone):
            return JournalRefused(f"{self.path}: {damage}; the next start looks at what is there")
        if self.recovery is not Recovery.START_FRESH:
            return JournalRefused(f"{self.path}: {damage}; {_ADVICE}")
        kept_as = self._set_aside(damage)
        text = f"it is now {kept_as.name}, and the next start begins a fresh one"
        return JournalRefused(f"{self.path}: {damage}; {text}")

    def _set_aside(self, damage: JournalDamaged) -> Path:
        try:
            kept_as = set_aside(self.path, self.clock())
        except OSError as error:
            text = f"it can't be set aside: {error.strerror}"
            raise JournalRefused(f"{self.path}: {damage}; {text}") from error
        self.telemetry(JournalSetAside(str(self.path), str(kept_as), str(damage)))
        return kept_as


def set_aside(path: Path, now: float) -> Path:
    """Move the database with its log and the log's index under a dated name next to it.

    The database goes first: whoever is cut off leaves a log without its database, which the next
    start refuses as well, and never a database without its log. Answers with the database's new
    name. Raises OSError.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
    names = (f"{stamp}-{number}" if number > 1 else stamp for number in count(1))
    for name in names:
        target = path.with_name(f"{path.name}{_MARK}{name}")
        try:
            _move_all(path, target)
        except FileExistsError:
            continue
        _sync(path.parent)
        return target
    raise AssertionError


def last_set_aside(path: Path) -> float:
    """Tell when a journal was set aside that is still there, in Unix seconds; 0 if none is.

    Asks the file system, which may take its time: not for the event loop.
    """
    prefix = f"{path.name}{_MARK}"
    try:
        names = [file.name for file in path.parent.iterdir() if file.name.startswith(prefix)]
    except OSError:
        return 0.0
    return max((_moment(name.removeprefix(prefix)) for name in names), default=0.0)


def _moment(name: str) -> float:
    stamp = _FORM.match(name)
    with suppress(ValueError):
        if stamp is not None:
            return datetime.strptime(stamp[0], _STAMP).replace(tzinfo=UTC).timestamp()
    return 0.0


def _move_all(path: Path, target: Path) -> None:
    if any(map(os.path.lexists, files_of(target))):  # a rename would not ask
        raise FileExistsError(target)
    for old, new in zip(files_of(path), files_of(target), strict=True):
        if os.path.lexists(old):
            old.rename(new)


def _sync(directory: Path) -> None:
    """See to it that a power cut does not undo it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
