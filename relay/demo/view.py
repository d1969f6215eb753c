"""How a person follows the demo: live on a terminal, in plain lines everywhere else."""

from typing import Protocol, Self, TextIO

from rich.console import Console

from relay.demo.board import Passage
from relay.demo.live import LiveView
from relay.demo.plain import PlainView
from relay.demo.score import Score


class View(Protocol):
    """Hears of steps and shows them when it is refreshed; entered before the first."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def hear(self, passage: Passage) -> None:
        """Take note of a message's step. Never writes: the relay waits for it."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def refresh(self, score: Score) -> None:
        """Show what is new."""

    def sum_up(self, score: Score, *, metrics: str) -> None:
        """Show the counts at the end."""


def choose_view(out: TextIO) -> View:
    """Give the view that fits what standard output is; colours asked for change nothing."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if out.isatty() and console.is_interactive:
        return LiveView(console)
    return PlainView(out)
