"""How commands fail: in lines for a person, never in a traceback."""

from collections.abc import Iterable

import click

ENDED_AT_ONCE = 130
"""The exit code after Ctrl-C, or a second signal, as shells have it for SIGINT."""

_WHOLE = 200
"""Letters of a command's summary; click would cut a sentence at 45."""


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


class Family(click.Group):
    """Commands under one name; an unknown one is refused in a single line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant. Raises `WrongUsage`."""
        if self.get_command(ctx, args[0]) is None:
            known = ", ".join(self.list_commands(ctx))
            raise WrongUsage(f"{args[0]!r}: no such command; expected one of {known}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with a whole sentence each."""
        known = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in known.items() if each]
            )
