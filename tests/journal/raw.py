"""A journal's file seen from below: rows as they are, and every byte of it."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from relay.journal.rules import COUNTS
from relay.journal.statements import Connection

_ALL = json.dumps(list(range(1, 10_000)))


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read rows."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql, values).fetchall()


def change(path: Path, sql: str, *values: Any) -> None:
    """Change rows behind the journal's back."""
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(sql, values).rowcount


def on_disk(path: Path, *words: bytes) -> set[tuple[str, bytes]]:
    """Name the files of a journal that hold any of these words, with the words."""
    files = [path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))]
    contents = {file.name: file.read_bytes() for file in files if file.exists()}
    return {(name, word) for name, content in contents.items() for word in words if word in content}


def sealed_by(path: Path, table: str) -> Sequence[str | None]:
    """Read by which keys a table's rows are sealed, in the order in which they came."""
    return [row[0] for row in rows(path, f"SELECT sealed_by FROM {table} ORDER BY rowid")]


def miscounted(connection: Connection) -> list[Any]:
    """Find unfinished messages, and such with dead letters, whose counts are wrong."""
    counted = {row.number: tuple(row) for row in connection.rows(COUNTS, seqs=_ALL)}
    rows = connection.rows("SELECT seq, open, holding, ends_as FROM messages WHERE outcome IS NULL")
    return [
        tuple(row)
        for row in rows
        if counted.get(row.seq, (row.seq, 0, 0, row.ends_as)) != tuple(row)
    ]
