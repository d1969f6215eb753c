"""All that `make bench` measures: the floor and then the relay, round after round; the table."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

import click

from tests.bench.run import PEERS, RELAY, Run, carry, memory
from tests.bench.world import Load

IN_FLIGHT = 64
_STEP = 1.1
"""From one rate to the next, where the highest is looked for."""

_COARSE = 1.4
_LATEST = 0.05
"""Seconds from push to webhook that the 99th percentile of a rate that holds stays below."""

_DRIFT = 0.05
"""Seconds by which READ may be later at the end of such a load than at its beginning."""

_BUSY = 0.8
"""Of a core: a harness busier than that may be what sets the limit."""

_NOISE = 0.1
"""Of the machine: with more of it used by others the figures are upper bounds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; seconds."""

    rounds: int = 3
    backlog: int = 20_000
    seconds: float = 10.0
    rates: Sequence[int] = (500, 100)
    ladder: Sequence[int] = ()


def ladder(low: int, high: int, step: float) -> list[int]:
    """Give rates from low to high, each so many times the one before."""
    rungs = int(math.log(high / low, step))
    return [round(low * step**rung) for rung in range(rungs + 1)]


WHOLE = Plan(ladder=ladder(250, 12_000, _STEP))
QUICK = Plan(rounds=1, backlog=4_000, seconds=2.0, ladder=ladder(250, 12_000, _COARSE))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run, in a unit."""

    name: str
    read: Callable[[Run], float]
    unit: str


CPU = Figure("CPU a message", lambda run: run.cpu * 1e6, "µs")
RATE = Figure("messages/s", lambda run: run.rate, "")
P99 = Figure("push → webhook, p99", lambda run: run.p99 * 1e3, "ms")
PEAK = Figure("memory at most", lambda run: run.peak, "MiB")


@dataclass(frozen=True, slots=True)
class Case:
    """One load, and what is read off its runs."""

    title: str
    load: Load
    figures: Sequence[Figure]
    tls: bool = False
    concurrency: int | None = None


def cases(plan: Plan) -> list[Case]:
    """List the loads of a plan."""
    backlog, some = plan.backlog, max(1, plan.backlog // 4)
    return [
        Case(f"a backlog of {backlog:,}", Load(backlog), (CPU, RATE, PEAK)),
        Case("the same over TLS", Load(backlog), (CPU, RATE), tls=True),
        Case("the same to three endpoints", Load(backlog, endpoints=3), (CPU, RATE)),
        *(
            Case(f"{rate}/s, live", Load(int(rate * plan.seconds), float(rate)), (CPU, P99))
            for rate in plan.rates
        ),
        Case(
            f"a receiver that takes 50 ms, {IN_FLIGHT} in flight",
            Load(some, delay=0.05),
            (RATE,),
            concurrency=IN_FLIGHT,
        ),
    ]


class Table:
    """Rows of Markdown: what, for the floor, for the relay, and the ratio."""

    def __init__(self) -> None:
        self.lines = ["| | | floor | relay | ratio |", "| --- | --- | --- | --- | --- |"]

    def add(self, title: str, figure: str, unit: str, rounds: Sequence[Sequence[float]]) -> None:
        """Add a figure, for each round that of the floor and that of the relay, as medians."""
        floor, relay = (median(values) for values in zip(*rounds, strict=True))
        ratios = [ours / least for least, ours in rounds if least]
        ratio = f"{median(ratios):.2f}" if ratios else "-"
        cells = (title, figure, _words(floor, unit), _words(relay, unit), ratio)
        self.lines.append(f"| {' | '.join(cells)} |")

    def __str__(self) -> str:
        return "\n".join(self.lines)


def _words(value: float, unit: str) -> str:
    if not value:
        return "-"
    return f"{value:,.1f} {unit}" if unit == "ms" else f"{value:,.0f} {unit}".strip()


async def play(plan: Plan) -> tuple[str, list[str]]:
    """Measure all of a plan; answers with the table, and with what was wrong."""
    table, remarks, most_foreign = Table(), [], 0.0
    for case in cases(plan):
        rounds = []
        for number in range(1, plan.rounds + 1):
            runs = [await _run(peer, case, number) for peer in PEERS]
            rounds.append(runs)
            remarks += [f"{case.title}: {wrong}" for run in runs for wrong in run.wrong]
            most_foreign = max(most_foreign, *(run.others for run in runs))
        for figure in case.figures:
            values = [[figure.read(run) for run in runs] for runs in rounds]
            table.add(case.title, figure.name, figure.unit, values)
    if plan.ladder:
        highest_of = [await capacity(peer, plan) for peer in PEERS]
        table.add("highest live rate, p99 below 50 ms", "messages/s", "", [highest_of])
    idle = [await memory(peer, 0) for peer in PEERS]
    table.add("idle", "memory", "MiB", [idle])
    pending = await memory(RELAY, plan.backlog)
    table.add(f"{plan.backlog:,} pending", "memory", "MiB", [[0.0, pending]])
    if most_foreign > _NOISE:
        table.lines.append("")
        table.lines.append(f"Others used up to {most_foreign:.0%} of the machine meanwhile.")
    return str(table), remarks


async def _run(peer: str, case: Case, number: int) -> Run:
    run = await carry(peer, case.load, tls=case.tls, concurrency=case.concurrency)
    _say(f"{number}. {case.title}", peer, run)
    return run


def _say(title: str, peer: str, run: Run) -> None:
    click.echo(
        f"{title}: {peer}: {run.cpu * 1e6:.0f} µs, {run.rate:.0f}/s, p99 {run.p99 * 1e3:.1f} ms; "
        f"harness {run.harness:.0%}, others {run.others:.0%} {'; '.join(run.wrong)}",
        err=True,
    )


# --- Capacity -------------------------------------------------------------------------------------


async def capacity(peer: str, plan: Plan) -> float:
    """Find the highest live rate of the plan's that a peer sustains; 0 if none."""

    async def holds(rate: int) -> bool:
        run = await carry(peer, Load(int(rate * plan.seconds), float(rate)))
        _say(f"capacity, {rate}/s", peer, run)
        if run.harness > _BUSY:
            click.echo("the harness may be the limit", err=True)
        return not run.wrong and run.p99 < _LATEST and run.drift < _DRIFT

    return await highest(plan.ladder, holds)


async def highest(rates: Sequence[int], holds: Callable[[int], Awaitable[bool]]) -> int:
    """Find the highest rate that holds by bisection; a rate that fails is tried once more."""
    low, high = 0, len(rates)
    while low < high:
        middle = (low + high) // 2
        if await holds(rates[middle]) or await holds(rates[middle]):
            low = middle + 1
        else:
            high = middle
    return rates[low - 1] if low else 0
