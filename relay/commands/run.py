"""`relay run`: the service."""

import asyncio
import gc
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay import __version__
from relay.commands.usage import ENDED_AT_ONCE, Failure, config_option
from relay.commands.with_journal import read_settings

if TYPE_CHECKING:
    from relay.config import Settings

AGAIN_AFTER = 1.0
"""Seconds; sooner it is the first signal again, which terminals and service managers pass on."""


@click.command(name="run")
@config_option
def command(config: Path | None) -> int:
    """Hold the sockets and relay until SIGTERM or SIGINT; SIGHUP reloads the settings."""
    gc.disable()  # until all is loaded: collecting meanwhile finds nothing, and takes 0.1 s
    settings = read_settings(config)
    from relay.config import load_settings
    from relay.journal.sqlite.lock import JournalRefused
    from relay.model.ports import JournalUnavailable
    from relay.process import run_loop
    from relay.web.server import ListenFailed

    try:
        return run_loop(run(settings, lambda: load_settings(config, os.environ)))
    except JournalRefused as refused:
        raise Failure(f"journal {refused}") from None
    except JournalUnavailable as unavailable:
        raise Failure(f"journal: {unavailable}") from None
    except ListenFailed as failed:
        raise Failure(f"listen: {failed}") from None


async def run(settings: "Settings", read: Callable[[], "Settings"]) -> int:
    """Run the relay until SIGTERM or SIGINT; answers with the exit code. SIGHUP reads anew."""
    from relay.config.changes import endpoints_of
    from relay.config.policies import secrets_of
    from relay.process import ServiceManager, freeze_memory
    from relay.service import Service
    from relay.telemetry.event_bus import Voice
    from relay.telemetry.logs import configure_logging
    from relay.telemetry.metrics import Metrics
    from relay.telemetry.redaction import Redactor

    redactor = Redactor(secrets_of(settings))
    log = configure_logging(settings.log_level, settings.log_format, redactor=redactor)
    bots, endpoints = [bot.name for bot in settings.bots], endpoints_of(settings.bots)
    metrics = Metrics(version=__version__, bots=bots, endpoints=endpoints)

    def prepare(new: "Settings") -> None:
        redactor.learn(secrets_of(new))
        for warning in new.warnings:
            log.warning("settings.doubtful", detail=warning)

    prepare(settings)
    manager = ServiceManager.of(os.environ)
    follow = [] if manager is None else [manager]
    voice = Voice(metrics, log)
    service = Service(settings, voice, metrics, read=read, prepare=prepare, follow=follow)
    freeze_memory()
    with _told_by_signals(service.stop, service.reload_soon):
        return 0 if await service.run() else 1


@contextmanager
def _told_by_signals(stop: Callable[[str], None], reload: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP reload, and SIGTERM or SIGINT stop; the second of these ends it at once."""
    loop, first_at = asyncio.get_running_loop(), math.inf
    signals = (signal.SIGTERM, signal.SIGINT)

    def received(number: signal.Signals) -> None:
        nonlocal first_at
        if loop.time() >= first_at + AGAIN_AFTER:  # at once, even if a disk or a receiver hangs
            sys.stderr.flush()
            os._exit(ENDED_AT_ONCE)
        if first_at == math.inf:
            first_at = loop.time()
            stop(number.name)

    for number in signals:
        loop.add_signal_handler(number, received, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number in (*signals, signal.SIGHUP):
            loop.remove_signal_handler(number)
