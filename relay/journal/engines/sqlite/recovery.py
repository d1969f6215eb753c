"""What is done about a damaged journal: as the operator has said, and never more than that."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relay.journal.engines.sqlite.lock import JournalRefused
from relay.journal.engines.sqlite.quarantine import set_aside
from relay.model.ports import JournalDamaged, JournalGone, Recovery
from relay.telemetry.events import JournalSetAside, Telemetry

_ADVICE = (
    "move it and its -wal aside and put a backup in its place, or set journal_recovery: "
    "start_fresh, which keeps it under another name and begins anew; "
    'docs/operations.md, "A damaged journal"'
)


@dataclass(frozen=True, slots=True)
class Rescue:
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
