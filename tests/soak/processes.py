"""What Linux tells of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _THREADS = 11, 12, 17
"""Places in /proc/PID/stat, counted after the command's name (proc(5))."""


_IDLE = (3, 4)
"""Places of idle time and of waiting for disks in the first line of /proc/stat."""

_COUNTED = 8
"""Times of that line; those of guests, which follow, are in there already."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes, seconds of CPU time since its start, and counts."""

    rss: int
    cpu: float
    threads: int
    descriptors: int


def figures(pid: int) -> Figures | None:
    """Look at a process, None if it is gone."""
    folder = Path("/proc", str(pid))
    try:
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
        descriptors = len(os.listdir(folder / "fd"))  # noqa: PTH208 - names are enough
    except (OSError, IndexError):
        return None
    cpu = (int(stat[_UTIME]) + int(stat[_STIME])) / _TICK
    return Figures(pages * _PAGE, cpu, int(stat[_THREADS]), descriptors)


def busy() -> float:
    """Tell how many seconds of CPU time the whole machine has spent since it started."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1 : 1 + _COUNTED]
    return sum(int(ticks) for place, ticks in enumerate(first) if place not in _IDLE) / _TICK
