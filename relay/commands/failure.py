"""How a command fails: in lines for a person, never in a traceback."""

from collections.abc import Iterable


class Failure(Exception):  # noqa: N818 - what a command came to, not a fault of it
    """The command can't do it; each of `lines` is printed behind `relay: `."""

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


class WrongUsage(Failure):
    """The command line or the settings are wrong: a line for each mistake."""

    exit_code = 2


def require_none(mistakes: Iterable[str | None]) -> None:
    """Raise `WrongUsage` with those mistakes that there are."""
    lines = [mistake for mistake in mistakes if mistake]
    if lines:
        raise WrongUsage(*lines)
