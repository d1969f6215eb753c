"""What filters of lists may hold: stretches of time, and where a page begins."""

import time
from contextlib import suppress
from datetime import datetime

from relay.commands.kinds import Kind
from relay.model.admin import Place
from relay.model.times import DURATION_FORM, parse_duration


def _time(text: str) -> float:
    """Read a time as Unix seconds, or an age as the time that it reaches back to."""
    with suppress(ValueError):
        return time.time() - parse_duration(text)
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(text)
    return read.timestamp()


def earliest(until: float | None, older_than: float | None, now: float) -> float | None:
    """Give the end of a stretch of time that both of these may end."""
    ends = (until, None if older_than is None else now - older_than)
    return min((end for end in ends if end is not None), default=None)


AGE = Kind(DURATION_FORM, parse_duration)
TIME = Kind("a time such as 2026-11-22T08:00:00Z, or an age such as 2h", _time)
PAGE = Kind("the next_cursor of another page", Place.read)
