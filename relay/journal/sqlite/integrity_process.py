"""A process that looks through all of a journal, and says on its standard output what it found.

SQLite's check can't be broken off, but a process can. It is run as a file, and imports no more than
it needs.
"""

import json
import sqlite3
import sys
from contextlib import closing
from typing import Any


def main() -> None:
    """Be told a database and queries that find what must not be there; answer, or say nothing."""
    asked: dict[str, Any] = json.load(sys.stdin)
    with closing(sqlite3.connect(asked["uri"], uri=True)) as connection:
        sys.stdout.write(look_through(connection, asked["queries"]))


def look_through(connection: sqlite3.Connection, queries: dict[str, str]) -> str:
    """Say what is wrong; nothing if all is well, or if somebody keeps us from looking."""
    try:
        ((answer,),) = connection.execute("PRAGMA quick_check(1)")
        if answer != "ok":
            return " ".join(answer.split())
        for table, query in queries.items():
            if connection.execute(query).fetchone() is not None:
                return f"a row of {table} has a value that no relay writes"
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
    return ""


if __name__ == "__main__":
    main()
