"""Ctrl-C: the first asks for an end, the second ends it at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible(on_first: Callable[[int], None]) -> Iterator[None]:
    """Tell the first SIGINT or SIGTERM, by its number; the second cancels the current task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    heard: list[signal.Signals] = []

    def received(number: signal.Signals) -> None:
        heard.append(number)
        if len(heard) == 1:
            on_first(number)
        elif task is not None:
            task.cancel()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
