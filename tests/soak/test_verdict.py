"""The verdict on a soak: a relay that leaks, loses, dies or slows down doesn't pass."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.ledger import Account
from tests.soak.plan import AWAY, KILL, plan
from tests.soak.sample import MIB, MOST_POINTS, Sample, header, line, read, thinned
from tests.soak.verdict import Record, failed, judge, slope

HOUR, RATE, EVERY = 3600.0, 500.0, 5.0
FAULTS = plan(3, HOUR)
KILLS = [fault.at for fault in FAULTS if fault.name == KILL]
AWAYS = [fault for fault in FAULTS if fault.name == AWAY]
WHOLE = Account(written=1_800_000, unread=0, untaken=0, doubled=12)


def sample(at: float) -> Sample:
    """Make a look at a relay that does well, with the noise that there is."""
    life = 1 + sum(kill < at for kill in KILLS)
    born = max((kill for kill in KILLS if kill < at), default=0.0)
    wobble = math.sin(at) * MIB
    away = any(fault.at <= at <= fault.calm_again for fault in AWAYS)
    return Sample(
        at=at,
        seconds=EVERY,
        life=life,
        age=at - born,
        rss=(125 if away else 120) * MIB + wobble,
        descriptors=50,
        threads=6,
        journal=min(300.0, at) * MIB,
        pending=20,
        offered=RATE,
        delivered=RATE,
        read=RATE,
        p50=0.015,
        p99=0.030 + 0.002 * math.sin(at),
        relay_cpu=1.0,
        mixin_cpu=0.2,
        receivers_cpu=0.1,
        mixin_rss=60 * MIB,
        others=0.1,
        late=0.02,
        imbalance=0.0,
    )


LOOKS = [sample(EVERY * number) for number in range(1, int(HOUR / EVERY) + 1)]
GOOD = Record(
    seconds=HOUR,
    rate=RATE,
    samples=LOOKS,
    faults=FAULTS,
    account=WHOLE,
    complaints=(),
    wrong=0,
    drained=4.0,
    ends=(),
    exit_code=0,
    tracebacks=0,
)


def changed(change: Callable[[Sample], dict[str, Any]]) -> Record:
    """Change every look."""
    return replace(GOOD, samples=[replace(one, **change(one)) for one in LOOKS])


def failures(record: Record) -> list[str]:
    """Name the criteria that don't hold."""
    return [finding.name for finding in judge(record) if finding.holds is False]


def test_a_good_relay_passes() -> None:
    """Every criterion is judged after an hour, and holds."""
    assert [True] * 13 == [finding.holds for finding in judge(GOOD)]
    assert not failed(judge(GOOD))


BAD: dict[str, tuple[Record, list[str]]] = {
    "loses one": (replace(GOOD, account=replace(WHOLE, untaken=1)), ["nothing lost"]),
    "leaves one unread": (replace(GOOD, account=replace(WHOLE, unread=1)), ["nothing lost"]),
    "does one thing wrong": (replace(GOOD, wrong=1), ["nothing wrong"]),
    "is not done": (replace(GOOD, drained=None), ["drained"]),
    "is done late": (replace(GOOD, drained=121.0), ["drained"]),
    "dies by itself": (replace(GOOD, ends=(1,)), ["the relay's ends"]),
    "doesn't stop": (replace(GOOD, exit_code=None), ["the relay's ends"]),
    "has a bug": (replace(GOOD, tracebacks=1), ["the relay's ends"]),
    "miscounts once": (
        changed(lambda one: {"imbalance": 1.0 if one.at == 600 else 0.0}),
        ["conservation"],
    ),
    "never tells its balance": (changed(lambda _: {"imbalance": math.nan}), ["conservation"]),
    "leaks 6 MiB/h": (
        changed(lambda one: {"rss": one.rss + 6 * MIB * one.age / HOUR}),
        ["memory within a life"],
    ),
    "is large": (changed(lambda one: {"rss": one.rss + 40 * MIB}), ["memory"]),
    "takes more each life": (
        changed(lambda one: {"rss": one.rss + 6 * MIB * (one.life - 1)}),
        ["memory over lives"],
    ),
    "leaks descriptors": (
        changed(lambda one: {"descriptors": 50 + 20 * one.at / HOUR}),
        ["descriptors"],
    ),
    "never prunes": (changed(lambda one: {"journal": one.at * MIB}), ["journal levels off"]),
    "slows down": (changed(lambda one: {"p99": 0.03 * (1 + one.at / HOUR * 2)}), ["latency"]),
    "falls behind": (changed(lambda _: {"delivered": 480.0}), ["kept up while calm"]),
    "is not offered enough": (
        changed(lambda one: {"late": 3.0 if one.at == 600 else 0.0}),
        ["offered by schedule"],
    ),
    "had no load": (
        replace(GOOD, account=replace(WHOLE, written=1_000)),
        ["offered by schedule"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_relay_fails(what: str) -> None:
    """Each way to be bad fails the criterion that is there for it, and no other."""
    record, criteria = BAD[what]
    assert criteria == failures(record)
    assert failed(judge(record))


def test_a_short_soak_judges_what_it_can() -> None:
    """What takes long is not judged after a minute, and does not fail."""
    seconds = 60.0
    samples = [one for one in LOOKS if one.at <= seconds]
    account = replace(WHOLE, written=30_000)
    short = replace(
        GOOD, seconds=seconds, samples=samples, faults=plan(1, seconds), account=account
    )
    unjudged = [finding.name for finding in judge(short) if finding.holds is None]
    assert "memory within a life" in unjudged
    assert "journal levels off" in unjudged
    assert not failed(judge(short))


@given(st.floats(-20, 20), st.lists(st.integers(0, 99), max_size=20))
def test_single_peaks_do_not_bend_the_line(growth: float, peaks: Sequence[int]) -> None:
    """The slope is that of most looks, whatever a few of them show."""
    looks = [replace(LOOKS[0], at=10.0 * place, rss=growth * place) for place in range(100)]
    for place in peaks:
        looks[place] = replace(looks[place], rss=1e9)
    assert pytest.approx(growth * 360, abs=abs(growth) * 36 + 1e-6) == slope(looks)


def test_looks_are_written_and_read(tmp_path: Path) -> None:
    """A file of looks gives back what was seen, also what could not be had."""
    file = tmp_path / "samples.csv"
    one = replace(LOOKS[0], rss=123456.0, p99=math.nan, journal=1024.0)
    file.write_text(f"{header()}\n{line(one)}\n")
    (again,) = read(file)
    assert math.isnan(again.p99)
    assert replace(one, p99=0.0) == replace(again, p99=0.0)


def test_a_picture_keeps_the_peaks() -> None:
    """A line is thinned to its highest points."""
    looks = [*LOOKS]
    looks[401] = replace(looks[401], p99=9.0)
    at, values = thinned(looks, lambda one: one.p99)
    assert len(at) <= MOST_POINTS
    assert 9.0 == max(values)
