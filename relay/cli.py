"""The command line: which commands there are, and how they fail.

A command's module is imported when it is called and not before: `relay healthcheck` must not wait
for what `relay run` needs. So each has its summary here.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from relay import __version__
from relay.commands.usage import Failure, Family, Param

COMMANDS = {
    "run": "Hold the sockets and relay until SIGTERM or SIGINT.",
    "demo": "See it all work on this machine, with no account.",
    "simulator": "Serve a local Blaze, for developing a webhook.",
    "receiver": "Serve a sample webhook, which verifies and prints.",
    "reload": "Let a running relay go by changed settings of endpoints.",
    "check": "Validate the settings; with --connect log in and send test events.",
    "messages": "Look at messages: list, show.",
    "explain": "Say in plain words what became of a message, and what comes next.",
    "dead-letters": "Look at dead letters, retry or discard them.",
    "endpoints": "Look at endpoints, pause or resume one.",
    "replay": "Send an endpoint again what the journal still holds.",
    "replays": "Look at replays, end one.",
    "journal": "See which keys seal the journal, and seal it anew.",
    "healthcheck": "Ask a running relay whether it is ready.",
    "secret": "Print a new signing secret, or a key for the journal.",
}

_SHARED = {
    **dict.fromkeys(("simulator", "receiver", "demo"), "local_servers"),
    "explain": "messages",
    "replay": "replays",
}
"""Modules of several commands, each a function of its command's name."""

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What shells make of SIGINT and of SIGPIPE."""

WRONG_USAGE = 2


class Commands(Family):
    """The commands by name, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        name = _SHARED.get(cmd_name, cmd_name.replace("-", "_"))
        module: Any = import_module(f"relay.commands.{name}")
        command: click.Command = getattr(module, cmd_name if cmd_name in _SHARED else "command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="relay", message="%(prog)s %(version)s")
def relay() -> None:
    """Relay Mixin Messenger's Blaze messages to webhooks; READ only after every one took them."""


def main() -> None:
    """Run the command line of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # people write what a terminal can't
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command; answers with the exit code. Mistakes and failures are told on stderr."""
    try:
        code = _invoke(list(arguments))
        sys.stdout.flush()
    except click.UsageError as wrong:
        return _say([describe(wrong)], WRONG_USAGE)
    except Failure as failure:
        return _say(failure.lines, failure.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _forget(sys.stdout)
        return PIPE_CLOSED
    return code


def describe(wrong: click.UsageError) -> str:  # noqa: PLR0911 - an arm for each kind of mistake
    """Describe in one line what is wrong with a command line, and what is expected."""
    match wrong:
        case click.exceptions.NoArgsIsHelpError(ctx=click.Context(command=click.Group() as group)):
            return f"COMMAND: missing; expected one of {', '.join(group.list_commands(wrong.ctx))}"
        case click.NoSuchOption():
            near = f"; did you mean {wrong.possibilities[0]}?" if wrong.possibilities else ""
            return f"{wrong.option_name}: no such option{near}"
        case click.MissingParameter(param=click.Parameter(type=Param(expected=expected))):
            return f"{_name(wrong)}: missing; expected {expected}"
        case click.MissingParameter():
            return f"{_name(wrong)}: missing; expected a value"
        case click.BadParameter():
            return f"{_name(wrong)}: {wrong.message}"
        case click.BadOptionUsage():
            what = wrong.message.removeprefix(f"Option {wrong.option_name!r} ")
            return f"{wrong.option_name}: {what.removesuffix('.')}"
        case _:
            return wrong.message


def _name(wrong: click.BadParameter) -> str:
    match wrong.param:
        case click.Option():
            return max(wrong.param.opts, key=len)
        case click.Argument():
            return wrong.param.make_metavar(wrong.ctx) if wrong.ctx else wrong.param.opts[0]
        case _:
            return str(wrong.param_hint)


def _invoke(arguments: list[str]) -> int:
    """Call click below its own `main`, which prints more than a line and exits."""
    try:
        with relay.make_context("relay", arguments) as context:
            return relay.invoke(context) or 0
    except click.exceptions.Exit as done:
        return done.exit_code


def _say(lines: Sequence[str], code: int) -> int:
    for line in lines:
        click.echo(f"relay: {' '.join(line.split())}", err=True)
    return code


def _forget(stream: Any) -> None:
    """Redirect a closed pipe: Python would complain as it flushes it while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
