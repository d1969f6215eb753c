"""`python -m tests.bench` measures the relay beside the floor, and prints a table in Markdown."""

import platform
import sys
from dataclasses import replace

import click
import uvloop

from tests.bench.run import pin
from tests.bench.suite import QUICK, WHOLE, play


@click.command()
@click.option("--quick", is_flag=True, help="A taste of it, in about a minute.")
@click.option("--rounds", type=int, help="How many; the table has their medians.")
def main(*, quick: bool, rounds: int | None) -> None:
    """Measure, print the table, and exit with 1 if a run was not complete."""
    plan = QUICK if quick else WHOLE
    if rounds is not None:
        plan = replace(plan, rounds=rounds)
    pin()
    table, wrong = uvloop.run(play(plan))
    click.echo(table)
    click.echo(f"\nPython {platform.python_version()}, medians of {plan.rounds}")
    for remark in wrong:
        click.echo(f"NOT COMPLETE {remark}", err=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
