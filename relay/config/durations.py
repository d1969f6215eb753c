"""Durations as operators write them: a whole number and a unit."""

import re

DURATION = "a duration such as 500ms, 10s, 5m, 72h or 7d"

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WRITTEN = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")

LONGEST = 3650 * 86_400.0
"""Ten years; whatever is longer is a slip, and would leave the calendar."""


def parse_duration(text: str) -> float:
    """Read a duration in seconds. Raises `ValueError` that says what is expected."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise ValueError(f"expected {DURATION}")
    seconds = int(written[1]) * _MILLISECONDS[written[2]] / 1000
    if seconds > LONGEST:
        raise ValueError(f"expected {DURATION}, at most {duration_text(LONGEST)}")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a duration in the largest unit that needs no fraction; milliseconds are the finest."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
