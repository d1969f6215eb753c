"""Whether a journal's file can be relied on, before a relay opens it; looks, and changes nothing.

The front is looked at in any case: header, version, tables. Then it goes through all of the rest,
for so long at most: briefly after a clean stop, for longer after any other end
(docs/adr/011-a-damaged-journal-is-set-aside-whole.md).
"""

import json
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table

from relay.journal.engines.sqlite import integrity_process as looking
from relay.journal.engines.sqlite.file_identity import files_of
from relay.journal.schema import attempts, deliveries, endpoints, messages, metadata
from relay.journal.versions import WrongVersion, known
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.model.ports import JournalDamaged

LONGEST_LOOK = 30.0
"""Seconds for going through it after a crash: a startup probe waits for minutes, people less."""

BRIEF_LOOK = 5.0
"""Seconds after a clean stop, when there is no reason to expect damage: about 1 GB from memory."""

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite calls a file that is no database, or a damaged one."""

_VERSION = re.compile(r"\d{4}")
_TABLES_OF_0001 = {
    *("endpoints", "messages", "deliveries", "lanes", "attempts"),
    *("tallies", "notices", "unreadable", "run"),
}
_HEADER = struct.Struct(">16s H BB")
_LOG_HEADER = struct.Struct(">I 20s II")
_LOG_MAGIC = 0x377F0682

_PEOPLES = frozenset({"detail", "last_error"})
"""People's words, which are read as bytes and may be any."""

_WORDS = {
    endpoints.c.state: BreakerState,
    messages.c.source: Source,
    messages.c.receipt: ReceiptState,
    messages.c.outcome: MessageOutcome,
    deliveries.c.state: DeliveryState,
    attempts.c.outcome: AttemptOutcome,
    attempts.c.reason: Reason,
}


def damaged(why: object) -> JournalDamaged:
    """Say that a file is damaged, which one can't tell from a file that never was a journal."""
    return JournalDamaged(f"not a journal, or damaged ({why})")


def require_sound(path: Path, *, longest: float = LONGEST_LOOK, brief: float = BRIEF_LOOK) -> bool:
    """Look at a journal that nobody writes to, which may have been left by a crash.

    Answers False if after a crash it took too long to see all; `longest` and `brief` are seconds.
    Raises `JournalDamaged`, or `WrongVersion` if a newer relay has made it. Whatever else keeps it
    from being read, such as a lock, is left to who opens it.
    """
    database, log, _ = files_of(path)
    if _size(database) == 0:
        if _size(log) > 0:
            raise damaged(f"{path.name} is empty or gone, and {log.name} is not")
        return True
    _require_log(log)
    _require_header(database)
    try:
        with closing(_connect(path)) as connection:
            version = _version(connection)
            if version is None:
                return True
            tables = metadata.tables if version == known()[0] else {}
            _require_tables(connection, tables)
            clean = _stopped_cleanly(connection)
    except sqlite3.DatabaseError as error:
        if code_of(error) in (*DAMAGE, sqlite3.SQLITE_ERROR):  # the latter: columns are missing
            raise damaged(error) from error
        return True
    return _look_through(path, tables, brief if clean else longest) or clean


# --- The front ------------------------------------------------------------------------------------


def _require_header(database: Path) -> None:
    """Look at what SQLite takes for a database of a later format, which it won't write to."""
    with database.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) == _HEADER.size:
        _, _, writes, reads = _HEADER.unpack(header)
        if not {writes, reads} <= {1, 2}:
            raise damaged("its header names a format that there is not")


def _require_log(log: Path) -> None:
    """Look at the log's header: SQLite ignores a log without a good one, and all that is in it."""
    if _size(log) < _LOG_HEADER.size:
        return
    with log.open("rb") as file:
        header = file.read(_LOG_HEADER.size)
    if not any(header):
        return  # lost in a power cut, as the last commits may be (W8)
    magic, _, *sums = _LOG_HEADER.unpack(header)
    if magic & ~1 != _LOG_MAGIC or sums != list(_checksum(header[:24], big_endian=magic & 1)):
        raise damaged(f"{log.name} has no header of a log")


def _checksum(content: bytes, *, big_endian: int) -> tuple[int, int]:
    """Add up as the file format of SQLite's log says."""
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(content) // 4}I", content)
    one = other = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other


def _version(connection: sqlite3.Connection) -> str | None:
    """Tell the schema's version; None if there is no schema yet."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not names:
        return None
    if "alembic_version" not in names:
        raise JournalDamaged("it is a database, but not a relay's journal")
    versions = [
        version for (version,) in connection.execute("SELECT version_num FROM alembic_version")
    ]
    version = versions[0] if len(versions) == 1 else None
    if version in known():
        return str(version)
    if isinstance(version, str) and _VERSION.fullmatch(version) and version > known()[0]:
        raise WrongVersion(f"its schema {version} is newer than this relay; upgrade the relay")
    raise damaged(f"its schema is {', '.join(map(repr, versions)) or 'nameless'}")


def _require_tables(connection: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
    found = {
        name: {column[1] for column in connection.execute(f"PRAGMA table_info({name})")}
        for name in {*_TABLES_OF_0001, *tables}
    }
    for name in sorted(found):
        missing = {*tables[name].columns.keys()} - found[name] if name in tables else set()
        if not found[name]:
            raise damaged(f"it has no table {name}")
        if missing:
            raise damaged(f"its table {name} has no {', '.join(sorted(missing))}")


def _stopped_cleanly(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT clean FROM run").fetchall() in ([], [(1,)])


# --- All of it ------------------------------------------------------------------------------------


def _look_through(path: Path, tables: Mapping[str, Table], seconds: float) -> bool:
    """Let a process of its own go through all of it; False if that took too long, or none began."""
    asked = {"uri": _uri(path), "queries": {name: _wrong_in(tables[name]) for name in tables}}
    command = [sys.executable, "-I", "-S", looking.__file__]
    try:
        looked = subprocess.run(  # noqa: S603 - our own file, by our own interpreter
            command,
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):  # or no process is to be had: no fault of the file
        return False
    if looked.stdout:
        raise damaged(looked.stdout)
    return looked.returncode == 0


def _wrong_in(table: Table) -> str:
    """Ask for values that no relay has written, which SQLite minds as little as a letter."""
    wrong = " OR ".join(map(_is_wrong, table.columns))
    return f"SELECT 1 FROM {table.name} WHERE {wrong} LIMIT 1"  # noqa: S608 - names of ours


def _is_wrong(column: Column[Any]) -> str:
    """Say in SQL what is no value of a column."""
    match column.type:
        case Float():
            kinds = "'real', 'integer', 'null'"
        case Integer() | Boolean():
            kinds = "'integer', 'null'"
        case LargeBinary():
            kinds = "'blob', 'text'"
        case _:
            kinds = "'text', 'blob', 'null'" if column.name in _PEOPLES else "'text', 'null'"
    name = f'"{column.name}"'
    wrong = f"typeof({name}) NOT IN ({kinds})"
    if column in _WORDS:
        words = ", ".join(f"'{word}'" for word in _WORDS[column])
        wrong += f" OR {name} NOT IN ({words})"
    return wrong


# --- Reading it -----------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    """Open it for reading only: a close would take a log into the database, sound or not."""
    connection = sqlite3.connect(_uri(path), uri=True)
    connection.text_factory = lambda text: text.decode(errors="replace")
    return connection


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def code_of(error: BaseException | None) -> int:
    """Tell SQLite's own code of an error, without what it adds to some."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
