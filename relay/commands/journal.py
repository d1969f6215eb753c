"""`relay journal`: its keys and size, sealing it anew, copies of it, the way to an older relay."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from relay.commands.desk import at_vault
from relay.commands.failure import Failure, WrongUsage
from relay.commands.family import Family
from relay.commands.kinds import FILE
from relay.commands.options import config_option, json_option
from relay.commands.printing import print_table
from relay.commands.settings import read_settings
from relay.config import Settings
from relay.journal.encryption.file_tools import Resealed, Vault
from relay.journal.encryption.keys_in_use import KeyUse

_COLUMNS = ("key", "use", "messages", "attempts", "unreadable", "endpoints")
_PLAIN = "plain"
_MOST_NAMED = 20


@click.group(name="journal", cls=Family)
def command() -> None:
    """Mind the journal's file: its keys, copies, and schema."""


@command.command()
@config_option
@json_option
def keys(config: Path | None, *, as_json: bool) -> None:
    """List the keys by their ids, with how many rows each seals; last, what is not sealed."""
    settings = read_settings(config)
    uses = _with_idle(at_vault(settings, lambda vault: vault.uses()), settings)
    rows = [asdict(use) | {"use": _use(use.key_id, settings)} for use in uses]
    if as_json:
        click.echo(json.dumps({"keys": rows}, indent=2))
    else:
        print_table(_COLUMNS, [_row(row) for row in rows])
    missing = [str(row["key_id"]) for row in rows if row["use"] == "missing"]
    if missing:
        text = "expected the keys that rows are sealed with; not there:"
        raise Failure(f"journal_key_file: {text} {', '.join(missing)}")


@command.command()
@click.option("--plain", is_flag=True, help="Take every seal off instead.")
@config_option
@json_option
def reseal(config: Path | None, *, plain: bool, as_json: bool) -> None:
    """Seal everything with the first key of journal_key_file.

    Works beside a running relay that has been started with that key, and goes on where it was
    broken off. When no relay runs, it writes the file anew: nothing is left in it of what was there
    before.
    """
    settings = read_settings(config)
    if settings.journal_keys is None:
        raise WrongUsage("journal_key_file: missing; expected the file with the journal's keys")

    async def work(vault: Vault) -> Resealed:
        with _bar() as bar:
            return await vault.reseal(plain=plain, begin=bar.begin, advance=bar.advance)

    resealed = at_vault(settings, work)
    key = None if plain else settings.journal_keys.first.id
    if as_json:
        click.echo(json.dumps({"key": key, **asdict(resealed)}, indent=2))
    else:
        for line in _told(resealed, key):
            click.echo(line)
    failures = [*_failures(resealed)]
    if failures:
        raise Failure(*failures)


@command.command()
@click.argument("file", type=FILE)
@config_option
def backup(file: Path, config: Path | None) -> None:
    """Copy the journal into a new FILE, beside a running relay or without one.

    The copy is as secret as the journal, and of an earlier relay's schema if that is. A relay that
    is started on it delivers again what was unfinished, and says so to the receivers.
    """
    settings = read_settings(config)
    at_vault(settings, lambda vault: vault.back_up(file), outdated=True)
    click.echo(f"{file}: {file.stat().st_size} bytes")


@command.command()
@config_option
def compact(config: Path | None) -> None:
    """Write the journal's file anew, without the free room in it, while no relay runs.

    A relay gives room back by itself, but in a large file of an earlier release only after this.
    It needs as much room again until it is done.
    """

    async def work(vault: Vault) -> tuple[int, int]:
        before = vault.size_bytes()
        await vault.compact()
        return before, vault.size_bytes()

    before, after = at_vault(read_settings(config), work)
    click.echo(f"{before} bytes before, {after} bytes now")


@command.command()
@click.argument("version")
@config_option
def downgrade(version: str, config: Path | None) -> None:
    """Take the journal's schema back to VERSION, for the older relay that had it.

    No relay may run. What that version can't hold must be undone first; the failure says what.
    """
    settings = read_settings(config)
    at_vault(settings, lambda vault: vault.downgrade(version))
    click.echo(f"the journal's schema is {version}: start the relay that had it")


def _use(key_id: str | None, settings: Settings) -> str:
    """Say what the settings do with a key."""
    if key_id is None:
        return "-"
    known = settings.journal_keys.ids if settings.journal_keys else ()
    if key_id not in known:
        return "missing"
    return "seals" if key_id == known[0] else "opens"


def _with_idle(uses: Sequence[KeyUse], settings: Settings) -> list[KeyUse]:
    """Put the keys first that the settings have, whether they seal anything or not."""
    *sealed, plain = uses
    by_id = {use.key_id: use for use in sealed}
    known = settings.journal_keys.ids if settings.journal_keys else ()
    ordered = [by_id.pop(key_id, KeyUse(key_id, 0, 0, 0, 0)) for key_id in known]
    return [*ordered, *by_id.values(), plain]


def _row(row: dict[str, Any]) -> list[str]:
    return [row["key_id"] or _PLAIN, *(str(row[column]) for column in _COLUMNS[1:])]


def _told(resealed: Resealed, key: str | None) -> Iterator[str]:
    done = "unsealed" if key is None else f"sealed with key {key}"
    yield f"{resealed.rows} rows {done}"
    for unneeded in resealed.unneeded:
        yield f"key {unneeded} seals nothing any more: it can be taken out of journal_key_file"
    if resealed.beside_a_relay:
        yield "a relay runs, so the file's free pages may hold what was there before:"
        yield "do this again once while none does, and nothing is left of it"


def _failures(resealed: Resealed) -> Iterator[str]:
    for damaged in resealed.damaged[:_MOST_NAMED]:
        yield f"journal: {damaged}: can't be opened, and stays as it is"
    if (more := len(resealed.damaged) - _MOST_NAMED) > 0:
        yield f"journal: {more} more can't be opened"
    if resealed.lingering:
        yield f"journal: sealed, but not written anew ({resealed.lingering}); do this again"


class _Bar:
    """A bar on a terminal, and silence elsewhere."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("rows", total=None)

    def begin(self, rows: int) -> None:
        """Take note of how many there are."""
        self._progress.update(self._task, total=rows)

    def advance(self, rows: int) -> None:
        """Take note of some that are done."""
        self._progress.advance(self._task, rows)


@contextmanager
def _bar() -> Iterator[_Bar]:
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        yield _Bar(progress)
