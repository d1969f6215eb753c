"""What a command line may hold, and how it is refused: with its value and what is expected."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import click

_DIGITS = 9
"""More than anybody means, and int() stays quick."""

_HIGHEST_RATE = 100_000.0


class Kind(click.ParamType):  # type: ignore[type-arg] # generic only since click 8.5
    """Text that a parser reads; whatever the parser's ValueError says, `expected` is printed."""

    name = "text"

    def __init__(self, expected: str, read: Callable[[str], Any]) -> None:
        self.expected = expected
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a value; a default that is no text passes."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError:
            self.fail(f"{value!r}: expected {self.expected}", param, ctx)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
        raise ValueError(text)
    return int(text)


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number <= _HIGHEST_RATE:
        raise ValueError(text)
    return number


def _text(text: str) -> str:
    text.encode()  # bytes on a command line that are no UTF-8 come as lone surrogates
    return text


def one_of(*choices: str) -> Kind:
    """Make a kind of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(f"one of {', '.join(choices)}", read)


def one_of_enum(choices: type[StrEnum]) -> Kind:
    """Make a kind of an enumeration."""
    return Kind(f"one of {', '.join(choices)}", choices)


TEXT = Kind("text in UTF-8", _text)
COUNT = Kind("a whole number from 1", _count)
RATE = Kind("messages a second, from 0", _rate)
MESSAGE_ID = Kind("a message's id, which is a UUID", lambda text: str(UUID(text)))
FILE = Kind("the path of a file", Path)
