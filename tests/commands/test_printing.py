"""Tables and times."""

import re
import sys

import pytest

from relay.commands.printing import print_note, print_table, took


def test_durations() -> None:
    """A request's duration is in milliseconds, a long one's in seconds."""
    assert ["0ms", "250ms", "9999ms", "15.0s"] == [took(s) for s in (0, 0.25, 9.999, 15.0)]


def test_strangers_text_stays_in_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters move no cursor and make no column."""
    print_table(("a", "b"), [("x\ty\n", "\x1b[2Jz\x00\u202e")])
    assert "x y \t [2Jz  \n" == capsys.readouterr().out


def test_a_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal cells are text and no markup, and notes are told."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("head", ""), [("[red]x[/red]", ":smile:")])
    print_table(("", ""), [("no", "head")])
    print_note("a word")
    out = capsys.readouterr().out
    assert "head" in out
    assert "[red]x[/red] " in out
    assert ":smile:" in out
    assert out.endswith("a word\n")


def test_ids_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes into the next command is not cut on a narrow terminal, and nothing is lost."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    message = "ce64f7b8-8015-4017-b250-8f2cbd0e3383"
    print_table(("received", "message", "detail"), [("x" * 30, message, "y" * 30)])
    out = capsys.readouterr().out
    assert message in out
    assert 60 == out.count("x") + out.count("y")


def test_words_stand_under_their_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver's long words are indented under what they are about, markup or not."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("ce64f7b8", "404", "[b]gone[/b] for good and for all times"), ("bd53", "-", "-")]
    print_table(("message", "status", "detail"), rows)
    lines = [
        line.rstrip()
        for line in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    ]
    assert [
        "message   status",
        "ce64f7b8  404",
        "  [b]gone[/b] for good and for all times",
        "bd53      -",
    ] == lines


def test_a_note_is_for_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs that read tables are spared the notes."""
    print_note("a word")
    assert "" == capsys.readouterr().out
