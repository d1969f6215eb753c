"""Times and durations in words for people and for logs. Pure."""

from datetime import UTC, datetime

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
