"""`relay demo`: the whole thing on this machine, with no account."""

import asyncio

import click

from relay.commands.kinds import COUNT, RATE
from relay.demo import run_demo


@click.command(name="demo")
@click.option("--messages", type=COUNT, metavar="N", default=20, help="How many; default 20.")
@click.option("--rate", type=RATE, metavar="R", default=5.0, help="Messages a second; default 5.")
def command(messages: int, rate: float) -> int:
    """Run simulator, relay and a receiver that verifies signatures, and show what goes through."""
    return asyncio.run(run_demo(messages=messages, rate=rate))
