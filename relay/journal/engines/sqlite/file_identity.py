"""Whether the journal's files are still those that were opened.

SQLite goes on writing into a file that was deleted or replaced, and says that all is well: what it
writes is gone with the process. And another process that opens what lies there now would not see
the locks of this one.
"""

from pathlib import Path

from relay.model.ports import JournalGone, JournalUnavailable

_Identity = tuple[int, int] | None


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """Name the database, its log and the log's index."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


class FileIdentity:
    """Where a journal's files are, by device and inode; nothing is watched before `note`."""

    def __init__(self, path: Path) -> None:
        self._files = files_of(path)
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
            found = _identity(file)
            if found != noted:
                what = "is gone" if found is None else "is another file now"
                raise JournalGone(f"{file.name} {what}, while the relay was running on it")


def _identity(file: Path) -> _Identity:
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a disk in trouble, a directory that is closed to us
        raise JournalUnavailable(f"{file.name}: {error.strerror}") from error
    return status.st_dev, status.st_ino
