"""Draws the dashboard's own queries, row by row, as pictures for the documents.

`python -m tests.deploy.draw_dashboard` plays a story of 40 minutes and draws docs/pictures; with
`--pace 30` it takes 80 seconds and looks alike. `--story FILE` keeps what was seen, or draws it
again if it is there already. Needs what is in pictures.lock, and prometheus.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import click

from tests.deploy.draw_story import keep, play
from tests.deploy.prometheus_dashboard import Window, fill_in, read_dashboard, rows_of
from tests.deploy.prometheus_server import Pace, Prometheus

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SCRAPE = 15.0
SCRAPES_IN_A_RATE = 4
INSTANT = frozenset({"stat", "bargauge"})

NAMES = ("health", "funnel", "endpoint", "retries", "receipts", "process")
"""The pictures, in the order of the rows."""

SHOWN = {"bot": ".*", "endpoint": ".*"}
OF_ONE_ENDPOINT = {"bot": ".*", "endpoint": "crm"}


async def record(prometheus: Prometheus, start: float, end: float, pace: Pace) -> dict[str, Any]:
    """Read what every panel shows, between two moments in Unix seconds."""
    window = Window(round(end - start), max(1, round(SCRAPES_IN_A_RATE * pace.interval)))
    shown: dict[str, Any] = {}
    for row, panels in rows_of(read_dashboard()):
        chosen = OF_ONE_ENDPOINT if "repeat" in row else SHOWN
        for panel in panels:
            shown[str(panel["id"])] = [
                await _ask(prometheus, fill_in(target["expr"], window, **chosen), start, end, pace)
                if panel["type"] not in INSTANT
                else await _ask_once(prometheus, fill_in(target["expr"], window, **chosen), end)
                for target in panel["targets"]
            ]
    began = "process_start_time_seconds and on (job, instance) relay_build_info"
    runs = await _ask(prometheus, began, start, end, pace)
    return {
        "start": start,
        "end": end,
        "factor": pace.factor,
        "starts": sorted({float(value) for run in runs for _, value in run["values"]}),
        "panels": shown,
    }


async def _ask(
    prometheus: Prometheus, expression: str, start: float, end: float, pace: Pace
) -> list[Any]:
    data = await prometheus.ask(
        "query_range", query=expression, start=str(start), end=str(end), step=str(pace.interval)
    )
    series: list[Any] = data["result"]
    return series


async def _ask_once(prometheus: Prometheus, expression: str, at: float) -> list[Any]:
    data = await prometheus.ask("query", query=expression, time=str(at))
    return [{"metric": each["metric"], "values": [each["value"]]} for each in data["result"]]


async def tell_story(pace: Pace) -> dict[str, Any]:
    """Play it and read it."""
    with tempfile.TemporaryDirectory() as directory:

        async def look(prometheus: Prometheus, start: float, end: float) -> dict[str, Any]:
            return await record(prometheus, start, end, pace)

        return await play(Path(directory), pace, look, click.echo)


def draw(story: dict[str, Any], folder: Path) -> None:
    """Draw every row at the end of the story, and the first one in the midst of the outage."""
    from tests.deploy.draw_panels import draw_row

    folder.mkdir(exist_ok=True)
    rows = list(rows_of(read_dashboard()))
    for number, (name, (row, panels)) in enumerate(zip(NAMES, rows, strict=True), 1):
        title = row["title"].replace("$endpoint", OF_ONE_ENDPOINT["endpoint"])
        draw_row(title, panels, story["end"], folder / f"{number}-{name}.svg")
    row, panels = rows[0]
    draw_row(row["title"], panels, story["outage"], folder / "1-health-in-an-outage.svg")


def main() -> None:
    """Play or read the story, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", type=float, default=1.0, help="times as fast as life")
    parser.add_argument("--story", type=Path, help="what was seen: read if there, else written")
    parser.add_argument("--only-play", action="store_true", help="draw nothing")
    asked = parser.parse_args()
    if asked.story and asked.story.exists():
        story = json.loads(asked.story.read_text(encoding="utf-8"))
    else:
        story = asyncio.run(tell_story(Pace(asked.pace, SCRAPE / asked.pace)))
        if asked.story:
            keep(asked.story, story)
    if not asked.only_play:
        draw(story, PICTURES)


if __name__ == "__main__":
    main()
