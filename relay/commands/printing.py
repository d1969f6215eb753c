"""What is printed: tables on a terminal, tab-separated lines elsewhere, times with their age."""

import sys
from collections.abc import Iterable, Sequence
from textwrap import fill

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from relay.commands.layout import Layout, fitted

_LONGEST_IN_MS = 10.0

_INDENT = "  "

_TO_COPY = frozenset({"message", "endpoint", "setting", "component"})
"""Columns that go into the next command, so they stay whole however narrow the terminal is."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; elsewhere than on a terminal without a head, for `cut` and `awk`."""
    safe = [[cleaned(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in safe:
            click.echo("\t".join(row))
        return
    console = Console()
    shown = fitted(columns, safe, console.width)
    if shown.below:
        _print_in_blocks(shown, console)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in shown.columns:
        table.add_column(column, no_wrap=column in _TO_COPY, overflow="fold")
    for cells in shown.rows:
        table.add_row(*map(Text, cells))
    console.print(table)


def _print_in_blocks(shown: Layout, console: Console) -> None:
    """Print each row with its words under it, which no table of rich can do."""
    widths = [max(map(len, cells)) for cells in zip(shown.columns, *shown.rows, strict=True)]
    console.print(Text(_padded(shown.columns, widths), style="bold", overflow="fold"))
    for row, words in zip(shown.rows, shown.below, strict=True):
        console.print(Text(_padded(row, widths), overflow="fold"))
        if words:
            console.print(Padding(Text(words), (0, 0, 0, 2)))


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def print_note(text: str) -> None:
    """Print a word for a person; programs that read tables are spared it."""
    if sys.stdout.isatty():
        click.echo(cleaned(text))


def indented(text: str) -> str:
    """Write what is to be copied: however long, it stays one line."""
    return f"{_INDENT}{text}"


def paragraph(text: str) -> str:
    """Write a sentence; on a terminal a long one goes on below, a bit further in."""
    if not sys.stdout.isatty():
        return indented(text)
    return fill(
        text,
        Console().width,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )


def took(seconds: float) -> str:
    """Write how long a request took."""
    return f"{seconds * 1000:.0f}ms" if seconds < _LONGEST_IN_MS else f"{seconds:.1f}s"


def cleaned(text: str) -> str:
    """Keep strangers' text from moving the cursor, breaking the line or adding a column."""
    return "".join(character if character.isprintable() else " " for character in text)
