"""Of the journal and its disk."""

from dataclasses import dataclass

from relay.model.journal import Stats


@dataclass(frozen=True, slots=True)
class JournalCommitted:
    """A group was committed."""

    seconds: float
    items: int


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """The journal did not accept a write; it is tried again."""

    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class JournalRecovered:
    """The journal accepts writes again."""


@dataclass(frozen=True, slots=True)
class DamageFound:
    """The journal was found to be damaged, or its file to be gone; the run ends."""

    detail: str


@dataclass(frozen=True, slots=True)
class JournalSetAside:
    """A damaged journal was moved out of the way; `kept_as` is its path now."""

    journal: str
    kept_as: str
    detail: str


@dataclass(frozen=True, slots=True)
class JournalUnchecked:
    """Looking all through a journal took too long, and was broken off; what was seen is sound."""

    seconds: float


@dataclass(frozen=True, slots=True)
class JournalPruned:
    """Finished messages older than the retention were removed."""

    messages: int


@dataclass(frozen=True, slots=True)
class JournalShrunk:
    """Disk space that the journal no longer needs was given back."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class StatsCollected:
    """The journal was counted."""

    census: Stats


JournalFact = (
    JournalCommitted
    | JournalFailed
    | JournalRecovered
    | DamageFound
    | JournalSetAside
    | JournalUnchecked
    | JournalPruned
    | JournalShrunk
    | StatsCollected
)
