"""`relay check`: whether the settings are good, and whether everybody answers."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from relay.commands.output import print_json, print_table
from relay.commands.usage import Failure, config_option, json_option
from relay.commands.with_journal import read_settings


@click.command(name="check")
@config_option
@click.option("--connect", is_flag=True, help="Log in to Blaze; send each endpoint a test event.")
@json_option
def command(config: Path | None, *, connect: bool, as_json: bool) -> None:
    """Validate the settings and print them with secrets masked."""
    settings = read_settings(config)
    shown = settings.shown()
    if not as_json:
        print_table(("setting", "value"), _rows(shown))
        print_table(("", ""), [("warning", warning) for warning in settings.warnings])
    probes = []
    if connect:
        import asyncio

        from relay.probe import connect_probes

        probes = asyncio.run(connect_probes(settings))
    if as_json:
        document = {"settings": shown, "warnings": list(settings.warnings)}
        print_json(document | ({"probes": [*map(asdict, probes)]} if connect else {}))
    else:
        holds = [(each.component, "yes" if each.ok else "no", each.detail) for each in probes]
        print_table(("component", "holds", "detail"), holds)
    failed = [probe.component for probe in probes if not probe.ok]
    if failed:
        raise Failure(f"--connect: failed: {', '.join(failed)}; expected all to hold")


def _rows(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Flatten the settings: a full key path and its value on each line."""
    from relay.config.draft import setting_name

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
