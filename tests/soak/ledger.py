"""What became of each message of a soak, in a few bytes that all its processes share.

A message's id is its number, so nobody keeps ids: a file in shared memory has a column for each
thing that can become of a message, and one process that writes it. It costs 8 bytes a message.
"""

import mmap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

CONVERSATIONS = 200
ENDPOINTS = ("crm", "audit")
EVERY = {"crm": 1, "audit": 10}
"""An endpoint is owed each message whose number is a multiple of this."""

TICKS = 10_000
"""Times are written in so many parts of a second: 32 bits last for 119 hours."""

_TIME, _FLAG = 4, 1
_PREFIX = "50a4b1a2-0000-4000-8000-"
_HEX = 12
_MOST = 255
_NAMED = 5
_PROSE = "".join(uuid5(NAMESPACE_URL, str(number)).hex for number in range(80))
_KNUTH = 2654435761
_SHORTEST, _LENGTHS = 16, 240
_LONG_EVERY, _LONG = 997, 2_000

PLACES = [str(uuid5(NAMESPACE_URL, f"conversation {number}")) for number in range(CONVERSATIONS)]
"""The ids of the conversations; message n is written in the one at n modulo their number."""


def conversations_of(endpoint: str) -> list[str]:
    """List the conversations that an endpoint is owed."""
    return PLACES[:: EVERY[endpoint]]


def id_of(number: int) -> str:
    """Make a message's id."""
    return f"{_PREFIX}{number:0{_HEX}x}"


def number_of(message_id: str) -> int | None:
    """Read a message's number, None if the id is nobody's."""
    if message_id.startswith(_PREFIX):
        with suppress(ValueError):
            return int(message_id[len(_PREFIX) :], 16)
    return None


def content_of(number: int) -> str:
    """Write a text that follows from the number alone."""
    hashed = number * _KNUTH % 2**32
    length = _LONG if number % _LONG_EVERY == 0 else _SHORTEST + hashed % _LENGTHS
    start = (hashed >> 8) % (len(_PROSE) - length)
    return f"{number} {_PROSE[start : start + length]}"


def owed_to(number: int) -> Iterator[str]:
    """Name the endpoints that must take a message before it may be READ."""
    return (name for name, every in EVERY.items() if number % every == 0)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all that was written; `lost` has a few by name."""

    written: int
    unread: int
    untaken: int
    doubled: int
    lost: tuple[str, ...] = ()


class Ledger:
    """The shared file, of so many messages at most."""

    def __init__(self, file: Path, capacity: int) -> None:
        size = capacity * (_TIME + (2 + len(ENDPOINTS)) * _FLAG)
        with file.open("a+b") as opened:
            opened.truncate(size)
            self._memory = memoryview(mmap.mmap(opened.fileno(), size))
        self.capacity = capacity
        self._written = self._memory[: capacity * _TIME].cast("I")
        begin = capacity * _TIME
        flags = [
            self._memory[begin + each * capacity : begin + (each + 1) * capacity]
            for each in range(2 + len(ENDPOINTS))
        ]
        self._pushed, self._read = flags[:2]
        self._taken = dict(zip(ENDPOINTS, flags[2:], strict=True))

    # --- Written by Mixin's side

    def write(self, number: int, ticks: int) -> None:
        """Note when a message was written by a person, in ticks since the beginning."""
        self._written[number] = ticks + 1

    def push(self, number: int) -> None:
        """Note that a message was sent to the relay."""
        self._pushed[number] = 1

    def read(self, number: int) -> None:
        """Note that a message is READ."""
        self._read[number] = 1

    # --- Written by the receivers

    def take(self, endpoint: str, number: int) -> int:
        """Note that an endpoint answers 2xx now; answers how often it has before."""
        taken = self._taken[endpoint]
        before = taken[number]
        taken[number] = min(before + 1, _MOST)
        return before

    # --- Looked up by anyone

    def written_at(self, number: int) -> int | None:
        """Tell when a message was written, in ticks; None if it was not."""
        if not 0 <= number < self.capacity or not self._written[number]:
            return None
        return self._written[number] - 1

    def is_pushed(self, number: int) -> bool:
        """Tell whether the relay was ever sent a message."""
        return 0 <= number < self.capacity and bool(self._pushed[number])

    def is_read(self, number: int) -> bool:
        """Tell whether a message is READ."""
        return bool(self._read[number])

    def may_be_read(self, number: int) -> bool:
        """Tell whether every endpoint that a message is owed to has answered 2xx."""
        return 0 <= number < self.capacity and all(
            self._taken[name][number] for name in owed_to(number)
        )

    def account(self, written: int) -> Account:
        """Count what became of the first messages, so many."""
        lost, untaken, doubled = [], 0, 0
        for name, every in EVERY.items():
            taken = bytes(self._taken[name][:written:every])
            untaken += taken.count(0)
            doubled += sum(times - 1 for times in taken.translate(None, b"\0\1"))
            lost += [f"{name} never took message {place * every}" for place in _first_zeros(taken)]
        unread = bytes(self._read[:written]).count(0)
        return Account(written, unread, untaken, doubled, tuple(lost))


def _first_zeros(flags: bytes) -> Iterator[int]:
    place = -1
    for _ in range(_NAMED):
        place = flags.find(0, place + 1)
        if place < 0:
            return
        yield place
