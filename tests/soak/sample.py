"""What one look at a soak shows, and a file of them."""

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

MIB = 2.0**20

MOST_POINTS = 360
"""Of a line in a picture."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The time since the last look: rates and quantiles are of that time, the rest is of now.

    Seconds since the first message was offered, bytes, messages a second, milliseconds of CPU time
    a message; nan is what could not be had. `life` counts the relay's processes from 1; `others`
    are the cores that programs of somebody else took.
    """

    at: float
    seconds: float
    life: int
    age: float
    rss: float
    descriptors: float
    threads: float
    journal: float
    pending: int
    offered: float
    delivered: float
    read: float
    p50: float
    p99: float
    relay_cpu: float
    mixin_cpu: float
    receivers_cpu: float
    mixin_rss: float
    others: float
    late: float
    imbalance: float

    @property
    def begin(self) -> float:
        """When the time began that it is about."""
        return self.at - self.seconds


COLUMNS = tuple(field.name for field in fields(Sample))


def header() -> str:
    """Name the columns, as the first line of the file."""
    return ",".join(COLUMNS)


def line(sample: Sample) -> str:
    """Write one look as a line of the file."""
    return ",".join(f"{value:.9g}" if value == value else "" for value in astuple(sample))  # noqa: PLR0124 - nan is what differs from itself


def read(file: Path) -> list[Sample]:
    """Read such a file."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [_sample(row) for row in csv.DictReader(opened)]


def _sample(row: dict[str, str]) -> Sample:
    values = {name: float(text) if text else math.nan for name, text in row.items()}
    whole = {"life": int(values.pop("life")), "pending": int(values.pop("pending"))}
    return Sample(**whole, **values)  # type: ignore[arg-type]


def known(values: Iterable[float]) -> list[float]:
    """Leave out what could not be had."""
    return [value for value in values if not math.isnan(value)]


def thinned(
    samples: Sequence[Sample], look: Callable[[Sample], float]
) -> tuple[list[float], list[float]]:
    """Take the highest of each few looks, so that no peak is lost; times are in minutes."""
    width = 1 + (len(samples) - 1) // MOST_POINTS
    at, values = [], []
    for start in range(0, len(samples), width):
        some = samples[start : start + width]
        highest = max(some, key=lambda one: -math.inf if math.isnan(look(one)) else look(one))
        at.append(highest.at / 60)
        values.append(look(highest))
    return at, values
