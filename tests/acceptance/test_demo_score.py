"""What the demo makes of what it has seen: the exit code, and words that are safe to print."""

import signal
from dataclasses import replace
from typing import Any

import pytest

from relay.demo.board import Passage, Score, exit_code
from relay.demo.receiver import MOST_CHARACTERS, preview
from relay.demo.views import complaints, verdict
from tests.support.simulator import Kind, Violation

GOOD = Score(
    asked=2,
    pushed=2,
    delivered=2,
    read=2,
    attempts=3,
    retries=1,
    refused=1,
    duplicates=0,
    verified=3,
    forged=0,
    duration=4.0,
    missing=(),
    violations=(),
)
LOST = Passage(number=1, message_id="an-id", category="PLAIN_TEXT", pushed_at=0.0)
EARLY = replace(GOOD, asked=9)
VIOLATION = Violation(Kind.READ_TOO_EARLY, "an-id", 0.0)


def test_everything_through_is_0() -> None:
    """A signal after the last message changes nothing."""
    assert 0 == exit_code(GOOD, interrupted_by=None) == exit_code(GOOD, interrupted_by=2)
    assert 0.5 == GOOD.rate


@pytest.mark.parametrize(
    "score",
    [
        replace(GOOD, missing=(LOST,)),
        replace(GOOD, violations=(VIOLATION,)),
        replace(GOOD, forged=1),
        replace(GOOD, written=False),
        replace(EARLY, missing=(LOST,)),
    ],
)
def test_any_flaw_is_1(score: Score) -> None:
    """Something missing, something wrong: 1, interrupted or not."""
    assert 1 == exit_code(score, interrupted_by=None)
    assert 1 == exit_code(score, interrupted_by=signal.SIGINT)
    assert verdict(score).startswith("FAILED: ")


def test_an_early_end_without_a_flaw_is_the_signals_code() -> None:
    """130 after Ctrl-C, 143 after SIGTERM."""
    assert 130 == exit_code(EARLY, interrupted_by=signal.SIGINT)
    assert 143 == exit_code(EARLY, interrupted_by=signal.SIGTERM)
    assert verdict(EARLY).startswith("ended early")


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({}, "not delivered, not marked READ"),
        ({"taken": True}, "not marked READ"),
        ({"read": True}, "not delivered"),
        ({"taken": True, "read": True}, ""),
    ],
)
def test_a_passage_says_what_it_lacks(change: dict[str, bool], lacks: str) -> None:
    """Delivered and READ are two things, and both are needed."""
    assert lacks == replace(LOST, **change).lacks  # type: ignore[arg-type] # only the two flags


def test_violations_are_told() -> None:
    """Each by its kind."""
    assert ["violation read_too_early: an-id"] == list(
        complaints(replace(GOOD, violations=(VIOLATION,)))
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "-"),
        ("hello", "hello"),
        ("two\nlines\x1b[2J and\u202e more", "two lines [2J and more"),
        ("x" * 1000, "x" * (MOST_CHARACTERS - 1) + "…"),
        ({"sticker_id": "12345678-90"}, "sticker 12345678"),
        ({"amount": "0.1", "asset_id": "abcdefgh-ij"}, "transfer of 0.1, asset abcdefgh"),
        ({"mime_type": "image/png", "size": 7}, "image/png, 7 bytes"),
        ({"mime_type": "a/b", "size": 7, "name": "c.pdf"}, "c.pdf, 7 bytes"),
        ({"user_id": "u", "deep": [1]}, "user_id u, deep [1]"),
        ([1, "two"], '[1, "two"]'),
    ],
)
def test_a_content_becomes_a_few_safe_words(content: Any, words: str) -> None:
    """Nothing that people write can draw on the terminal, or fill it."""
    assert words == preview(content)
