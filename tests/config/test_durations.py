"""Durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.times import LONGEST_DURATION, duration_text, parse_duration
from tests.config.example import refusal

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10.0),
        ("5m", 300.0),
        ("72h", 259_200.0),
        ("7d", 604_800.0),
        (" 0s ", 0.0),
    ],
)
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    """The examples of the README mean what they say."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "15", "s", "1.5s", "-1s", "1 s", "1S", "1w", "1h30m", "٣s", "9" * 400 + "s"],
)
def test_anything_else_is_refused(text: str) -> None:
    """What is no duration is refused with an example of one."""
    with pytest.raises(ValueError, match="expected a duration such as 500ms"):
        parse_duration(text)


def test_ten_years_are_the_most() -> None:
    """A slip of the keys does not leave the calendar."""
    assert parse_duration("3650d") == LONGEST_DURATION
    with pytest.raises(ValueError, match="at most 3650d"):
        parse_duration("3651d")


@given(number=st.integers(0, 99_999), unit=st.sampled_from(sorted(MILLISECONDS)))
def test_what_is_written_can_be_read(number: int, unit: str) -> None:
    """Writing a duration and reading it gives the same one."""
    seconds = number * MILLISECONDS[unit] / 1000
    if seconds <= LONGEST_DURATION:
        assert seconds == parse_duration(f"{number}{unit}")
        assert seconds == parse_duration(duration_text(seconds))


@given(st.text())
def test_reading_never_fails_otherwise(text: str) -> None:
    """Any text is a duration or a ValueError."""
    assert refusal(parse_duration, text).startswith("expected ")
