"""Memory that goes back to the system."""

import platform
from pathlib import Path

import pytest

from relay.process import trim_memory

MIB = 1024 * 1024


def resident() -> int:
    """Tell how much memory this process has, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked for it")
def test_what_lies_free_between_what_stays_is_given_back() -> None:
    """The holes that a burst leaves are many times larger than what stays of it."""
    burst = [bytes(1000) for _ in range(60 * 1024)]
    stays = burst[::100]
    del burst
    before = resident()
    trim_memory()
    assert before - resident() > 30 * MIB
    assert {1000} == {len(one) for one in stays}
