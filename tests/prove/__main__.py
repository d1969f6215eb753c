"""`python -m tests.prove`: plays episodes from seeds until the counts are reached, and judges."""

import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click
from rich.console import Console
from rich.table import Table

from tests.prove.episode import Episode, play_alone

WHOLE = (200, 5_000)
QUICK = (16, 1_500)
"""How many episodes, and messages in each: a million and at least 200 kills, or a taste of it."""


@click.command()
@click.option("--seed", type=int, help="The first episode's; default: a new one, printed.")
@click.option("--quick", is_flag=True, help="A taste of it, for every change.")
@click.option("--episodes", type=int, help="How many.")
@click.option("--messages", type=int, help="How many in each episode.")
@click.option(
    "--workers",
    type=int,
    default=2 * (os.cpu_count() or 1),
    help="Episodes side by side: most of one is waiting.",
)
def main(
    *, seed: int | None, quick: bool, episodes: int | None, messages: int | None, workers: int
) -> None:
    """Play, report, and exit with 1 if anything was not as it must be."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    usual_episodes, usual_messages = QUICK if quick else WHOLE
    episodes, messages = episodes or usual_episodes, messages or usual_messages
    console = Console(width=120, soft_wrap=True)
    console.print(f"{episodes} episodes of {messages} messages, from seed {seed}")
    began, played = time.monotonic(), []
    for episode in _played(range(seed, seed + episodes), messages, workers):
        played.append(episode)
        _say(console, episode)
    _sum_up(console, played, time.monotonic() - began)
    sys.exit(any(episode.tally.complaints for episode in played))


def _played(seeds: range, messages: int, workers: int) -> Iterator[Episode]:
    """Play episodes side by side; those that end first come first."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures: list[Future[Episode]] = [pool.submit(play_alone, seed, messages) for seed in seeds]
        for future in as_completed(futures):
            yield future.result()


def _say(console: Console, episode: Episode) -> None:
    tally = episode.tally
    console.print(
        f"seed {episode.seed}: {episode.messages} messages, {sum(tally.kills.values())} kills, "
        f"{tally.posts} requests, {tally.doubled} doubled, {episode.seconds:.0f} s, "
        f"drained {tally.drained:.1f} s after the last fault, {tally.most_rss / 2**20:.0f} MiB"
    )
    for complaint in tally.complaints[:20]:
        console.print(f"  FAILED {complaint}", markup=False)
    if tally.complaints:
        more = f"--seed {episode.seed} --episodes 1 --messages {episode.messages}"
        console.print(f"  {len(tally.complaints)} complaints; again: python -m tests.prove {more}")


def _sum_up(console: Console, played: list[Episode], seconds: float) -> None:
    kills, faults = Counter[str](), Counter[str]()
    for episode in played:
        kills.update(episode.tally.kills)
        faults.update(episode.tally.faults)
    for title, counts in (("killed in", kills), ("faults", faults)):
        table = Table(title, "times")
        for name, times in sorted(counts.items()):
            table.add_row(name, str(times))
        console.print(table)
    tallies = [episode.tally for episode in played]
    console.print(
        f"{sum(one.messages for one in played)} messages, {kills.total()} kills, "
        f"{sum(one.posts for one in tallies)} requests, "
        f"{sum(one.doubled for one in tallies)} doubled and announced, "
        f"drained at most {max(one.drained for one in tallies):.1f} s after the last fault, "
        f"at most {max(one.most_rss for one in tallies) / 2**20:.0f} MiB, {seconds:.0f} s"
    )
    wrong = sum(len(one.complaints) for one in tallies)
    console.print("nothing was lost" if not wrong else f"FAILED: {wrong} complaints")


if __name__ == "__main__":
    main()
