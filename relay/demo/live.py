"""The live view: the last messages in a table, a bar and the counts, drawn in place."""

import sys
from collections import deque
from typing import Final, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from relay.demo.board import Passage, State
from relay.demo.score import Score
from relay.demo.summary import complaints, counts, verdict

_AROUND_ROWS: Final = 6
"""Lines of the picture that are no message: headings, rules, bar, counts, the cursor's own."""

_FEWEST_ROWS: Final = 3
_MOST_ROWS: Final = 100

_CHAT: Final = len("a group")
_CATEGORY: Final = len("SYSTEM_ACCOUNT_SNAPSHOT")
_STATE: Final = len("503, again in 1.0 s")
"""Widths of the longest that come: columns that jump can't be read."""

_STYLES: Final = {
    State.PUSHED: "dim",
    State.RECEIVED: "cyan",
    State.FAILED: "yellow",
    State.DELIVERED: "blue",
    State.READ: "green",
}


class LiveView:
    """Draws on a terminal; what is said, and what is logged there, appears above the picture."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._recent: deque[Passage] = deque(maxlen=_MOST_ROWS)
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def hear(self, passage: Passage) -> None:
        """Take in a message when it is pushed; its further steps show in the passage itself."""
        if passage.state is State.PUSHED:
            self._recent.append(passage)

    def say(self, line: str) -> None:
        """Print a line above the picture."""
        self._console.print(line, soft_wrap=True)

    def refresh(self, score: Score) -> None:
        """Draw the picture anew."""
        rows = max(_FEWEST_ROWS, min(self._console.height - _AROUND_ROWS, _MOST_ROWS))
        passages = _worth_showing(list(self._recent), score.missing, rows)
        self._live.update(Group(_table(passages), _bar(score), _counts(score)), refresh=True)

    def sum_up(self, score: Score, *, metrics: str) -> None:
        """Print the counts, what is missing, and the verdict."""
        table = Table(box=box.ROUNDED, show_header=False)
        for name, value in counts(score):
            table.add_row(name, value)
        table.add_row("metrics were at", metrics)
        self._console.print(table)
        for complaint in complaints(score):
            self._console.print(complaint, style="red", soft_wrap=True)
        style = "bold red" if score.flaws else "bold green"
        self._console.print(verdict(score), style=style, soft_wrap=True)


def _worth_showing(
    recent: list[Passage], under_way: tuple[Passage, ...], rows: int
) -> list[Passage]:
    """Choose the newest, and of those in trouble also the older ones, as half of the rows."""
    newest = recent[-rows:]
    since = newest[0].number if newest else 0
    troubled = [one for one in under_way if one.failure and not one.taken and one.number < since]
    troubled = troubled[: rows // 2]
    return [*troubled, *newest[len(troubled) + len(newest) - rows :]] if troubled else newest


def _table(passages: list[Passage]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right")
    table.add_column("chat", no_wrap=True, min_width=_CHAT)
    table.add_column("category", no_wrap=True, min_width=_CATEGORY)
    table.add_column("content", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("tries", justify="right")
    table.add_column("state", no_wrap=True, min_width=_STATE)
    for passage in passages:
        table.add_row(*_row(passage))
    return table


def _row(passage: Passage) -> tuple[RenderableType, ...]:
    return (
        str(passage.number),
        passage.conversation,
        passage.category,
        passage.preview,
        str(passage.attempts or ""),
        Text(_state(passage), _STYLES[passage.state]),
    )


def _state(passage: Passage) -> str:
    match passage.state:
        case State.FAILED:
            return passage.failure
        case State.READ:
            return f"READ, {passage.took:.2f} s"
        case state:
            return str(state)


def _bar(score: Score) -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(total=score.asked, completed=score.read)
    grid.add_row(bar, f"{score.read} of {score.asked} READ")
    return grid


def _counts(score: Score) -> Text:
    counted = (
        ("pushed", score.pushed),
        ("delivered", score.delivered),
        ("attempts", score.attempts),
        ("503s", score.refused),
        ("retries", score.retries),
        ("verified", score.verified),
        ("bad", score.forged),
    )
    text = "  ".join(f"{what} {count}" for what, count in counted)
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")
