"""What command lines hold, kinds of values and shared options, and how commands fail: in lines."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from relay.admin import parameters
from relay.admin.parameters import Kind, Parameter
from relay.model.times import TIME_FORM, parse_duration, parse_time

F = TypeVar("F", bound=Callable[..., Any])

_DIGITS = 9
"""More than anybody means, and int() stays quick."""

_HIGHEST_RATE = 100_000.0
_METAVARS = {"bot": "NAME", "endpoint": "NAME", "conversation_id": "ID", "older_than": "AGE"}


class Param(click.ParamType):  # type: ignore[type-arg] # generic only since click 8.5
    """A value on the command line; a wrong one is refused with what is expected."""

    name = "text"

    def __init__(self, expected: str, read: Callable[[str], Any]) -> None:
        self.expected = expected
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a value; a default that is no text passes."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except (ValueError, LookupError):
            self.fail(f"{value!r}: expected {self.expected}", param, ctx)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
        raise ValueError(text)
    return int(text)


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number <= _HIGHEST_RATE:
        raise ValueError(text)
    return number


def _time(text: str) -> float:
    """Read a time in Unix seconds; a duration is so long ago, a date begins at midnight in UTC."""
    with suppress(ValueError):
        return time.time() - parse_duration(text)
    with suppress(ValueError):
        return parse_time(f"{date.fromisoformat(text).isoformat()}T00:00:00Z")
    return parse_time(text)


def _listen(text: str) -> Any:
    from relay.config.addresses import parse_listen

    return parse_listen(text)


COUNT = Param("a whole number from 1", _count)
RATE = Param("messages a second, from 0", _rate)
MESSAGE_ID = Param("a message's id, which is a UUID", lambda text: str(UUID(text)))
FILE = Param("the path of a file", Path)
TIME = Param(f"{TIME_FORM}, a date, or an age such as 2h", _time)
LISTEN = Param("HOST:PORT such as 0.0.0.0:8080 or [::1]:8080", _listen)


def config_option(function: F) -> F:
    """Add `--config`, as `relay run` has it."""
    help_text = "The settings file; default: the one that RELAY_CONFIG names, if any."
    return click.option("--config", type=FILE, metavar="FILE", help=help_text)(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    help_text = "Print one JSON document, for programs."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(function)


def url_option(function: F) -> F:
    """Add `--url`."""
    help_text = "Base of the HTTP surface; default: here, at `listen`."
    return click.option("--url", metavar="URL", help=help_text)(function)


def filter_options(filters: Mapping[str, Parameter]) -> Callable[[F], F]:
    """Add an option for each filter of a list; the function gets it by the filter's name."""

    def add(function: F) -> F:
        for name, each in reversed([*filters.items()]):
            option = f"--{name.removesuffix('_id').replace('_', '-')}"
            metavar = _METAVARS.get(name, "TIME" if each.kind is parameters.TIME else name.upper())
            about = f"{each.about[0].upper()}{each.about[1:]}."
            function = click.option(
                option, name, type=_param(each.kind), metavar=metavar, help=about
            )(function)
        return function

    return add


def _param(kind: Kind) -> Param:
    return TIME if kind is parameters.TIME else Param(kind.expected, kind.read)


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
