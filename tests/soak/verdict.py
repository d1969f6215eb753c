"""The verdict on a soak: each criterion with its bound, what was measured, and whether it holds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from tests.soak.ledger import Account
from tests.soak.plan import AWAY_EVERY, Fault, is_calm
from tests.soak.sample import MIB, Sample, known

DRAINED_WITHIN = 120.0
MOST_RSS = 150 * MIB
MOST_GROWTH = 5 * MIB
"""Bytes an hour: 3 for each message at 500 a second, less than any object that is forgotten."""

MOST_BETWEEN_LIVES = 15 * MIB
WARM_UP = 300.0
"""Seconds of a life that are not looked at for growth: pools fill, the allocator finds its size."""

LONG_LIFE = 900.0
"""Seconds after the warm-up below which a slope is noise."""

MORE_DESCRIPTORS = 10
YOUNG = 60.0
"""Seconds of a life in which connections are still being opened, and everything else too."""

JOURNAL_GROWTH = 1.10
_LEVELS = f"the second half's peak at most {JOURNAL_GROWTH:g} times the first's"
SLOWER = 1.5
NOISE = 0.02
"""Seconds by which p99 may differ in any case: a scheduler's turn or two on a busy machine."""

LATE = 1.0
KEPT_UP = 0.98
QUARTERS = 4
FEWEST = 5
"""Calm looks in a quarter below which nothing can be said about it."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a soak has shown; `ends` are the exit codes that were not asked for."""

    seconds: float
    rate: float
    samples: Sequence[Sample]
    faults: Sequence[Fault]
    account: Account
    complaints: Sequence[str]
    wrong: int
    drained: float | None
    ends: Sequence[int]
    exit_code: int | None
    tracebacks: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion; `holds` is None where the soak was too short to tell."""

    name: str
    bound: str
    measured: str
    holds: bool | None


def judge(record: Record) -> list[Finding]:
    """Judge a soak by every criterion."""
    calm = [
        sample
        for sample in record.samples
        if sample.at <= record.seconds and is_calm(record.faults, sample.begin, sample.at)
    ]
    grown = [sample for sample in calm if sample.age >= YOUNG]
    first, last = _quarter(grown, record.seconds, 0), _quarter(grown, record.seconds, QUARTERS - 1)
    return [
        *_promise(record),
        _offered(record),
        _kept_up(record, calm),
        *_memory(record, calm),
        _descriptors(first, last),
        _journal(record),
        _latency(first, last),
    ]


def failed(findings: Iterable[Finding]) -> bool:
    """Tell whether any criterion does not hold."""
    return any(finding.holds is False for finding in findings)


def _quarter(samples: Sequence[Sample], seconds: float, number: int) -> list[Sample]:
    begin = seconds * number / QUARTERS
    return [one for one in samples if begin <= one.begin and one.at <= begin + seconds / QUARTERS]


# --- The promise ----------------------------------------------------------------------------------


def _promise(record: Record) -> Iterator[Finding]:
    account, drained = record.account, record.drained
    lost = account.untaken + account.unread
    yield Finding(
        "nothing lost",
        "all taken, all READ",
        f"{account.written:,} written, {account.untaken:,} not taken, {account.unread:,} unread",
        holds=lost == 0 and account.written > 0,
    )
    yield Finding(
        "nothing wrong",
        "no READ too early, no change, no disorder, no doubles unannounced",
        f"{record.wrong} complaints, {account.doubled:,} doubled and announced",
        holds=record.wrong == 0,
    )
    yield Finding(
        "drained",
        f"within {DRAINED_WITHIN:g} s of the end",
        "not at all" if drained is None else f"{drained:.1f} s",
        holds=drained is not None and drained <= DRAINED_WITHIN,
    )
    astray = [one for one in known(each.imbalance for each in record.samples) if one]
    looks = len(known(each.imbalance for each in record.samples))
    yield Finding(
        "conservation",
        "imbalance 0 at each look",
        f"{len(astray)} of {looks} looks",
        holds=looks > 0 and not astray,
    )
    yield Finding(
        "the relay's ends",
        "only when killed, in the end with 0, no traceback",
        f"{list(record.ends)}, {record.exit_code}, {record.tracebacks}",
        holds=not record.ends and record.exit_code == 0 and not record.tracebacks,
    )


# --- The load -------------------------------------------------------------------------------------


def _offered(record: Record) -> Finding:
    late = max(known(one.late for one in record.samples), default=0.0)
    whole = round(record.rate * record.seconds)
    return Finding(
        "offered by schedule",
        f"{whole:,} messages, at most {LATE:g} s late",
        f"{record.account.written:,}, {late:.2f} s",
        holds=record.account.written == whole and late <= LATE,
    )


def _kept_up(record: Record, calm: Sequence[Sample]) -> Finding:
    rates = known(one.delivered for one in calm)
    measured = median(rates) if rates else 0.0
    return Finding(
        "kept up while calm",
        f"at least {KEPT_UP * record.rate:.0f} messages/s",
        f"{measured:.0f} messages/s in {len(rates)} calm looks",
        holds=measured >= KEPT_UP * record.rate,
    )


# --- What must not grow ---------------------------------------------------------------------------


def _memory(record: Record, calm: Sequence[Sample]) -> Iterator[Finding]:
    most = max(known(one.rss for one in record.samples), default=0.0)
    yield Finding(
        "memory",
        f"below {MOST_RSS / MIB:.0f} MiB",
        f"{most / MIB:.1f} MiB at most",
        holds=0 < most < MOST_RSS,
    )
    lives = _lives(calm)
    slopes = {life: slope(looks) for life, looks in lives.items() if _is_long(looks)}
    yield Finding(
        "memory within a life",
        f"grows less than {MOST_GROWTH / MIB:g} MiB/h",
        ", ".join(f"life {life}: {each / MIB:+.2f} MiB/h" for life, each in slopes.items())
        or f"no life of {(WARM_UP + LONG_LIFE) / 60:.0f} minutes",
        holds=all(each < MOST_GROWTH for each in slopes.values()) if slopes else None,
    )
    levels = [median(one.rss for one in looks) for looks in lives.values()]
    yield Finding(
        "memory over lives",
        f"the last at most {MOST_BETWEEN_LIVES / MIB:.0f} MiB above the first",
        " → ".join(f"{level / MIB:.1f}" for level in levels) or "no life outlasts its warm-up",
        holds=levels[-1] - levels[0] <= MOST_BETWEEN_LIVES if len(levels) > 1 else None,
    )


def _lives(calm: Sequence[Sample]) -> dict[int, list[Sample]]:
    lives: dict[int, list[Sample]] = defaultdict(list)
    for sample in calm:
        if sample.age >= WARM_UP and known([sample.rss]):
            lives[sample.life].append(sample)
    return lives


def _is_long(looks: Sequence[Sample]) -> bool:
    return len(looks) >= FEWEST and looks[-1].at - looks[0].at >= LONG_LIFE


def slope(looks: Sequence[Sample]) -> float:
    """Fit a line through the memory of one life, in bytes an hour.

    It is the median of the slopes between all pairs (Theil and Sen): single peaks don't bend it.
    """
    most = 400
    thinned = looks[:: 1 + len(looks) // most]
    return 3600.0 * median(
        (after.rss - before.rss) / (after.at - before.at)
        for before, after in combinations(thinned, 2)
    )


def _descriptors(first: Sequence[Sample], last: Sequence[Sample]) -> Finding:
    bound = f"last quarter at most {MORE_DESCRIPTORS} above the most of the first, while calm"
    before, after = (known(one.descriptors for one in each) for each in (first, last))
    if min(len(before), len(after)) < FEWEST:
        return Finding("descriptors", bound, _too_few(before, after), None)
    measured = f"{max(before):.0f} → {median(after):.0f}"
    return Finding("descriptors", bound, measured, median(after) <= max(before) + MORE_DESCRIPTORS)


def _journal(record: Record) -> Finding:
    """Compare peaks: a file doesn't shrink, and what is in it comes and goes with each outage."""
    middle = record.seconds / 2
    if record.seconds < 2 * AWAY_EVERY:  # each half needs an outage of its own
        return Finding(
            "journal levels off", _LEVELS, f"less than {2 * AWAY_EVERY / 60:g} min", None
        )
    before = max(known(one.journal for one in record.samples if one.at < middle), default=0.0)
    after = max(known(one.journal for one in record.samples if one.at >= middle), default=0.0)
    measured = f"{before / MIB:.1f} → {after / MIB:.1f} MiB"
    return Finding("journal levels off", _LEVELS, measured, 0 < after <= JOURNAL_GROWTH * before)


def _latency(first: Sequence[Sample], last: Sequence[Sample]) -> Finding:
    bound = f"p99 in the last quarter at most {SLOWER:g} times the first's, while calm"
    before, after = (known(one.p99 for one in each) for each in (first, last))
    if min(len(before), len(after)) < FEWEST:
        return Finding("latency", bound, _too_few(before, after), None)
    measured = f"{median(before) * 1e3:.0f} → {median(after) * 1e3:.0f} ms"
    most = max(SLOWER * median(before), median(before) + NOISE)
    return Finding("latency", bound, measured, median(after) <= most)


def _too_few(before: Sequence[float], after: Sequence[float]) -> str:
    return f"{len(before)} and {len(after)} calm looks are too few"
