"""`run_demo` with a receiver that is not to be satisfied."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from io import StringIO

import pytest

from relay.demo.receiver import Visit
from relay.demo.run import run_demo
from relay.demo.views import MOST_LISTED
from relay.telemetry.logs import Route

PATIENCE = 0.5


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Undo what `configure_logging` does to the process."""
    root = logging.getLogger()
    level = root.level
    yield
    for route in [handler for handler in root.handlers if isinstance(handler, Route)]:
        root.removeHandler(route)
    root.setLevel(level)
    for name in ("aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)


async def test_what_is_missing_is_listed_and_makes_it_fail() -> None:
    """A receiver that is always busy gets nothing: once nothing moves, exit 1, with the ids."""
    seen: set[str] = set()

    def always(visit: Visit) -> bool:
        seen.add(visit.message_id)
        return True

    out = StringIO()
    code = await run_demo(messages=5, rate=0, refuses=always, patience=PATIENCE, out=out)
    lines = out.getvalue().splitlines()
    missing = [line for line in lines if line.startswith("missing ")]

    assert (1, 5) == (code, len(missing))
    assert seen <= {line.split()[1] for line in missing}
    assert all(line.endswith(": not delivered, not marked READ") for line in missing)
    assert "FAILED: 5 not delivered and marked READ" == lines[-1]
    assert "given up: nothing has moved for 0.5 s" in lines
    assert "violations           0" in lines


async def test_the_list_of_what_is_missing_is_bounded() -> None:
    """However many are missing, the first are listed and the others counted."""
    out = StringIO()
    code = await run_demo(
        messages=MOST_LISTED + 5, rate=0, refuses=lambda _: True, patience=PATIENCE, out=out
    )
    lines = out.getvalue().splitlines()
    assert (1, MOST_LISTED) == (code, sum(line.startswith("missing ") for line in lines))
    assert "and 5 more" == lines[-2]


async def test_an_interrupt_with_something_missing_fails() -> None:
    """Ctrl-C is no excuse for what does not arrive even then: exit 1."""

    def busy(visit: Visit) -> bool:
        if visit.number == visit.attempt == 1:
            signal.raise_signal(signal.SIGINT)
        return True

    out = StringIO()
    code = await run_demo(messages=9, rate=0.01, refuses=busy, patience=PATIENCE, out=out)
    assert 1 == code
    assert "1 of 9" in out.getvalue()
    assert "FAILED: 1 not delivered and marked READ" == out.getvalue().splitlines()[-1]


async def test_a_second_interrupt_cancels() -> None:
    """Whoever insists is not held up by messages under way."""

    def busy(_: Visit) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return True

    demo = asyncio.create_task(run_demo(messages=9, rate=0, refuses=busy, out=StringIO()))
    with pytest.raises(asyncio.CancelledError):
        await demo
