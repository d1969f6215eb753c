"""Whether a journal's files can be relied on: before a relay opens them, and while it runs.

Before, the front is looked at in any case: headers, version, tables. Then it goes through all of
the rest, for so long at most: briefly after a clean stop, for longer after any other end
(docs/adr/011-a-damaged-journal-is-set-aside-whole.md). Looking changes nothing.
"""

import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from relay.journal.migrations import KNOWN, NEWEST, WrongVersion
from relay.journal.schema import SCHEMA, TABLES
from relay.journal.sqlite import integrity_process
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.model.ports import JournalDamaged, JournalGone, JournalUnavailable

LONGEST_LOOK = 30.0
"""Seconds for going through it after a crash: a startup probe waits for minutes, people less."""

BRIEF_LOOK = 5.0
"""Seconds after a clean stop, when there is no reason to expect damage: about 1 GB from memory."""

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite calls a file that is no database, or a damaged one."""

_VERSION = re.compile(r"\d{4}")
_TABLES_SINCE_0001 = frozenset(TABLES) - {"replays"}
_HEADER = struct.Struct(">16s H BB")
_LOG_HEADER = struct.Struct(">III")
_LOG_MAGIC, _LOG_FORMAT = 0x377F0682, 3_007_000
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))

_KINDS = {"INTEGER": "integer", "BOOLEAN": "integer", "FLOAT": "real integer", "BLOB": "blob text"}
_PEOPLES = frozenset({"detail", "last_error"})
"""People's words, which are read as bytes and may be any."""

_WORDS = {
    ("endpoints", "state"): BreakerState,
    ("messages", "source"): Source,
    ("messages", "receipt"): ReceiptState,
    ("messages", "outcome"): MessageOutcome,
    ("deliveries", "state"): DeliveryState,
    ("attempts", "outcome"): AttemptOutcome,
    ("attempts", "reason"): Reason,
}

Columns = Mapping[str, str]
"""Columns with their types."""


def damaged(why: object) -> JournalDamaged:
    """Say that a file is damaged, which one can't tell from a file that never was a journal."""
    return JournalDamaged(f"not a journal, or damaged ({why})")


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """Name the database, its log and the log's index."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


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
            tables = _columns(_newest()) if version == NEWEST else {}
            _require_tables(_columns(connection), tables)
            clean = _stopped_cleanly(connection)
    except sqlite3.DatabaseError as error:
        if code_of(error) in (*DAMAGE, sqlite3.SQLITE_ERROR):  # the latter: columns are missing
            raise damaged(error) from error
        return True
    return _look_through(path, tables, brief if clean else longest) or clean


# --- The front ------------------------------------------------------------------------------------


def _require_header(database: Path) -> None:
    """Look at what SQLite takes for a database of a later format, which it won't write to."""
    header = _front(database, _HEADER.size)
    if len(header) == _HEADER.size:
        _, _, writes, reads = _HEADER.unpack(header)
        if not {writes, reads} <= {1, 2}:
            raise damaged("its header names a format that there is not")


def _require_log(log: Path) -> None:
    """Look at the log's header: SQLite ignores a log without a good one, and all that is in it."""
    header = _front(log, _LOG_HEADER.size) if _size(log) else b""
    if len(header) < _LOG_HEADER.size or not any(header):
        return  # zeros: lost in a power cut, as the last commits may be
    magic, format_, page = _LOG_HEADER.unpack(header)
    if (magic & ~1, format_) != (_LOG_MAGIC, _LOG_FORMAT) or page not in _PAGE_SIZES:
        raise damaged(f"{log.name} has no header of a log")


def _front(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)


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
    if version in KNOWN:
        return str(version)
    if isinstance(version, str) and _VERSION.fullmatch(version) and version > NEWEST:
        raise WrongVersion(f"its schema {version} is newer than this relay; upgrade the relay")
    raise damaged(f"its schema is {', '.join(map(repr, versions)) or 'nameless'}")


def _newest() -> sqlite3.Connection:
    """Make an empty journal in memory, to compare with."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return connection


def _columns(connection: sqlite3.Connection) -> dict[str, Columns]:
    """Read each table's columns with their types."""
    return {
        table: {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
        for table in TABLES
    }


def _require_tables(found: Mapping[str, Columns], expected: Mapping[str, Columns]) -> None:
    for table in sorted({*_TABLES_SINCE_0001, *expected}):
        if not found[table]:
            raise damaged(f"it has no table {table}")
        if missing := expected.get(table, {}).keys() - found[table].keys():
            raise damaged(f"its table {table} has no {', '.join(sorted(missing))}")


def _stopped_cleanly(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT clean FROM run").fetchall() in ([], [(1,)])


# --- All of it ------------------------------------------------------------------------------------


def _look_through(path: Path, tables: Mapping[str, Columns], seconds: float) -> bool:
    """Let a process of its own go through all of it; False if that took too long, or none began."""
    queries = {table: _wrong_in(table, columns) for table, columns in tables.items()}
    command = [sys.executable, "-I", "-S", integrity_process.__file__]
    try:
        looked = subprocess.run(  # noqa: S603 - our own file, by our own interpreter
            command,
            input=json.dumps({"uri": _uri(path), "queries": queries}),
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


def _wrong_in(table: str, columns: Columns) -> str:
    """Ask for values that no relay has written, which SQLite minds as little as a letter."""
    wrong = " OR ".join(_is_wrong(table, name, type_) for name, type_ in columns.items())
    return f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1"


def _is_wrong(table: str, name: str, type_: str) -> str:
    """Say in SQL what is no value of a column."""
    kinds = _KINDS.get(type_, "text blob" if name in _PEOPLES else "text").split()
    wrong = f"typeof(\"{name}\") NOT IN ('null', {', '.join(map(repr, kinds))})"
    if words := _WORDS.get((table, name)):
        wrong += f' OR "{name}" NOT IN ({", ".join(repr(word.value) for word in words)})'
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


# --- In the run -----------------------------------------------------------------------------------

_Identity = tuple[int, int] | None


class FileIdentity:
    """Where a journal's files are, by device and inode; nothing is watched before `note`.

    SQLite goes on writing into a file that was deleted or replaced, and says that all is well: what
    it writes is gone with the process. And another process that opens what lies there now would not
    see the locks of this one.
    """

    def __init__(self, path: Path) -> None:
        self._files = tuple(map(str, files_of(path)))
        self._noted: tuple[_Identity, ...] | None = None

    def note(self) -> None:
        """Take the files that are there for the right ones."""
        self._noted = tuple(map(_identity, self._files))

    def require(self) -> None:
        """Raise `JournalGone` if one of them is gone, or is another one now.

        Raises `JournalUnavailable` if that can't be told, which may pass.
        """
        if self._noted is None:
            return
        for file, noted in zip(self._files, self._noted, strict=True):
            if (found := _identity(file)) != noted:
                what = "is gone" if found is None else "is another file now"
                name = Path(file).name
                raise JournalGone(f"{name} {what}, while the relay was running on it")


def _identity(file: str) -> _Identity:
    try:
        status = os.stat(file)  # noqa: PTH116 - asked before each commit
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a disk in trouble, a directory that is closed to us
        raise JournalUnavailable(f"{Path(file).name}: {error.strerror}") from error
    return status.st_dev, status.st_ino
