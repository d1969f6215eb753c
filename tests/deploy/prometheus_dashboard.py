"""The dashboard as it is shipped: its panels, and its queries as Grafana would send them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.prometheus_server import PROMETHEUS

GRAFANA = PROMETHEUS.parent / "grafana"
DASHBOARD = GRAFANA / "dashboard.json"

Panel = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Window:
    """What a reader looks at; seconds.

    `rate` is what Grafana takes for rates: 4 scrapes, so that one may fail.
    """

    seconds: int
    rate: int


def read_dashboard(path: Path = DASHBOARD) -> dict[str, Any]:
    """Read the whole of it."""
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return board


def panels_of(board: Mapping[str, Any]) -> Iterator[Panel]:
    """Go through the panels that show something, also those inside rows."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", [])


def rows_of(board: Mapping[str, Any]) -> Iterator[tuple[Panel, list[Panel]]]:
    """Go through the rows, each with its panels."""
    row: Panel | None = None
    panels: list[Panel] = []
    for panel in board["panels"]:
        if panel["type"] == "row":
            if row is not None:
                yield row, panels
            row, panels = panel, []
        else:
            panels.append(panel)
    if row is not None:
        yield row, panels


def fill_in(expression: str, window: Window, **chosen: str) -> str:
    """Put values in the place of variables, as Grafana does; a name that is none stays as it is."""
    values = {"__range": f"{window.seconds}s", "__rate_interval": f"{window.rate}s", **chosen}
    return _VARIABLE.sub(lambda name: values.get(name[1] or name[2], name[0]), expression)
