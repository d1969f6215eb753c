"""Many numbers as one parameter: a statement's text and plan are the same however many they are."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Text, bindparam, func, select
from sqlalchemy.types import TypeDecorator

_PART = 10_000


class _Numbers(TypeDecorator[Collection[int]]):
    """Numbers as SQLite takes them: an array in JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self,
        value: Collection[int] | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's
    ) -> str:
        return json.dumps(list(value or ()))


def is_in(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """Say that a column's value is among the numbers of the parameter of this name."""
    numbers: Any = func.json_each(bindparam(name, type_=_Numbers())).table_valued("value")
    return column.in_(select(numbers.c.value))


def padded(texts: Collection[str]) -> list[str]:
    """Repeat a text until there are 1, 2, 4, 8… of them, for an expanding parameter of texts.

    Each length is another statement, of which SQLite keeps a hundred, with 20 KB for hundreds of
    texts. An array in JSON would be one, but loses what follows a NUL.
    """
    filled = list(texts)
    if filled:
        filled += filled[-1:] * ((1 << (len(filled) - 1).bit_length()) - len(filled))
    return filled


def in_parts(numbers: Collection[int]) -> Iterator[list[int]]:
    """Cut what may be millions into parts whose answers fit into memory."""
    ordered = sorted(numbers)
    return (ordered[start : start + _PART] for start in range(0, len(ordered), _PART))
