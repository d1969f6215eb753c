"""What is printed: tables on a terminal and elsewhere, notes, durations."""

import re
import sys
from collections.abc import Callable, Sequence

import pytest

from relay.commands.output import print_note, print_table, took

ID = "e7cd8c84-5ca4-4fbb-af5d-b82eab068826"
TIME = "2026-11-22T19:46:05Z (3m ago)"
WHOLE = len(TIME) + 2 * len(ID) + 4

Shown = Callable[..., list[str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Print a table on a terminal of some width; gives the lines, without their colours."""

    def show(columns: Sequence[str], *rows: Sequence[str], width: int = 80) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(columns, rows)
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        return [line.rstrip() for line in out.splitlines()]

    return show


def test_durations() -> None:
    """A request's duration is in milliseconds, a long one's in seconds."""
    assert ["0ms", "250ms", "9999ms", "15.0s"] == [took(s) for s in (0, 0.25, 9.999, 15.0)]


def test_strangers_text_stays_in_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters move no cursor and make no column."""
    print_table(("a", "b"), [("x\ty\n", "\x1b[2Jz\x00\u202e")])
    assert "x y \t [2Jz  \n" == capsys.readouterr().out


def test_a_table_on_a_terminal(shown: Shown) -> None:
    """On a terminal cells are text and no markup, under a head if there is one."""
    assert ["head", "[red]x[/red]  :smile:"] == shown(("head", ""), ("[red]x[/red]", ":smile:"))
    assert ["no  head"] == shown(("", ""), ("no", "head"))


@pytest.mark.parametrize(
    ("columns", "cells", "width", "expected"),
    [
        ("received message conversation", (TIME, ID, ID), WHOLE, [TIME, ID, ID]),
        ("received message conversation", (TIME, ID, ID), WHOLE - 1, ["3m ago", ID, ID]),
        ("received message conversation", (TIME, ID, ID), 60, ["3m ago", ID, "e7cd8c84…"]),
        ("received message conversation", (TIME, ID, "c"), 60, ["3m ago", ID, "c"]),
        ("message state", (ID, f"ended {TIME}"), 60, [ID, "ended 3m ago"]),
        ("time what", (TIME, ID), 80, [TIME, ID]),
    ],
)
def test_a_narrow_terminal(
    shown: Shown, columns: str, cells: tuple[str, ...], width: int, expected: list[str]
) -> None:
    """First ages stand for times, then fronts for conversations; a message's id is for copying."""
    assert expected == re.split(r"  +", shown(columns.split(), cells, width=width)[1])


def test_ids_stay_whole(shown: Shown) -> None:
    """What goes into the next command is not cut on a narrow terminal, and nothing is lost."""
    out = "".join(shown(("received", "message", "detail"), ("x" * 30, ID, "y" * 30), width=60))
    assert ID in out
    assert 60 == out.count("x") + out.count("y")


def test_words_stand_under_their_row(shown: Shown) -> None:
    """A receiver's long words are indented under what they are about, markup or not."""
    words = "[b]gone[/b] for good and for all times"
    rows = [("ce64f7b8", "404", words), ("bd53", "-", "-")]
    assert [
        "message   status",
        "ce64f7b8  404",
        "  [b]gone[/b] for good and for all times",
        "bd53      -",
    ] == shown(("message", "status", "detail"), *rows, width=40)


def test_a_note_is_for_people_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that read tables are spared the notes."""
    print_note("a word")
    assert "" == capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_note("a\nword")
    assert "a word\n" == capsys.readouterr().out
