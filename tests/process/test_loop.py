"""The loop that the process runs on."""

import asyncio
import sys

import pytest
import uvloop

from relay.process import run_loop


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_it_is_uvloops() -> None:
    """Where uvloop is installed, as it is by the lock file, the process runs on it."""
    assert isinstance(run_loop(running()), uvloop.Loop)


def test_it_is_asyncios_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows and on PyPy, say."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert isinstance(run_loop(running()), asyncio.BaseEventLoop)
