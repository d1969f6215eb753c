"""Times and durations: read as operators write them, and written for people and for logs. Pure.

A time is in Unix seconds, a duration in seconds.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

Time = Annotated[float, "Unix seconds"]
"""A point of time, which JSON has as RFC 3339."""

TIME_FORM = "a time such as 2026-11-22T08:00:00Z"
DURATION_FORM = "a duration such as 500ms, 10s, 5m, 72h or 7d"

LONGEST_DURATION = 3650 * 86_400.0
"""Seconds: ten years; whatever is longer is a slip, and would leave the calendar."""

LONGEST_PAUSE = 3600.0
"""Seconds: whoever says Retry-After asks for patience, and not for silence for days."""

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# Nobody means a number as long as this.
_SECONDS = re.compile(r"[0-9]{1,18}", re.ASCII)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def parse_time(text: str) -> float:
    """Read a time as RFC 3339 has it. Raises `ValueError` that says what is expected."""
    if _RFC_3339.fullmatch(text) is None:
        raise ValueError(f"expected {TIME_FORM}")
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except ValueError:
        raise ValueError(f"expected {TIME_FORM}") from None


def parse_duration(text: str, *, longest: float = LONGEST_DURATION) -> float:
    """Read a duration, a whole number and a unit.

    Raises `ValueError` that says what is expected.
    """
    written = _DURATION.fullmatch(text.strip())
    if written is None:
        raise ValueError(f"expected {DURATION_FORM}")
    seconds = int(written[1]) * _MILLISECONDS[written[2]] / 1000
    if seconds > longest:
        raise ValueError(f"expected {DURATION_FORM}, at most {duration_text(longest)}")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a duration in the largest unit that needs no fraction; milliseconds are the finest."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def read_retry_after(header: str, now: float) -> float | None:
    """Read Retry-After, seconds or a date, as a duration from `now`, `LONGEST_PAUSE` at most.

    Answers None for what can't be read or is over.
    """
    text = header.strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _until(text, now)
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else None


def _until(date: str, now: float) -> float:
    try:
        moment = parsedate_to_datetime(date)
        # HTTP's dates are in GMT, whether they say so or not.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def rfc3339(at: float | None) -> str | None:
    """Write a time as RFC 3339 in UTC, to the millisecond, for logs; None as None.

    What is no time of the calendar is written as the number that it is.
    """
    if at is None:
        return None
    try:
        return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds')[:-6]}Z"
    except (OverflowError, ValueError, OSError):
        return str(at)


def moment(at: float | None, now: float) -> str:
    """Write a time in UTC, with how long ago it was or how soon it will be."""
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
