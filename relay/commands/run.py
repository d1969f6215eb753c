"""`relay run`: the service."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from relay.commands.failure import Failure
from relay.commands.options import config_option
from relay.commands.settings import read_settings
from relay.config import Settings, load_settings
from relay.journal.engines.sqlite.lock import JournalRefused
from relay.model.ports import JournalUnavailable
from relay.process import run_loop
from relay.service import run
from relay.web.server import ListenFailed


@click.command(name="run")
@config_option
def command(config: Path | None) -> int:
    """Hold the sockets and relay until SIGTERM or SIGINT; SIGHUP reloads the settings."""
    return serve(read_settings(config), lambda: load_settings(config, os.environ))


def serve(settings: Settings, read: Callable[[], Settings]) -> int:
    """Run the service, whose reloads call `read`; answers with the exit code.

    Raises `Failure` if it can't start.
    """
    try:
        return run_loop(run(settings, read))
    except JournalRefused as refused:
        raise Failure(f"journal {refused}") from None
    except JournalUnavailable as unavailable:
        raise Failure(f"journal: {unavailable}") from None
    except ListenFailed as failed:
        raise Failure(f"listen: {failed}") from None
