"""`relay demo`: the whole thing on this machine, with no account."""

import asyncio

import click

from relay.commands.failure import ENDED_AT_ONCE, Failure
from relay.commands.params import COUNT, RATE


@click.command(name="demo")
@click.option("--messages", type=COUNT, metavar="N", default="60", help="How many; default 60.")
@click.option(
    "--rate",
    type=RATE,
    metavar="R",
    default="10",
    help="Messages a second; default 10, 0 for as fast as it goes.",
)
def command(messages: int, rate: float) -> int:
    """Run simulator, relay and a receiver that verifies signatures, and show what goes through.

    Exit 0 only if every message was delivered and marked READ.
    """
    from relay.demo.run import run_demo
    from relay.journal.engines.sqlite.lock import JournalRefused
    from relay.model.ports import JournalUnavailable
    from relay.process import run_loop

    try:
        return run_loop(run_demo(messages=messages, rate=rate))
    except BrokenPipeError:
        raise
    except (JournalRefused, JournalUnavailable, OSError) as error:
        raise Failure(f"demo: can't start: {error}") from None
    except asyncio.CancelledError:
        return ENDED_AT_ONCE
