"""`python -m tests.bench` measures the whole relay, then the journal alone."""

import click

from tests.bench import bench_journal, bench_relay

for bench in (bench_relay, bench_journal):
    click.secho(bench.__doc__.splitlines()[0] if bench.__doc__ else "", bold=True)
    bench.main(standalone_mode=False)
    click.echo()
