"""Times and durations, read and written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.times import (
    LONGEST_DURATION,
    LONGEST_PAUSE,
    age,
    duration_text,
    moment,
    parse_duration,
    parse_time,
    read_retry_after,
    rfc3339,
)
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
    """The examples of the reference mean what they say."""
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


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (1604321252.472333, "2020-11-02T12:47:32.472Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1e30, "1e+30"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_time_for_logs(at: float | None, text: str | None) -> None:
    """RFC 3339 in UTC; what is no time of the calendar never raises."""
    assert text == rfc3339(at)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.4, "0s"), (59, "59s"), (119, "1m"), (7200, "2h"), (200_000, "2d")],
)
def test_ages_are_rough(seconds: float, text: str) -> None:
    """An age is its largest unit."""
    assert text == age(seconds)


def test_a_time_for_people() -> None:
    """In UTC, with how long ago it was or how soon it will be."""
    assert "2023-11-14T22:13:20Z (1m ago)" == moment(1_700_000_000.9, 1_700_000_061.0)
    assert "2023-11-14T22:13:20Z (in 1h)" == moment(1_700_000_000.0, 1_699_996_400.0)
    assert "-" == moment(None, 0.0)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14t23:13:20.5+01:00", 1_700_000_000.5),
        ("2023-11-14T22:13:20.123456789z", 1_700_000_000.123456),
    ],
)
def test_a_time_is_read(text: str, at: float) -> None:
    """RFC 3339 in any zone, in any case."""
    assert at == parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "0", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z", "2023-11-14 22:13:20Z"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Without a zone nobody knows what is meant; the refusal has an example."""
    with pytest.raises(ValueError, match="expected a time such as 2026-11-22T08:00:00Z"):
        parse_time(text)


# --- Retry-After --------------------------------------------------------------------------------

NOON = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("1", 1.0),
        (" 120 ", 120.0),
        ("3600", LONGEST_PAUSE),
        ("3601", LONGEST_PAUSE),
        ("999999999999999999", LONGEST_PAUSE),
        ("Thu, 29 Feb 2024 12:01:00 GMT", 60.0),
        ("Thu, 29 Feb 2024 12:01:00 -0000", 60.0),
        ("Thu, 29 Feb 2024 12:01:00", 60.0),
        ("Thursday, 29-Feb-24 12:01:00 GMT", 60.0),
        ("Thu Feb 29 12:01:00 2024", 60.0),
        ("Fri, 01 Mar 2024 12:00:00 GMT", LONGEST_PAUSE),
    ],
)
def test_retry_after_is_read(header: str, pause: float) -> None:
    """Seconds or a date in each of HTTP's three forms, always in GMT; an hour at most."""
    assert pause == read_retry_after(header, NOON)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0",
        "-5",
        "1.5",
        "soon",
        "1e3",
        "inf",
        "nan",
        "٣",  # a digit, of an alphabet that HTTP does not know
        "60, 60",
        "9" * 5000,
        "Thu, 29 Feb 2024 11:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 29 Feb 2024 12:00:00 GMT",
        "Thu, 32 Feb 2024 12:00:00 GMT",
        "Thu, 29 Feb 99999 12:00:00 GMT",
    ],
)
def test_an_unreadable_or_past_retry_after_is_none(header: str) -> None:
    """What can't be read, or is over, is as if it were not there."""
    assert read_retry_after(header, NOON) is None


@given(st.text() | st.from_regex(r"[A-Za-z0-9,:+ -]{0,40}"), st.floats(0, 1e11))
def test_no_header_harms(header: str, now: float) -> None:
    """Any text gives a pause within its bounds, or none."""
    pause = read_retry_after(header, now)
    assert pause is None or 0 < pause <= LONGEST_PAUSE
