"""Draws panels as Grafana would lay them out, from what Prometheus answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tests.deploy.draw_values import Line, Scale, color_at, humanize, lines_of, rgb, unit_size

COLUMNS = 24
COLUMN_WIDTH = 0.62
ROW_HEIGHT = 0.36
"""Inches for one cell of Grafana's grid."""

HEAD = 0.45
GAP = 0.07
MOST_IN_LEGEND = 6
TICK_WIDTH = 0.55
"""Inches for one time below an axis."""

INK, FAINT, GRID = "#24292e", "#6e7680", "#e4e7eb"

mpl.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small files, and words that can be searched
        "svg.hashsalt": "blaze-relay",  # the same picture has the same bytes
        "font.family": "sans-serif",
        "font.sans-serif": ["Inter", "Helvetica", "Arial", "DejaVu Sans"],
        "font.size": 8,
        "axes.edgecolor": GRID,
        "text.color": INK,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
    }
)

Panel = Mapping[str, Any]


def draw_row(title: str, panels: Sequence[Panel], seen: Mapping[str, Any], path: Path) -> None:
    """Draw one row of the dashboard as one picture."""
    top = min(panel["gridPos"]["y"] for panel in panels)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, height = COLUMNS * COLUMN_WIDTH, (bottom - top) * ROW_HEIGHT + HEAD
    figure = Figure(figsize=(width, height), facecolor="#f4f5f7")
    figure.text(0.06 / width, 1 - 0.28 / height, title, fontsize=12, fontweight="bold")
    for panel in panels:
        place = panel["gridPos"]
        left, low = place["x"] * COLUMN_WIDTH, (bottom - place["y"] - place["h"]) * ROW_HEIGHT
        size = (place["w"] * COLUMN_WIDTH - GAP, place["h"] * ROW_HEIGHT - GAP)
        draw_panel(figure, panel, seen, (left + GAP / 2, low + GAP / 2), size)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def draw_panel(
    figure: Figure,
    panel: Panel,
    seen: Mapping[str, Any],
    place: tuple[float, float],
    size: tuple[float, float],
) -> None:
    """Draw one panel at a place, both in inches."""
    scale = Scale.of(seen)
    lines = lines_of(panel, seen["panels"][str(panel["id"])], scale)
    width, height = size
    box = _axes(figure, place, (0, 0), size)
    box.set_axis_off()
    box.add_patch(Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=GRID, linewidth=1))
    title = (0.1 / width, 1 - 0.12 / height)
    box.text(*title, panel["title"], fontsize=9, fontweight="bold", va="top")
    match panel["type"]:
        case "stat":
            _draw_stat(box, panel, lines)
        case "bargauge":
            inside = _axes(figure, place, (0.12, 0.15), (width - 0.24, height - 0.55))
            _draw_bars(inside, panel, lines)
        case "state-timeline":
            inside = _axes(figure, place, (1.45, 0.38), (width - 1.6, height - 0.78))
            _draw_states(inside, panel, lines, scale)
        case _:
            rows = (min(len(_legend(lines)), MOST_IN_LEGEND) + 1) // 2
            below = 0.34 + 0.17 * rows
            inside = _axes(figure, place, (0.62, below), (width - 0.78, height - below - 0.42))
            _draw_series(inside, panel, lines, scale)


def _axes(
    figure: Figure,
    place: tuple[float, float],
    inset: tuple[float, float],
    size: tuple[float, float],
) -> Axes:
    width, height = figure.get_size_inches()
    left, low = place[0] + inset[0], place[1] + inset[1]
    axes: Axes = figure.add_axes((left / width, low / height, size[0] / width, size[1] / height))
    return axes


# --- The kinds of panels --------------------------------------------------------------------------


def _draw_stat(box: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    line = lines[0]
    color = ink = rgb(color_at(panel, line.last))
    if panel["options"]["colorMode"] == "background":
        ink = "white"
        box.add_patch(Rectangle((0, 0), 1, 1, facecolor=color, edgecolor="white", linewidth=2))
        box.texts[0].set_color(ink)
    middle = {"ha": "center", "va": "center", "color": ink}
    box.text(0.5, 0.42, humanize(panel, line.last), fontsize=17, fontweight="bold", **middle)
    if panel["options"]["textMode"] == "value_and_name":
        box.text(0.5, 0.2, line.name, fontsize=8, **middle)


def _draw_bars(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    most = max([line.last for line in lines] + [1.0])
    for row, line in enumerate(lines):
        y = -row
        axes.add_patch(Rectangle((0.4, y - 0.32), 0.46, 0.64, facecolor="#eef0f3"))
        bar = 0.46 * line.last / most
        axes.add_patch(Rectangle((0.4, y - 0.32), bar, 0.64, facecolor=rgb(line.color)))
        axes.text(0.385, y, line.name, ha="right", va="center", fontsize=7.5)
        axes.text(0.875, y, humanize(panel, line.last), va="center", fontsize=8.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(-len(lines) + 0.4, 0.6)
    axes.set_axis_off()


def _draw_states(axes: Axes, panel: Panel, lines: Sequence[Line], scale: Scale) -> None:
    for row, line in enumerate(lines):
        for start, end, value in line.stretches():
            axes.add_patch(
                Rectangle(
                    (start, -row - 0.4), end - start, 0.8, facecolor=rgb(color_at(panel, value))
                )
            )
            text = humanize(panel, value)
            if end - start > 0.022 * len(text) * scale.minutes:
                middle = (start + end) / 2
                axes.text(middle, -row, text, color="white", ha="center", va="center", fontsize=7)
    axes.set_yticks([-row for row in range(len(lines))], [line.name for line in lines])
    axes.set_ylim(-len(lines) + 0.4, 0.6)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    _time_axis(axes, scale)


def _draw_series(axes: Axes, panel: Panel, lines: Sequence[Line], scale: Scale) -> None:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    if custom["stacking"]["mode"] == "normal":
        _draw_stacked(axes, lines, bars=custom["drawStyle"] == "bars")
    else:
        for line in lines:
            _draw_line(axes, line, custom)
    most = max([value for line in lines for value in line.shown] + [0.0])
    _draw_threshold(axes, panel, most, scale)
    top = most * 1.1 or 1.0
    unit = unit_size(panel, most)
    ticks = [tick * unit for tick in MaxNLocator(5).tick_values(0, top / unit)]
    axes.set_yticks(ticks, [humanize(panel, tick) for tick in ticks])
    axes.set_ylim(0, top)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _time_axis(axes, scale)
    _draw_legend(axes, panel, lines)


def _draw_line(axes: Axes, line: Line, custom: Mapping[str, Any]) -> None:
    style = {**custom, **line.custom}
    if style["drawStyle"] == "bars":
        axes.bar(line.times, line.shown, width=line.step, color=rgb(line.color), alpha=0.7)
        return
    dashed = "lineStyle" in style
    axes.plot(
        line.times, line.shown, color=rgb(line.color), linewidth=1.2, ls="--" if dashed else "-"
    )
    if style["fillOpacity"]:
        axes.fill_between(line.times, line.shown, color=rgb(line.color), alpha=0.12, linewidth=0)


def _draw_stacked(axes: Axes, lines: Sequence[Line], *, bars: bool) -> None:
    times = sorted({time for line in lines for time in line.times})
    stacks = [[line.at(time) for time in times] for line in lines if max(line.shown) > 0]
    colors = [rgb(line.color) for line in lines if max(line.shown) > 0]
    if not stacks:
        return
    axes.stackplot(times, stacks, colors=colors, alpha=0.75, step="mid" if bars else None)


def _draw_threshold(axes: Axes, panel: Panel, most: float, scale: Scale) -> None:
    if "thresholdsStyle" not in panel["fieldConfig"]["defaults"]["custom"]:
        return
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] / scale.factor < most * 1.1:
            axes.axhline(step["value"] / scale.factor, color=rgb(step["color"]), ls="--", lw=1)


# --- What surrounds them --------------------------------------------------------------------------


def _time_axis(axes: Axes, scale: Scale) -> None:
    axes.set_xlim(0, scale.minutes)
    width = axes.get_position().width * axes.get_figure().get_size_inches()[0]
    every = max(1, round(scale.minutes / (width / TICK_WIDTH) / 5)) * 5
    ticks = range(0, int(scale.minutes) + 1, every)
    axes.set_xticks(list(ticks), [f"{tick} min" for tick in ticks])
    axes.tick_params(axis="both", length=0, labelsize=7)
    for start in scale.starts:
        axes.axvline(start, color=rgb("blue"), linewidth=1, ls=":")


def _legend(lines: Sequence[Line]) -> list[Line]:
    """Choose what is worth naming: the highest that are not nothing, else the first."""
    found = sorted((line for line in lines if line.peak > 0), key=lambda line: -line.peak)
    return (found or list(lines))[:MOST_IN_LEGEND]


def _draw_legend(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    named = _legend(lines)
    height = axes.get_position().height * axes.get_figure().get_size_inches()[1]
    for number, line in enumerate(named):
        x, y = number % 2 * 0.52 - 0.08, -(0.36 + 0.17 * (number // 2)) / height
        axes.plot(
            [x, x + 0.03],
            [y, y],
            color=rgb(line.color),
            lw=2.5,
            transform=axes.transAxes,
            clip_on=False,
        )
        text = f"{line.name}   max {humanize(panel, line.peak)}"
        axes.text(x + 0.04, y, text, transform=axes.transAxes, va="center", fontsize=7)
