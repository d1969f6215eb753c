"""Times and durations, written for people and for logs, and read as people write them. Pure."""

import re
from datetime import UTC, datetime

DURATION_FORM = "a duration such as 500ms, 10s, 5m, 72h or 7d"

LONGEST_DURATION = 3650 * 86_400.0
"""Seconds: ten years; whatever is longer is a slip, and would leave the calendar."""

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def rfc3339(at: float | None) -> str | None:
    """Write a time (Unix seconds) as RFC 3339 in UTC, to the millisecond, for logs; None as None.

    What is no time of the calendar is written as the number that it is.
    """
    if at is None:
        return None
    try:
        return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds')[:-6]}Z"
    except (OverflowError, ValueError, OSError):
        return str(at)


def moment(at: float | None, now: float) -> str:
    """Write a time (Unix seconds) in UTC, with how long ago it was or how soon it will be."""
    if at is None:
        return "-"
    written = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{written} ({age(now - at)} ago)" if at <= now else f"{written} (in {age(at - now)})"


def age(seconds: float) -> str:
    """Write a duration roughly: its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def parse_duration(text: str) -> float:
    """Read a duration in seconds, a whole number and a unit.

    Raises `ValueError` that says what is expected.
    """
    written = _DURATION.fullmatch(text.strip())
    if written is None:
        raise ValueError(f"expected {DURATION_FORM}")
    seconds = int(written[1]) * _MILLISECONDS[written[2]] / 1000
    if seconds > LONGEST_DURATION:
        raise ValueError(f"expected {DURATION_FORM}, at most {duration_text(LONGEST_DURATION)}")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a duration in the largest unit that needs no fraction; milliseconds are the finest."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
