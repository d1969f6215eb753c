"""How a table is made to fit a terminal."""

import pytest

from relay.commands.layout import Layout, fitted

ID = "e7cd8c84-5ca4-4fbb-af5d-b82eab068826"
TIME = "2026-11-22T19:46:05Z (3m ago)"
LETTERS = ("died", "message", "detail")
MESSAGES = ("received", "message", "conversation")


def _cells(columns: tuple[str, ...], *cells: str, width: int) -> list[str]:
    (row,) = fitted(columns, [cells], width).rows
    return list(row)


def test_what_fits_is_left_alone() -> None:
    """A table that is as wide as the terminal is shown as it is."""
    rows = [(TIME, ID, ID)]
    assert Layout(MESSAGES, rows) == fitted(MESSAGES, rows, len(TIME) + 2 * len(ID) + 4)


def test_exact_times_go_first() -> None:
    """One column short, ages stand for times, and ids stay whole."""
    width = len(TIME) + 2 * len(ID) + 3
    assert ["3m ago", ID, ID] == _cells(MESSAGES, TIME, ID, ID, width=width)


def test_conversations_go_next() -> None:
    """The front of a conversation's id tells it apart; a message's id is for copying."""
    assert ["3m ago", ID, "e7cd8c84…"] == _cells(MESSAGES, TIME, ID, ID, width=60)
    assert ["received", "message", "conversa…"] == fitted(MESSAGES, [(TIME, ID, ID)], 60).columns
    assert ["3m ago", ID, "short"] == _cells(MESSAGES, TIME, ID, "short", width=20)


def test_strangers_words_get_a_line_of_their_own() -> None:
    """Rather than to make every other column narrow."""
    rows = [(TIME, ID, "I don't like this"), (TIME, ID, "-")]
    shown = fitted(LETTERS, rows, 60)
    assert ["died", "message"] == shown.columns
    assert [["3m ago", ID], ["3m ago", ID]] == shown.rows
    assert ["I don't like this", ""] == shown.below


@pytest.mark.parametrize("column", ["time", "what"])
def test_a_timeline_keeps_its_times(column: str) -> None:
    """What tells what happened when is not made rough."""
    assert [TIME, "x" * 90] == _cells((column, "detail?"), TIME, "x" * 90, width=60)


def test_a_time_within_a_state() -> None:
    """A state that names a time keeps its words."""
    assert ["ended 3m ago"] == _cells(("state",), f"ended {TIME}", width=20)


def test_an_empty_table() -> None:
    """Nothing but a head is as wide as that."""
    assert Layout(LETTERS, []) == fitted(LETTERS, [], 80)
