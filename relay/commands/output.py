"""What is printed: tables on a terminal, tab-separated lines elsewhere, documents, progress."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any

import click

_LONGEST_IN_MS = 10.0
_INDENT = "  "
_BETWEEN = 2
"""Blanks between two columns."""

_TO_COPY = frozenset({"message", "endpoint", "setting", "component"})
"""Columns that go into the next command, so they stay whole however narrow the terminal is."""

_AGED = frozenset(
    {"received", "died", "oldest", "next probe", "last seen", "since", "until", "asked", "state"}
)
"""Columns in which the age may stand alone; a document and a timeline have the time itself."""

_CROPPED = frozenset({"conversation"})
"""Ids of which the front tells apart; `show` has them whole."""

_BELOW = "detail"
"""The column of strangers' words, which stand below before they make the others narrow."""

_FRONT = 8
_MOMENT = re.compile(r"[0-9-]{10}T[0-9:]{8}Z \(([^)]*)\)")


def print_json(document: Any) -> None:
    """Print a record of `relay.model`, or what `json` takes, as one document."""
    if not isinstance(document, dict):
        from relay.admin.answers import to_data

        document = to_data(document)
    click.echo(json.dumps(document, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; elsewhere than on a terminal without a head, for `cut` and `awk`."""
    lines = [[cleaned(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_for_a_person([[*columns], *lines])
        return
    for line in lines:
        click.echo("\t".join(line))


def _print_for_a_person(table: list[list[str]]) -> None:
    """Print a table whose first row is the head, shortened until it fits.

    First exact times are given up, then the ends of ids, then that a row is one line.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, columns = Console(), table[0]
    for shortened, short in ((_AGED, _age), (_CROPPED, _front)):
        if _width(table) > console.width:
            which = [name in shortened for name in columns]
            table = [
                [short(cell) if due else cell for cell, due in zip(row, which, strict=True)]
                for row in table
            ]
    if _width(table) > console.width and _BELOW in columns:
        _print_in_blocks(table, columns.index(_BELOW), console)
        return
    shown = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for name, head in zip(columns, table[0], strict=True):
        shown.add_column(head, no_wrap=name in _TO_COPY, overflow="fold")
    for cells in table[1:]:
        shown.add_row(*map(Text, cells))
    console.print(shown)


def _print_in_blocks(table: list[list[str]], below: int, console: Any) -> None:
    """Print each row with the words of one column under it, which no table of rich can do."""
    from rich.padding import Padding
    from rich.text import Text

    words = [row[below] for row in table]
    rows = [row[:below] + row[below + 1 :] for row in table]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for number, (row, said) in enumerate(zip(rows, words, strict=True)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(Text(line.rstrip(), style="" if number else "bold", overflow="fold"))
        if number and said != "-":
            console.print(Padding(Text(said), (0, 0, 0, 2)))


def _width(table: list[list[str]]) -> int:
    return sum(max(map(len, cells)) + _BETWEEN for cells in zip(*table, strict=True)) - _BETWEEN


def _age(cell: str) -> str:
    return _MOMENT.sub(r"\1", cell)


def _front(cell: str) -> str:
    return f"{cell[:_FRONT]}…" if len(cell) > _FRONT + 1 else cell


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
    from rich.console import Console

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


@contextmanager
def progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show a bar on standard error while it is a terminal.

    Gives what is to be told how many there are, and what of so many that they are done.
    """
    if not sys.stderr.isatty():
        yield lambda _all: None, lambda _done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield (
            lambda count: shown.update(task, total=count),
            lambda count: shown.advance(task, count),
        )
