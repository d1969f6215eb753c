"""What may happen to a journal's file, by hand or by a disk: each is noticed at the next start."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

Damage = Callable[[Path, random.Random], None]

_PAGE = 4096
_HEADER = 100


def _log_of(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}-wal")


def _write(file: Path, offset: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(content)


def another_file(journal: Path, _: random.Random) -> None:
    """Put a letter in its place."""
    journal.write_bytes(b"this is a letter, and no database\n" * 200)
    _log_of(journal).unlink(missing_ok=True)


def broken_header(journal: Path, chance: random.Random) -> None:
    """Spoil what says that it is a database; in the log as well, which has a copy."""
    _write(journal, 0, chance.randbytes(_HEADER))
    if _log_of(journal).exists():
        _log_of(journal).unlink()


def broken_log(journal: Path, chance: random.Random) -> None:
    """Spoil the log's header, without which SQLite ignores all that is in it."""
    log = _log_of(journal)
    if not log.exists() or not log.stat().st_size:
        broken_header(journal, chance)
        return
    _write(log, 8, chance.randbytes(16))


def cut_short(journal: Path, chance: random.Random) -> None:
    """Cut the file somewhere in its first half."""
    _log_of(journal).unlink(missing_ok=True)
    with journal.open("r+b") as opened:
        opened.truncate(chance.randrange(1, journal.stat().st_size // 2))


def emptied(journal: Path, _: random.Random) -> None:
    """Empty the file, and leave its log; or a letter in the log's place, if there is none."""
    journal.write_bytes(b"")
    log = _log_of(journal)
    if not log.exists() or not log.stat().st_size:
        log.write_bytes(b"this is a letter, and no log\n" * 2)


def random_pages(journal: Path, chance: random.Random) -> None:
    """Let a disk give back something else for every fourth page, as well as for the first."""
    pages = max(1, journal.stat().st_size // _PAGE)
    for page in {0, *chance.sample(range(pages), pages // 4)}:
        _write(journal, page * _PAGE, chance.randbytes(_PAGE))
    _log_of(journal).unlink(missing_ok=True)


def missing_tables(journal: Path, _: random.Random) -> None:
    """Let somebody drop a table."""
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("DROP TABLE lanes")


def senseless_version(journal: Path, _: random.Random) -> None:
    """Let somebody write nonsense where the schema's version is."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'nonsense'")


DAMAGES: tuple[Damage, ...] = (
    *(another_file, broken_header, broken_log, cut_short, emptied, random_pages),
    *(missing_tables, senseless_version),
)
"""Each by itself."""
