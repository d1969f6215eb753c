"""Metric families as plain dicts: values by labels, which prometheus_client writes out.

`family[labels] += 1` is all that counting costs. prometheus_client's own objects take 100 KiB for
each bot, and a lock for each step, of which an event loop has no need.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, product
from typing import Any, ClassVar, TypeVar

from prometheus_client.metrics_core import Metric

Owner = tuple[str, ...]
"""The labels that say whose a series is: a bot's, an endpoint's, or nobody's."""

Sample = tuple[str, dict[str, str], float]
"""A suffix of the name, labels beside the series' own, and a value."""

V = TypeVar("V")


class Family(dict[Any, V]):
    """The series of one name, by what their labels say; a series begins when it is asked for.

    A key is a bot, an endpoint's key or (), or a tuple of that and the values of `more` labels,
    which are listed to be foreseen. What is nobody's is foreseen from the start.
    """

    kind: ClassVar[str]

    def __init__(self, name: str, told: str, owner: Owner, **more: Iterable[str]) -> None:
        super().__init__()
        self.owner = owner
        self._name = f"relay_{name}"
        self._told = told
        self._labels = (*owner, *more)
        self._more = [tuple(values) for values in more.values()]
        if not owner:
            self.foresee(())

    def __missing__(self, key: Any) -> V:
        begun = self[key] = self._begin()
        return begun

    def foresee(self, owner: Any) -> None:
        """Have all series of a bot or an endpoint from now on, at 0."""
        for more in product(*self._more):
            _ = self[(owner, *more) if more else owner]

    def forget(self, owner: Any) -> None:
        """Drop all series of a bot or an endpoint."""
        for key in tuple(self):
            if key == owner or (isinstance(key, tuple) and key[:1] == (owner,)):
                del self[key]

    def read(self) -> Metric:
        """Give all series as they are now. Any thread may ask."""
        family = Metric(self._name, self._told, self.kind)
        for key, value in self.copy().items():  # at once: the event loop goes on counting
            labels = dict(zip(self._labels, _flat(key), strict=True))
            for suffix, more, each in self._samples(value):
                family.add_sample(self._name + suffix, labels | more, each)
        return family

    def _begin(self) -> V:
        raise NotImplementedError

    def _samples(self, value: V) -> Iterator[Sample]:
        raise NotImplementedError


class Counter(Family[float]):
    """Counts up."""

    kind = "counter"

    def _begin(self) -> float:
        return 0.0

    def _samples(self, value: float) -> Iterator[Sample]:
        yield "_total", {}, value


Value = float | Callable[[], float]
"""What a gauge shows, or whom it asks when it is read."""


class Gauge(Family[Value]):
    """Goes up and down."""

    kind = "gauge"

    def set(self, value: Value) -> None:
        """Set what is nobody's."""
        self[()] = value

    def _begin(self) -> Value:
        return 0.0

    def _samples(self, value: Value) -> Iterator[Sample]:
        yield "", {}, value() if callable(value) else value


class Observed:
    """How many values were seen up to each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Histogram(Family[Observed]):
    """Counts values by size."""

    kind = "histogram"

    def __init__(self, name: str, told: str, owner: Owner, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        super().__init__(name, told, owner)

    def _begin(self) -> Observed:
        return Observed(self._bounds)

    def _samples(self, value: Observed) -> Iterator[Sample]:
        counts = tuple(accumulate(value.counts))
        for bound, count in zip(value.bounds, counts, strict=False):
            yield "_bucket", {"le": str(float(bound))}, count
        yield "_bucket", {"le": "+Inf"}, counts[-1]
        yield "_count", {}, counts[-1]
        yield "_sum", {}, value.sum


def _flat(key: Any) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(each for part in key for each in _flat(part))
