"""The file with the journal's keys: a setting of its own, and never a text among the settings.

A key in the settings file or in the environment would lie where backups and crash reports go.
"""

from dataclasses import dataclass
from pathlib import Path

from relay.config.secret_files import read_secret_file
from relay.journal.encryption.keys import Keyring, KeyTextError


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of keys, read; neither its repr nor its text says more of a key than its id."""

    path: Path
    keys: Keyring

    def __str__(self) -> str:
        """Read as an operator wants to know it: the file, and what each key is for."""
        first, *others = self.keys.ids
        opens = f", opens what {', '.join(others)} sealed" if others else ""
        return f"{self.path} (seals with key {first}{opens})"


def read_key_file(path: str) -> KeyFile:
    """Read the keys in a file. Raises `ValueError` that says what is wrong, without any of it."""
    text = read_secret_file(path)
    try:
        return KeyFile(Path(path), Keyring.parse(text))
    except KeyTextError as error:
        expected = "expected rjk_… keys as `relay secret --journal-key` prints them"
        raise ValueError(f"{error}; {expected}") from None
