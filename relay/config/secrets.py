"""Secrets: texts that are never shown, and the files that they are read from.

The journal's keys have a file of their own and are never a text among the settings, which lie where
backups and crash reports go.
"""

from dataclasses import dataclass
from pathlib import Path

from relay.config.draft import MASK
from relay.journal.encryption.keys import Keyring, KeyTextError

_MOST_BYTES = 65_536
"""The longest keystore has some 4 KB; whatever is longer is no secret, and may have no end."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret; neither its repr nor its text shows it."""

    _text: str

    def get_secret_value(self) -> str:
        """Give the secret itself."""
        return self._text

    def __str__(self) -> str:
        """Write a mask."""
        return MASK

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of the journal's keys, read; neither repr nor text show more of a key than its id."""

    path: Path
    keys: Keyring

    def __str__(self) -> str:
        """Write the file, and what each key is for."""
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


def read_secret_file(path: str) -> str:
    """Read a small text file, without the white space around. Raises `ValueError` that says why."""
    content = read_text_file(path, _MOST_BYTES, "file").strip()
    if not content:
        raise ValueError("the file is empty; expected a secret in it")
    return content


def read_text_file(path: str | Path, most_bytes: int, what: str, encoding: str = "utf-8") -> str:
    """Read a file of text, at most so long. Raises `ValueError` that says what is expected."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(most_bytes + 1)
        text = content.decode(encoding)
    except OSError as error:
        raise ValueError(f"expected a readable {what} ({error.strerror or 'unusable'})") from None
    except ValueError:
        raise ValueError(f"expected a {what} of UTF-8 text") from None
    if len(content) > most_bytes:
        raise ValueError(f"expected a {what} of at most {most_bytes} bytes")
    return text
