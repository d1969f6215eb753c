"""What the demo came to: counts from both ends, and whether anything is missing or wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.demo.board import Board, Passage
from relay.demo.receiver import Receiver
from relay.simulator import Violation


@dataclass(frozen=True, slots=True)
class Score:
    """The counts at one moment; `duration` in seconds, from the first push to the last step.

    `missing` holds what was pushed and is not both delivered and READ; `written` says whether the
    relay has written down everything when it stopped.
    """

    asked: int
    pushed: int
    delivered: int
    read: int
    attempts: int
    retries: int
    refused: int
    duplicates: int
    verified: int
    forged: int
    duration: float
    missing: tuple[Passage, ...]
    violations: tuple[Violation, ...]
    written: bool = True

    @property
    def rate(self) -> float:
        """Messages a second that became READ."""
        return self.read / self.duration if self.duration else 0.0

    @property
    def complete(self) -> bool:
        """Whether every message that was asked for is delivered and READ."""
        return self.pushed == self.asked and not self.missing

    @property
    def flaws(self) -> tuple[str, ...]:
        """Say what is wrong, a line for each; nothing if all that was pushed went through."""
        counted = (
            (len(self.missing), "not delivered and marked READ"),
            (self.forged, "requests without a good signature"),
            (len(self.violations), "violations seen by the simulator"),
        )
        found = tuple(f"{count} {what}" for count, what in counted if count)
        return found if self.written else (*found, "the relay did not write everything down")


def score(
    board: Board,
    receiver: Receiver,
    violations: Sequence[Violation],
    *,
    asked: int,
    written: bool = True,
) -> Score:
    """Put the witnesses' counts together."""
    return Score(
        asked=asked,
        pushed=board.pushed,
        delivered=len(receiver.taken),
        read=board.read,
        attempts=board.attempts,
        retries=board.retries,
        refused=receiver.refused,
        duplicates=receiver.duplicates,
        verified=receiver.verified,
        forged=receiver.forged,
        duration=board.moved_at - board.started_at,
        missing=tuple(board.under_way.values()),
        violations=tuple(violations),
        written=written,
    )


def exit_code(score: Score, *, interrupted_by: int | None) -> int:
    """Say how the process ends: 0 only if everything that was asked for went through.

    A flaw makes it 1. A run that a signal ended early, but without a flaw, ends as shells expect
    of that signal: 130 after Ctrl-C.
    """
    if score.flaws:
        return 1
    if score.complete:
        return 0
    return 1 if interrupted_by is None else 128 + interrupted_by
