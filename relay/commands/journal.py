"""`relay journal`: its keys and size, sealing it anew, copies of it, the way to an older relay."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.commands.output import print_json, print_table, progress
from relay.commands.usage import FILE, Failure, Family, WrongUsage, config_option, json_option
from relay.commands.with_journal import read_settings, with_file_tools

if TYPE_CHECKING:
    from relay.journal.encryption.file_tools import FileTools

_COUNTS = ("use", "messages", "attempts", "unreadable", "endpoints")
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
    known = settings.journal_keys.ids if settings.journal_keys else ()
    uses = with_file_tools(settings, lambda tools: tools.uses())
    rows = [asdict(use) | {"use": _use(use.key_id, known)} for use in _in_order(uses, known)]
    if as_json:
        print_json({"keys": rows})
    else:
        of_key = [(row["key_id"] or _PLAIN, *(str(row[name]) for name in _COUNTS)) for row in rows]
        print_table(("key", *_COUNTS), of_key)
    missing = [row["key_id"] for row in rows if row["use"] == "missing"]
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

    async def work(tools: "FileTools") -> Any:
        with progress("rows") as (begin, advance):
            return await tools.reseal(plain=plain, begin=begin, advance=advance)

    resealed = with_file_tools(settings, work)
    key = None if plain else settings.journal_keys.first.id
    if as_json:
        print_json({"key": key, **asdict(resealed)})
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
    with_file_tools(read_settings(config), lambda tools: tools.back_up(file), outdated=True)
    click.echo(f"{file}: {file.stat().st_size} bytes")


@command.command()
@config_option
def compact(config: Path | None) -> None:
    """Write the journal's file anew, without the free room in it, while no relay runs.

    A relay gives room back by itself, but in a large file of an earlier release only after this.
    It needs as much room again until it is done.
    """

    async def work(tools: "FileTools") -> tuple[int, int]:
        before = tools.size_bytes()
        await tools.compact()
        return before, tools.size_bytes()

    before, after = with_file_tools(read_settings(config), work)
    click.echo(f"{before} bytes before, {after} bytes now")


@command.command()
@click.argument("version", required=False)
@config_option
def downgrade(version: str | None, config: Path | None) -> None:
    """Take the journal's schema back to VERSION, or to the one before, for the relay that had it.

    No relay may run. What that version can't hold must be undone first; the failure says what. Make
    a copy before: relay journal backup.
    """
    now = with_file_tools(read_settings(config), lambda tools: tools.downgrade(version))
    click.echo(f"the journal's schema is {now}: start the relay that had it")


def _in_order(uses: Sequence[Any], known: Sequence[str]) -> list[Any]:
    """Put the keys first that the settings have, whether they seal anything or not."""
    *sealed, plain = uses
    by_id = {use.key_id: use for use in sealed}
    idle = type(plain)
    ordered = [by_id.pop(key_id, idle(key_id, 0, 0, 0, 0)) for key_id in known]
    return [*ordered, *by_id.values(), plain]


def _use(key_id: str | None, known: Sequence[str]) -> str:
    """Return what the settings do with a key."""
    if key_id is None:
        return "-"
    if key_id not in known:
        return "missing"
    return "seals" if key_id == known[0] else "opens"


def _told(resealed: Any, key: str | None) -> Iterator[str]:
    done = "unsealed" if key is None else f"sealed with key {key}"
    yield f"{resealed.rows} rows {done}"
    for unneeded in resealed.unneeded:
        yield f"key {unneeded} seals nothing any more: it can be taken out of journal_key_file"
    if resealed.beside_a_relay:
        yield "a relay runs, so the file's free pages may hold what was there before:"
        yield "do this again once while none does, and nothing is left of it"


def _failures(resealed: Any) -> Iterator[str]:
    for damaged in resealed.damaged[:_MOST_NAMED]:
        yield f"journal: {damaged}: can't be opened, and stays as it is"
    if (more := len(resealed.damaged) - _MOST_NAMED) > 0:
        yield f"journal: {more} more can't be opened"
    if resealed.lingering:
        yield f"journal: sealed, but not written anew ({resealed.lingering}); do this again"
