"""Watches what a thread of the journal's executes, and lets it go wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from relay.journal.open import OpenJournal
from relay.journal.sqlite.engine import Database, Worker

Note = Callable[[str, Any], None]


class _Tap:
    """Stands before a driver's connection, and tells of each statement before it is executed."""

    def __init__(self, driver: Any, note: Note) -> None:
        self._driver = driver
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def execute(self, text: str, values: Any = ()) -> Any:
        if not text.startswith(("ROLLBACK", "PRAGMA")):
            self._note(text, values)
        return self._driver.execute(text, values)

    def executemany(self, text: str, rows: Any) -> Any:
        rows = list(rows)
        self._note(text, rows[0])
        return self._driver.executemany(text, rows)


def database(opened: OpenJournal) -> Database:
    """Reach for what is behind the journal."""
    found: Database = opened.journal._database  # type: ignore[attr-defined]
    return found


@contextmanager
def tapped(worker: Worker, note: Note) -> Iterator[None]:
    """Be told of each statement of a thread, with its first values."""
    connection = worker._connection()
    driver = connection.driver
    connection.driver = _Tap(driver, note)  # type: ignore[assignment]
    try:
        yield
    finally:
        connection.driver = driver
