"""`relay check`: whether the settings are good, and whether everybody answers."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from relay.commands.failure import Failure
from relay.commands.options import config_option, json_option
from relay.commands.printing import print_table
from relay.commands.settings import read_settings
from relay.config import Settings
from relay.config.draft import KeyPath, setting_name
from relay.probe import ProbeResult, connect_probes


@click.command(name="check")
@config_option
@click.option("--connect", is_flag=True, help="Log in to Blaze; send each endpoint a test event.")
@json_option
def command(config: Path | None, *, connect: bool, as_json: bool) -> None:
    """Validate the settings and print them with secrets masked."""
    settings = read_settings(config)
    if as_json:
        probes = asyncio.run(connect_probes(settings)) if connect else None
        click.echo(json.dumps(_document(settings, probes), indent=2))
    else:
        print_table(("setting", "value"), _rows(settings.shown()))
        print_table(("", ""), [("warning", warning) for warning in settings.warnings])
        probes = asyncio.run(connect_probes(settings)) if connect else None
        print_table(("component", "holds", "detail"), map(_row, probes or ()))
    failed = [probe.component for probe in probes or () if not probe.ok]
    if failed:
        raise Failure(f"--connect: failed: {', '.join(failed)}; expected all to hold")


def _rows(value: Any, path: KeyPath = ()) -> Iterator[tuple[str, str]]:
    """Flatten the settings: a full key path and its value on each line."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _rows(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for position, item in enumerate(value):
            yield from _rows(item, (*path, position))
    else:
        yield setting_name(path), _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(_text, value)) or "-"
        case _:
            return str(value)


def _row(probe: ProbeResult) -> tuple[str, str, str]:
    return probe.component, "yes" if probe.ok else "no", probe.detail


def _document(settings: Settings, probes: Sequence[ProbeResult] | None) -> dict[str, Any]:
    document: dict[str, Any] = {"settings": settings.shown(), "warnings": list(settings.warnings)}
    if probes is not None:
        document["probes"] = [
            {"component": probe.component, "ok": probe.ok, "detail": probe.detail}
            for probe in probes
        ]
    return document
