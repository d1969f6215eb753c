"""Many numbers as one value: a statement's text and plan are the same however many they are."""

import json
from collections.abc import Collection, Iterator

_PART = 10_000


def is_in(column: str, name: str) -> str:
    """Say in SQL that a column's value is among the `numbers` of the value of this name."""
    return f"{column} IN (SELECT value FROM json_each(:{name}))"


def numbers(these: Collection[int]) -> str:
    """Make one value of numbers, as SQLite takes them: an array in JSON."""
    return json.dumps(list(these))


def in_parts(these: Collection[int]) -> Iterator[list[int]]:
    """Cut what may be millions into parts whose answers fit into memory."""
    ordered = sorted(these)
    return (ordered[start : start + _PART] for start in range(0, len(ordered), _PART))
