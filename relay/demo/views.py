"""How a person follows the demo: live on a terminal, in plain lines everywhere else."""

import sys
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, Self, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from relay.demo.board import Passage, Score, State

MOST_LISTED: Final = 20
"""Of what is missing; a receiver that takes nothing leaves a thousand."""

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


# --- Plain lines ---------------------------------------------------------------------------------


class PlainView:
    """Writes lines; those of messages at each refresh."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def hear(self, passage: Passage) -> None:
        """Write a line about a message that is READ or has failed, at the next refresh."""
        match passage.state:
            case State.READ:
                self._lines.append(_read(passage))
            case State.FAILED:
                self._lines.append(_failed(passage))
            case _:
                pass

    def say(self, line: str) -> None:
        """Write a line at the next refresh."""
        self._lines.append(line)

    def refresh(self, _: Score) -> None:
        """Write what has gathered. Raises BrokenPipeError when nobody reads any more."""
        lines, self._lines = self._lines, []
        if lines:
            print(*lines, sep="\n", file=self._out, flush=True)

    def sum_up(self, score: Score, *, metrics: str) -> None:
        """Write the counts, what is missing, and the verdict."""
        self.say("")
        self._lines += [f"{name:<20} {value}" for name, value in counts(score)]
        self._lines.append(f"{'metrics were at':<20} {metrics}")
        self._lines += complaints(score)
        self.say(verdict(score))
        self.refresh(score)


def _read(passage: Passage) -> str:
    tried = "1 attempt" if passage.attempts == 1 else f"{passage.attempts} attempts"
    return f"READ   {_what(passage)} {tried}, {passage.took:.2f} s: {passage.preview}"


def _failed(passage: Passage) -> str:
    return f"failed {_what(passage)} attempt {passage.attempts}: {passage.failure}"


def _what(passage: Passage) -> str:
    return f"{passage.message_id} {passage.conversation:<7} {passage.category:<23}"


# --- On a terminal -------------------------------------------------------------------------------


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


View = PlainView | LiveView
"""Hears of steps, and shows them when it is refreshed: the relay waits for what hears."""


def choose_view(out: TextIO) -> View:
    """Give the view that fits what standard output is; colours asked for change nothing."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if out.isatty() and console.is_interactive:
        return LiveView(console)
    return PlainView(out)


# --- The words at the end ------------------------------------------------------------------------


def counts(score: Score) -> Iterator[tuple[str, str]]:
    """Give what was counted, by name."""
    yield "messages pushed", _of(score.pushed, score.asked)
    yield "delivered", str(score.delivered)
    yield "marked READ", str(score.read)
    yield "attempts", str(score.attempts)
    yield "refused with 503", str(score.refused)
    yield "retries", str(score.retries)
    yield "duplicates", str(score.duplicates)
    yield "signatures verified", str(score.verified)
    yield "signatures bad", str(score.forged)
    yield "violations", str(len(score.violations))
    yield "duration", f"{score.duration:.1f} s"
    yield "messages/s", f"{score.rate:.1f}"


def complaints(score: Score) -> Iterator[str]:
    """List what is missing, by id, and what was done wrong."""
    for passage in islice(score.missing, MOST_LISTED):
        yield f"missing   {passage.message_id} {passage.category}: {passage.lacks}"
    for violation in islice(score.violations, MOST_LISTED):
        yield f"violation {violation.kind}: {violation.detail}"
    unlisted = sum(max(0, len(all_) - MOST_LISTED) for all_ in (score.missing, score.violations))
    if unlisted:
        yield f"and {unlisted} more"


def verdict(score: Score) -> str:
    """Say in one line what the demo came to."""
    if score.flaws:
        return f"FAILED: {'; '.join(score.flaws)}"
    if score.complete:
        return "OK: every message was delivered and marked READ"
    return "ended early: every message so far was delivered and marked READ"


def _of(pushed: int, asked: int) -> str:
    return str(pushed) if pushed == asked else f"{pushed} of {asked}"
