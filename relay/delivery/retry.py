"""When a delivery is tried again, and when it is given up."""

from dataclasses import dataclass

from relay.model.messages import (
    Attempt,
    DeadLettered,
    Delivered,
    Delivery,
    Gone,
    Outcome,
    Postponed,
    Rejected,
    Success,
    Transient,
)

_MOST_DOUBLINGS = 63
"""Beyond them every wait is the longest; floats end much later."""


def ceiling(attempt: int, *, first: float, longest: float) -> float:
    """Wait at most so many seconds after the given attempt (from 1): doubled with each."""
    return min(longest, first * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))


def backoff(attempt: int, *, first: float, longest: float, jitter: float) -> float:
    """Wait for so many seconds after the given attempt: exponential with full jitter.

    `jitter` is a random number from 0 to 1. Full jitter spreads what failed together.
    """
    return ceiling(attempt, first=first, longest=longest) * jitter


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """An endpoint's `retry` setting; seconds."""

    first: float = 1.0
    max: float = 600.0
    give_up_after: float = 72 * 3600.0
    rejected_attempts: int = 10

    def conclude(self, delivery: Delivery, attempt: Attempt, *, jitter: float) -> Outcome:
        """Say what an ended attempt means for its delivery."""
        match attempt.verdict:
            case Success():
                return Delivered(delivery, attempt)
            case Transient() if self._too_old(delivery, attempt):
                return DeadLettered(delivery, attempt)
            case Rejected() if self._rejected_enough(delivery):
                return DeadLettered(delivery, attempt)
            case Transient() | Rejected() | Gone():
                return Postponed(delivery, attempt, self._due_at(delivery, attempt, jitter))

    def _too_old(self, delivery: Delivery, attempt: Attempt) -> bool:
        ended_at = attempt.started_at + attempt.duration
        since = ended_at - (delivery.first_attempt_at or attempt.started_at)
        return since >= self.give_up_after

    def _rejected_enough(self, delivery: Delivery) -> bool:
        if delivery.message.damage:  # another attempt would find it as it is
            return True
        return delivery.rejections + 1 >= self.rejected_attempts

    def _due_at(self, delivery: Delivery, attempt: Attempt, jitter: float) -> float:
        wait = backoff(delivery.failures + 1, first=self.first, longest=self.max, jitter=jitter)
        match attempt.verdict:
            case Transient(pause=float() as pause):
                wait = max(wait, pause)
            case _:
                pass
        return attempt.started_at + attempt.duration + wait
