"""What a panel's numbers look like: colours, units, mappings, names of series."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

_COLORS = {
    "green": "#56a64b",
    "yellow": "#e0b400",
    "orange": "#ff9830",
    "red": "#e02f44",
    "blue": "#3274d9",
    "purple": "#a352cc",
    "text": "#6e7680",
    "transparent": "#ffffff",
}
_CLASSIC = (
    *("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42"),
    *("#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300"),
)
_TIMES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (0.001, "ms"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_WORDS = {"mps": " msg/s", "reqps": " req/s", "short": ""}
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")

Panel = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """The time that is shown, in minutes of the story, and when a relay started in it."""

    start: float
    minutes: float
    factor: float
    starts: tuple[float, ...]

    @classmethod
    def of(cls, seen: Mapping[str, Any]) -> "Scale":
        """Take it from what was recorded."""
        start, factor = seen["start"], seen["factor"]
        starts = tuple((at - start) * factor / 60 for at in seen["starts"] if at > start)
        return cls(start, (seen["end"] - start) * factor / 60, factor, starts)

    def minute(self, at: float) -> float:
        """Say when something was, in minutes of the story."""
        return (at - self.start) * self.factor / 60


@dataclass(frozen=True, slots=True)
class Line:
    """One series as it is drawn; times in minutes."""

    name: str
    color: str
    times: list[float]
    values: list[float]
    step: float
    custom: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> list[float]:
        """Give the values that can be drawn: NaN where there is none, and where it has no end."""
        return [value if math.isfinite(value) else math.nan for value in self.values]

    @property
    def last(self) -> float:
        """Give the last value."""
        return self.values[-1]

    @property
    def peak(self) -> float:
        """Give the highest value; 0 if there is none."""
        return max([value for value in self.values if math.isfinite(value)] + [0.0])

    def at(self, time: float) -> float:
        """Give the value at a time; 0 if there was none."""
        found = dict(zip(self.times, self.shown, strict=True)).get(time, 0.0)
        return 0.0 if math.isnan(found) else found

    def stretches(self) -> Iterator[tuple[float, float, float]]:
        """Go through the times in which the value stayed the same: from, to, value."""
        since, before = self.times[0], self.values[0]
        last = since
        for time, value in zip(self.times, self.values, strict=True):
            if value != before or time - last > 1.5 * self.step:
                yield since, min(time, last + self.step), before
                since, before = time, value
            last = time
        yield since, last + self.step, before


def lines_of(panel: Panel, answers: Sequence[Any], scale: Scale) -> list[Line]:
    """Make lines of the answers to a panel's queries."""
    lines: list[Line] = []
    for target, series in zip(panel["targets"], answers, strict=True):
        for each in sorted(series, key=lambda one: sorted(one["metric"].items())):
            name = _named(target["legendFormat"], each["metric"])
            lines.append(_line(panel, name, each["values"], scale, len(lines)))
    if panel["type"] == "bargauge" and len(panel["targets"]) == 1:
        lines.sort(key=lambda line: -line.last)
    return lines


def _named(legend: str, labels: Mapping[str, str]) -> str:
    name = re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), legend)
    return _ADDRESS.sub("relay:8080", name)


def _line(
    panel: Panel, name: str, values: Sequence[tuple[float, str]], scale: Scale, number: int
) -> Line:
    color, custom = _CLASSIC[number % len(_CLASSIC)], dict[str, Any]()
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        if not re.fullmatch(matcher["options"], name):
            continue
        for each in override["properties"]:
            if each["id"] == "color":
                color = each["value"]["fixedColor"]
            else:
                custom[each["id"].removeprefix("custom.")] = each["value"]
    times = [scale.minute(float(at)) for at, _ in values]
    step = min((b - a for a, b in pairwise(times)), default=1.0)
    return Line(name, color, times, [float(value) for _, value in values], step, custom)


def rgb(color: str) -> str:
    """Give the shade of a colour's name."""
    return _COLORS.get(color, color)


def color_at(panel: Panel, value: float) -> str:
    """Find the colour of a value, by its mapping or else by the thresholds."""
    if (mapped := _mapped(panel, value)) is not None:
        return str(mapped["color"])
    found = "green"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return found


def _mapped(panel: Panel, value: float) -> Mapping[str, Any] | None:
    for mapping in panel["fieldConfig"]["defaults"]["mappings"]:
        found: Mapping[str, Any] | None = mapping["options"].get(f"{value:g}")
        if found is not None:
            return found
    return None


def humanize(panel: Panel, value: float) -> str:
    """Write a value as the panel would."""
    if (mapped := _mapped(panel, value)) is not None:
        return str(mapped["text"])
    if not math.isfinite(value):
        return "-"
    unit = panel["fieldConfig"]["defaults"]["unit"]
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s":
            return _with(value, _TIMES, "s")
        case "bytes":
            return _with(value, _BYTES, "B")
        case _:
            return _number(value) + _WORDS.get(unit, "")


def unit_size(panel: Panel, most: float) -> float:
    """Give the size of the unit in which values up to the highest are written."""
    units = {"s": _TIMES, "bytes": _BYTES}.get(panel["fieldConfig"]["defaults"]["unit"], ())
    return next((size for size, _ in units if most >= size), 1.0)


def _with(value: float, units: Sequence[tuple[float, str]], smallest: str) -> str:
    for size, name in units:
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.2g} {smallest}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"
