"""A group of commands that refuses an unknown one in a single line."""

import click

from relay.commands.failure import WrongUsage


class Family(click.Group):
    """Commands under one name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant. Raises `WrongUsage`."""
        if self.get_command(ctx, args[0]) is None:
            known = ", ".join(self.list_commands(ctx))
            raise WrongUsage(f"{args[0]!r}: no such command; expected one of {known}")
        return super().resolve_command(ctx, args)
