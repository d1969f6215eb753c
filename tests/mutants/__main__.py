"""Break the core on purpose, one mutant at a time, and see that the tests notice.

`python -m tests.mutants [NAME …]`; exit 1 if a mutant survives, or no longer applies.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.nursery import Fate, Nursery, Report

AT_ONCE = 2
_WIDTH = 180
_STYLES = {Fate.CAUGHT: "green", Fate.SURVIVED: "bold red", Fate.STALE: "red", Fate.BROKEN: "red"}


def main(names: Sequence[str]) -> int:
    """Judge the named mutants, or all of them."""
    console = Console()
    mutants = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    if missing := set(names) - {mutant.name for mutant in mutants}:
        console.print(f"no such mutant: {', '.join(sorted(missing))}")
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        nurseries = [Nursery(_made(Path(directory) / str(n))) for n in range(AT_ONCE)]
        if output := nurseries[0].healthy(test for each in mutants for test in each.tests):
            console.print(output, markup=False)
            console.print("the tests fail without any mutant", style="bold red")
            return 1
        reports = list(_judge(mutants, nurseries, console))
    return _conclude(sorted(reports, key=lambda report: mutants.index(report.mutant)), console)


def _judge(
    mutants: Sequence[Mutant], nurseries: Sequence[Nursery], console: Console
) -> Iterator[Report]:
    free: SimpleQueue[Nursery] = SimpleQueue()
    for nursery in nurseries:
        free.put(nursery)

    def judge(mutant: Mutant) -> Report:
        with _one_of(free) as nursery:
            return nursery.judge(mutant)

    with ThreadPoolExecutor(len(nurseries)) as pool:
        for report in pool.map(judge, mutants):
            console.print(f"{report.fate:8} {report.mutant.name}", style=_STYLES[report.fate])
            yield report


@contextmanager
def _one_of(free: "SimpleQueue[Nursery]") -> Iterator[Nursery]:
    nursery = free.get()
    try:
        yield nursery
    finally:
        free.put(nursery)


def _conclude(reports: Sequence[Report], console: Console) -> int:
    table = Table("mutant", "file", "fate", "by", "s", title=f"{len(reports)} mutants")
    console.width = max(console.width, _WIDTH)
    for report in reports:
        table.add_row(
            report.mutant.name,
            report.mutant.file.removeprefix("relay/"),
            f"[{_STYLES[report.fate]}]{report.fate}",
            escape(report.by),
            f"{report.seconds:.1f}",
        )
    console.print(table)
    lived = [report for report in reports if report.fate is not Fate.CAUGHT]
    for report in lived:
        console.print(f"{report.mutant.name}: {report.mutant.why}", style=_STYLES[report.fate])
    return 1 if lived else 0


def _made(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
