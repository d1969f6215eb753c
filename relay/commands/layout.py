"""How a table is made to fit a terminal. Pure."""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

AGED = frozenset(
    {"received", "died", "oldest", "next probe", "last seen", "since", "until", "asked", "state"}
)
"""Columns in which the age may stand alone; a document and a timeline have the time itself."""

CROPPED = frozenset({"conversation"})
"""Ids of which the front tells apart; `show` has them whole."""

BELOW = frozenset({"detail"})
"""Columns of strangers' words, which get a line of their own before they make the others narrow."""

_FRONT = 8
_MOMENT = re.compile(r"[0-9-]{10}T[0-9:]{8}Z \(([^)]*)\)")
_BETWEEN = 2
"""Blanks between two columns."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns and rows as they are shown; `below` has what stands under each row, if anything."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    below: Sequence[str] = ()


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Layout:
    """Give up as little as it takes: first exact times, then ends of ids, then a row's one line."""
    table = Layout(columns, rows)
    for step in (_with_ages, _with_cropped_ids, _with_words_below):
        if _width(table) <= width:
            break
        table = step(table)
    return table


def _width(table: Layout) -> int:
    lines = [table.columns, *table.rows]
    return sum(max(map(len, cells)) + _BETWEEN for cells in zip(*lines, strict=True)) - _BETWEEN


def _with_ages(table: Layout) -> Layout:
    return _changed(table, AGED, lambda cell: _MOMENT.sub(r"\1", cell))


def _with_cropped_ids(table: Layout) -> Layout:
    cropped = _changed(table, CROPPED, _front)
    heads = [_front(column) if column in CROPPED else column for column in table.columns]
    return Layout(heads, cropped.rows)


def _front(cell: str) -> str:
    return f"{cell[:_FRONT]}…" if len(cell) > _FRONT + 1 else cell


def _with_words_below(table: Layout) -> Layout:
    kept = [place for place, column in enumerate(table.columns) if column not in BELOW]
    if len(kept) == len(table.columns):
        return table
    return Layout(
        [table.columns[place] for place in kept],
        [[row[place] for place in kept] for row in table.rows],
        [_said(table.columns, row) for row in table.rows],
    )


def _said(columns: Sequence[str], row: Sequence[str]) -> str:
    return " ".join(c for name, c in zip(columns, row, strict=True) if name in BELOW and c != "-")


def _changed(table: Layout, which: Container[str], change: Callable[[str], str]) -> Layout:
    rows = [
        [
            change(cell) if column in which else cell
            for column, cell in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    return Layout(table.columns, rows)
