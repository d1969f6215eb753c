"""What is printed: tables on a terminal, tab-separated lines elsewhere, times with their age."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_LONGEST_IN_MS = 10.0

_TO_COPY = frozenset({"message", "endpoint", "setting", "component"})
"""Columns that go into the next command, so they stay whole however narrow the terminal is."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; elsewhere than on a terminal without a head, for `cut` and `awk`."""
    cleaned = [[_clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cleaned:
            click.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=column in _TO_COPY, overflow="fold")
    for row in cleaned:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_note(text: str) -> None:
    """Print a word for a person; programs that read tables are spared it."""
    if sys.stdout.isatty():
        click.echo(_clean(text))


def moment(at: float | None, now: float) -> str:
    """Write a time (Unix seconds) in UTC, with how long ago it was or how soon it will be."""
    if at is None:
        return "-"
    written = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{written} ({age(now - at)} ago)" if at <= now else f"{written} (in {age(at - now)})"


def age(seconds: float) -> str:
    """Write a duration roughly: its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def took(seconds: float) -> str:
    """Write how long a request took."""
    return f"{seconds * 1000:.0f}ms" if seconds < _LONGEST_IN_MS else f"{seconds:.1f}s"


def _clean(text: str) -> str:
    """Keep strangers' text from moving the cursor, breaking the line or adding a column."""
    return "".join(character if character.isprintable() else " " for character in text)
