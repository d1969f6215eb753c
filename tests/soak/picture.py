"""Draws a soak: what was measured over time, with every fault marked.

Needs what is in tests/deploy/pictures.lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from tests.soak.plan import AWAY, KILL, Fault
from tests.soak.sample import MIB, Sample, thinned
from tests.soak.verdict import MOST_RSS, Record

INK, FAINT, GRID = "#24292e", "#6e7680", "#e4e7eb"
_BLUE, _RED, _GREEN = "#3274d9", "#e02f44", "#56a64b"
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small files, and words that can be searched
    "svg.hashsalt": "blaze-relay",  # the same picture has the same bytes
    "path.simplify_threshold": 0.5,
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 8,
    "axes.edgecolor": GRID,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}
_WIDTH, _ROW, _HEAD = 11.0, 1.25, 0.75
_MILLI = 1e3
_OF_AWAY, _OF_OTHERS = 0.28, 0.14


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its colour, and how it is read off a look."""

    name: str
    color: str
    look: Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One chart."""

    title: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    bound: float | None = None


ROWS = (
    Row(
        "memory (RSS), MiB",
        (Series("relay", _BLUE, lambda one: one.rss / MIB),),
        bound=MOST_RSS / MIB,
    ),
    Row(
        "file descriptors, threads",
        (
            Series("descriptors", _BLUE, lambda one: one.descriptors),
            Series("threads", _GREEN, lambda one: one.threads),
        ),
    ),
    Row(
        "journal on disk, MiB", (Series("database and WAL", _BLUE, lambda one: one.journal / MIB),)
    ),
    Row("messages not yet READ", (Series("pending", _BLUE, lambda one: float(one.pending)),)),
    Row(
        "messages a second",
        (
            Series("delivered", _BLUE, lambda one: one.delivered),
            Series("offered", _RED, lambda one: one.offered),
        ),
    ),
    Row(
        "from push to 2xx, ms",
        (
            Series("p99", _RED, lambda one: one.p99 * _MILLI),
            Series("p50", _BLUE, lambda one: one.p50 * _MILLI),
        ),
        logarithmic=True,
    ),
    Row("the relay's CPU time a message, ms", (Series("ms", _BLUE, lambda one: one.relay_cpu),)),
)


def draw(record: Record, file: Path) -> None:
    """Draw it as SVG; the same record gives the same bytes."""
    with mpl.rc_context(_STYLE):
        height = len(ROWS) * _ROW + _HEAD
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        charts = figure.subplots(len(ROWS), 1, sharex=True)
        figure.subplots_adjust(
            left=0.06, right=0.985, top=1 - _HEAD / height, bottom=0.04, hspace=0.42
        )
        figure.text(0.06, 1 - 0.3 / height, _title(record), fontsize=11, fontweight="bold")
        figure.text(0.06, 1 - 0.5 / height, _LEGEND, color=FAINT)
        for chart, row in zip(charts, ROWS, strict=True):
            _draw_row(chart, row, record)
        charts[-1].set_xlim(0, max(one.at for one in record.samples) / 60)
        charts[-1].set_xlabel("minutes", color=FAINT, labelpad=1)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


_LEGEND = (
    "red band: the receivers are away; grey: another fault; "
    "broken line: kill -9, what follows is a new process"
)


def _title(record: Record) -> str:
    kills = sum(fault.name == KILL for fault in record.faults)
    return (
        f"{record.seconds / 60:.3g} minutes at {record.rate:g} messages/s: "
        f"{record.account.written:,} messages, {len(record.faults)} faults, {kills} kills"
    )


def _draw_row(chart: Axes, row: Row, record: Record) -> None:
    chart.set_title(row.title, loc="left", fontsize=8.5, color=INK, pad=3)
    chart.grid(visible=True, axis="y", color=GRID, linewidth=0.6)
    chart.spines[["top", "right"]].set_visible(False)
    _mark(chart, record.faults)
    for series in row.series:
        at, values = thinned(record.samples, series.look)
        chart.plot(at, values, color=series.color, linewidth=0.9, label=series.name)
    if row.logarithmic:
        chart.set_yscale("log")
    else:
        chart.set_ylim(0, None if row.bound is None else row.bound * 1.1)
    if row.bound is not None:
        chart.axhline(row.bound, color=_RED, linewidth=0.9, linestyle=":")
    if len(row.series) > 1:
        chart.legend(
            loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, frameon=False, borderpad=0
        )


def _bands(chart: Axes, faults: Sequence[Fault], color: str, alpha: float) -> None:
    """Shade the time of all these faults by one path, which keeps the file small."""
    corners = [
        corner
        for fault in faults
        for begin, end in [(fault.at / 60, fault.end / 60)]
        for corner in ((begin, 0), (begin, 1), (end, 1), (end, 0), (begin, 0))
    ]
    if not corners:
        return
    steps = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * len(faults)
    across = chart.get_xaxis_transform()
    outline = Outline(corners, steps)
    chart.add_patch(PathPatch(outline, transform=across, facecolor=color, alpha=alpha, linewidth=0))


def _mark(chart: Axes, faults: Sequence[Fault]) -> None:
    """Mark the faults, each kind in its way."""
    kills = [fault.at / 60 for fault in faults if fault.name == KILL]
    across = chart.get_xaxis_transform()
    chart.vlines(kills, 0, 1, transform=across, color=INK, linewidth=0.8, linestyle="--")
    _bands(chart, [one for one in faults if one.name == AWAY], _RED, _OF_AWAY)
    others = [one for one in faults if one.name not in {AWAY, KILL}]
    _bands(chart, others, FAINT, _OF_OTHERS)
