"""Options that several commands have."""

from typing import Any, TypeVar

import click

from relay.commands.kinds import FILE

F = TypeVar("F", bound=Any)


def config_option(function: F) -> F:
    """Add `--config`, as `relay run` has it."""
    help_text = "The settings file; default: the one that RELAY_CONFIG names, if any."
    return click.option("--config", type=FILE, metavar="FILE", help=help_text)(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    help_text = "Print one JSON document, for programs."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(function)
