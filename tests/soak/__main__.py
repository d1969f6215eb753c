"""`python -m tests.soak`: soaks a relay, judges, and draws."""

import asyncio
import secrets
import sys
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from tests.soak.sample import MIB, Sample, known
from tests.soak.stage import Terms, play
from tests.soak.verdict import Finding, Record, failed, judge

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "soak.svg"
FOLDER = ROOT / "build" / "soak"
_HOUR = 3600.0
_SHOWN_EVERY = 6
_COLUMNS = (
    *("time", "life", "RSS MiB", "fds", "journal", "pending", "offered", "delivered"),
    *("p50 ms", "p99 ms", "CPU ms", "harness"),
)


@click.command()
@click.option("--hours", default=1.0, show_default=True, help="How long; fractions are fine.")
@click.option("--rate", default=500.0, show_default=True, help="Messages a second.")
@click.option("--seed", type=int, help="Of the faults; default: a new one, printed.")
@click.option("--folder", default=FOLDER, type=Path, help="For samples, logs and the picture.")
@click.option("--picture", is_flag=True, help="Draw docs/pictures/soak.svg.")
def main(*, hours: float, rate: float, seed: int | None, folder: Path, picture: bool) -> None:
    """Soak, report, and exit with 1 if any criterion does not hold."""
    from tests.soak.picture import draw  # what is missing must be missed before the hours

    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = (folder / str(seed)).resolve()
    terms = Terms(hours * _HOUR, rate, seed, emptied(folder))
    console = Console(width=140, soft_wrap=True)
    console.print(
        f"{hours:g} h at {rate:g} messages/s, faults from seed {seed}, in {folder},"
        f" finished messages kept for {terms.retention:g} s"
    )
    record = asyncio.run(play(terms, Teller()))
    findings = judge(record)
    _report(console, record, findings)
    file = PICTURE if picture else folder / "soak.svg"
    draw(record, file)
    console.print(f"drawn: {file}, {file.stat().st_size / 1024:.0f} KiB")
    sys.exit(failed(findings))


def emptied(folder: Path) -> Path:
    """Make a folder, without what an earlier soak of this seed has left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()
    return folder


class Teller:
    """Prints a look now and then."""

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self, sample: Sample) -> None:
        """Take a look."""
        if self._looks == 0:
            click.echo("".join(f"{name:>11}" for name in _COLUMNS))
        if self._looks % _SHOWN_EVERY == 0:
            figures = (
                *(sample.at, sample.life, sample.rss / MIB, sample.descriptors),
                *(sample.journal / MIB, sample.pending, sample.offered, sample.delivered),
                *(sample.p50 * 1e3, sample.p99 * 1e3),
            )
            cpu = (sample.relay_cpu, sample.mixin_cpu + sample.receivers_cpu)
            click.echo(
                "".join(f"{figure:>11,.0f}" for figure in figures)
                + "".join(f"{figure:>11.2f}" for figure in cpu)
            )
        self._looks += 1


def _report(console: Console, record: Record, findings: list[Finding]) -> None:
    for complaint in (*record.account.lost, *record.complaints):
        console.print(f"  {complaint}", markup=False)
    table = Table("criterion", "bound", "measured", "verdict")
    for finding in findings:
        verdict = {True: "ok", False: "FAILED", None: "not judged"}[finding.holds]
        table.add_row(finding.name, finding.bound, finding.measured, verdict)
    console.print(table)
    relay = known(one.relay_cpu for one in record.samples)
    harness = known(one.mixin_cpu + one.receivers_cpu for one in record.samples)
    if relay and harness:
        console.print(
            f"CPU time a message: relay {median(relay):.2f} ms, the rest {median(harness):.2f} ms;"
            f" Mixin's side {max(one.mixin_rss for one in record.samples) / MIB:.0f} MiB at most"
        )
    others = known(one.others for one in record.samples)
    if others:
        console.print(
            f"other programs took {median(others):.2f} cores in the median, {max(others):.2f} at"
            " most: with more than a fraction of one, latency and backlogs are theirs"
        )
    console.print("FAILED" if failed(findings) else f"{len(record.faults)} faults, and all is well")


if __name__ == "__main__":
    main()
