"""What goes wrong during a soak, and when: all of it follows from a seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Whom a fault is asked of."""

    MIXIN = "mixin"
    RECEIVERS = "receivers"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; seconds since the first message was offered.

    After its end, `settles` is the time in which the relay may still be busy with it.
    """

    at: float
    seconds: float
    side: Side
    name: str
    settles: float

    @property
    def end(self) -> float:
        """When the world is well again."""
        return self.at + self.seconds

    @property
    def calm_again(self) -> float:
        """When the relay must be well again."""
        return self.end + self.settles


KILL = "kill"
AWAY = "away"

_OF_MIXIN = (
    *("socket_dropped", "socket_closed", "socket_half_open", "upgrades_refused", "pushed_twice"),
    *("receipts_lost", "receipts_500", "receipts_429", "receipts_late"),
)
_OF_RECEIVERS = ("errors", "busy", "hang", "reset", "slow", "unfinished")
DECK = (
    *((Side.MIXIN, name) for name in _OF_MIXIN),
    *((Side.RECEIVERS, name) for name in _OF_RECEIVERS),
)
"""Every fault that lasts for seconds; all are dealt before any comes again."""

_SLOT, _SHORTEST_SLOT, _SLOTS_IN_A_SHORT_RUN = 60.0, 20.0, 12
_LASTS = (0.07, 0.18)
"""Between these shares of its slot a fault lasts; the rest is for settling and for calm."""

_SETTLES = 0.4
AWAY_EVERY = 900.0
"""Seconds from one outage of minutes to the next; a shorter soak has one."""

_AWAY = 120.0
_AWAY_SETTLES = 2.0
"""Times its length: a backlog is drained at the rate that is left beside what is new."""

_HOUR = 3600.0
_KILLS = (0.1, 0.22, 0.36)
"""Shares of each hour at which the relay is killed: one life of 38 minutes remains."""


def plan(seed: int, seconds: float) -> tuple[Fault, ...]:
    """Draw everything that goes wrong in a soak of so many seconds, in order and one at a time."""
    chance = random.Random(seed)
    slot = min(_SLOT, max(_SHORTEST_SLOT, seconds / _SLOTS_IN_A_SHORT_RUN))
    aways, kills = _aways(seconds), _kills(seconds)
    cards, faults, at = _deal(chance), [], slot / 2
    while at + slot <= seconds:
        if aways and at >= aways[0]:
            aways.pop(0)
            length = min(_AWAY, seconds / 10)
            fault = Fault(at, length, Side.RECEIVERS, AWAY, _AWAY_SETTLES * length)
        elif kills and at >= kills[0]:
            kills.pop(0)
            fault = Fault(at, 0.0, Side.RELAY, KILL, _SETTLES * slot)
        else:
            side, name = next(cards)
            fault = Fault(at, slot * chance.uniform(*_LASTS), side, name, _SETTLES * slot)
        if fault.calm_again <= seconds:
            faults.append(fault)
        at = max(at + slot, fault.calm_again + slot / 4) + slot * chance.uniform(-0.1, 0.1)
    return tuple(faults)


def _deal(chance: random.Random) -> Iterator[tuple[Side, str]]:
    while True:
        yield from chance.sample(DECK, len(DECK))


def _aways(seconds: float) -> list[float]:
    every = min(AWAY_EVERY, seconds)
    return [every * (number + 0.45) for number in range(max(1, int(seconds / every)))]


def _kills(seconds: float) -> list[float]:
    if seconds < _HOUR / 2:
        return [seconds * 0.2]
    hours = range(int(seconds / _HOUR + 0.5))
    return [_HOUR * (hour + share) for hour in hours for share in _KILLS]


def is_calm(faults: Sequence[Fault], begin: float, end: float) -> bool:
    """Tell whether nothing was wrong, or being got over, between two moments."""
    return all(end <= fault.at or begin >= fault.calm_again for fault in faults)
