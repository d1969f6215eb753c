"""Space that pruning has freed goes back to the disk, step by step beside the relay's work.

SQLite can do so in a file that keeps a map for it, and gets that map when the file is new or is
written anew (https://sqlite.org/pragma.html#pragma_auto_vacuum).
"""

from typing import NamedTuple

from relay.journal.statements import Connection

STEP_BYTES = 1024 * 1024
"""Moved in one transaction: a delivery's commit never waits long for it."""

KEPT_BYTES = 16 * 1024 * 1024
"""Free room that stays, so that a file that grows and shrinks each day is not moved about."""

SMALL_BYTES = 64 * 1024 * 1024
"""A file without the map is written anew at a start if it is no larger: in less than a second."""

_INCREMENTAL = 2


class Spare(NamedTuple):
    """So many pages of so many bytes."""

    pages: int
    page: int


def spare(connection: Connection) -> Spare:
    """Say how much of the free room one step gives back."""
    page, free = _ask(connection, "page_size"), _ask(connection, "freelist_count")
    pages = min(STEP_BYTES // page, free - KEPT_BYTES // page)
    return Spare(max(pages, 0) if can_shrink(connection) else 0, page)


def can_shrink(connection: Connection) -> bool:
    """Say whether the file keeps the map."""
    return _ask(connection, "auto_vacuum") == _INCREMENTAL


def is_small(connection: Connection) -> bool:
    """Say whether to write the file anew takes no time worth speaking of."""
    return pages_bytes(connection) <= SMALL_BYTES


def pages_bytes(connection: Connection) -> int:
    """Measure the database without its log, or one that is in memory."""
    return _ask(connection, "page_count") * _ask(connection, "page_size")


def _ask(connection: Connection, pragma: str) -> int:
    return int(connection.value(f"PRAGMA {pragma}"))
