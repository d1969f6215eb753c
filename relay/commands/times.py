"""Times as operators write them: as such, or as how long ago."""

import re
import time
from contextlib import suppress
from datetime import UTC, datetime

from relay.commands.kinds import Kind
from relay.model.times import parse_duration

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d))?", re.ASCII
)


def _moment(text: str) -> float:
    """Read a time in Unix seconds; a duration is so long ago, a date begins at midnight in UTC."""
    now = time.time()
    with suppress(ValueError):
        return now - parse_duration(text)
    if not _RFC_3339.fullmatch(text):
        raise ValueError(text)
    at = datetime.fromisoformat(text.upper())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


MOMENT = Kind("a time such as 2026-11-22T09:30:00Z, a date, or a duration ago such as 2h", _moment)
