"""A connection in a transaction, as the journal's functions use it: texts of SQL, and values.

A text names its values `:like_this`, or `?` where many rows go one after the other. The texts keep
to what SQLite and PostgreSQL understand alike; what they don't: `number_lists.py` and `sqlite`.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any


class Row(sqlite3.Row):
    """A row whose columns are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except IndexError:
            raise AttributeError(name) from None


class Connection:
    """Executes statements by the driver, which keeps those that it has prepared."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        driver.row_factory = Row
        self.driver = driver

    def run(self, text: str, **values: Any) -> int:
        """Execute a statement; answers with how many rows it changed."""
        return self.driver.execute(text, values).rowcount

    def many(self, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """Execute a statement with `?` for each row of values; answers with the rows changed."""
        return self.driver.executemany(text, rows).rowcount

    def rows(self, text: str, **values: Any) -> list[Any]:
        """Read all rows."""
        return self.driver.execute(text, values).fetchall()

    def row(self, text: str, **values: Any) -> Any:
        """Read the first row; None if there is none."""
        return self.driver.execute(text, values).fetchone()

    def value(self, text: str, **values: Any) -> Any:
        """Read the first row's first column; None if there is no row."""
        row = self.driver.execute(text, values).fetchone()
        return None if row is None else row[0]

    def values(self, text: str, **values: Any) -> list[Any]:
        """Read each row's first column."""
        return [row[0] for row in self.driver.execute(text, values)]
