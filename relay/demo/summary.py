"""The words at the end, the same for a terminal and for a pipe."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from relay.demo.score import Score

MOST_LISTED: Final = 20
"""Of what is missing; a receiver that takes nothing leaves a thousand."""


def counts(score: Score) -> Iterator[tuple[str, str]]:
    """Give what was counted, by name."""
    yield "messages pushed", _of(score.pushed, score.asked)
    yield "delivered", str(score.delivered)
    yield "marked READ", str(score.read)
    yield "attempts", str(score.attempts)
    yield "refused with 503", str(score.refused)
    yield "retries", str(score.retries)
    yield "duplicates", str(score.duplicates)
    yield "signatures verified", str(score.verified)
    yield "signatures bad", str(score.forged)
    yield "violations", str(len(score.violations))
    yield "duration", f"{score.duration:.1f} s"
    yield "messages/s", f"{score.rate:.1f}"


def complaints(score: Score) -> Iterator[str]:
    """List what is missing, by id, and what was done wrong."""
    for passage in islice(score.missing, MOST_LISTED):
        yield f"missing   {passage.message_id} {passage.category}: {passage.lacks}"
    for violation in islice(score.violations, MOST_LISTED):
        yield f"violation {violation.kind}: {violation.detail}"
    unlisted = sum(max(0, len(all_) - MOST_LISTED) for all_ in (score.missing, score.violations))
    if unlisted:
        yield f"and {unlisted} more"


def verdict(score: Score) -> str:
    """Say in one line what the demo came to."""
    if score.flaws:
        return f"FAILED: {'; '.join(score.flaws)}"
    if score.complete:
        return "OK: every message was delivered and marked READ"
    return "ended early: every message so far was delivered and marked READ"


def _of(pushed: int, asked: int) -> str:
    return str(pushed) if pushed == asked else f"{pushed} of {asked}"
