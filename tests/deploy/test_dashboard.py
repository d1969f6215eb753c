"""The dashboard is one that Grafana takes, and asks for what the relay exports."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.draw_dashboard import NAMES as PICTURES_OF_ROWS
from tests.deploy.draw_dashboard import PICTURES
from tests.deploy.prometheus_dashboard import (
    GRAFANA,
    Panel,
    Window,
    fill_in,
    panels_of,
    read_dashboard,
    rows_of,
)
from tests.deploy.prometheus_rules import complaints, known_series

BOARD = read_dashboard()
PANELS = list(panels_of(BOARD))
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = {"bot": ".*", "endpoint": ".*"}
COLUMNS = 24
MOST_BYTES = 300_000

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))


def expressions(panel: Panel) -> list[str]:
    """List the queries of a panel."""
    return [target["expr"] for target in panel["targets"]]


def variables() -> dict[str, dict[str, Any]]:
    """Give the variables by name."""
    return {variable["name"]: variable for variable in BOARD["templating"]["list"]}


def test_the_rows_tell_the_story() -> None:
    """From health by way of the funnel and each endpoint to the process, in this order."""
    rows = [(row["title"], row.get("repeat")) for row, _ in rows_of(BOARD)]
    assert [
        ("Am I healthy?", None),
        ("From received to READ", None),
        ("Endpoint $endpoint", "endpoint"),
        ("Retries and dead letters", None),
        ("Receipts", None),
        ("Process", None),
    ] == rows


def test_it_can_be_found_again() -> None:
    """It has a fixed uid, for links; the number is Grafana's own to give."""
    assert ("blaze-relay", None) == (BOARD["uid"], BOARD["id"])
    assert 36 <= BOARD["schemaVersion"] <= 41  # Grafana 10 to 12


def test_every_number_of_a_panel_is_its_own() -> None:
    """No two panels or rows have the same id."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_no_panel_lies_on_another() -> None:
    """Each has its own place in the grid, and none reaches beyond it."""
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def test_no_data_source_is_wired_in() -> None:
    """Whichever Prometheus is chosen answers everything."""
    found = set(re.findall(r"'uid': '([^']*)'", str(BOARD)))
    assert {"${datasource}", "-- Grafana --", "blaze-relay"} == found


def test_bots_and_endpoints_can_be_chosen() -> None:
    """One, several or all, all by default."""
    assert "datasource" == variables()["datasource"]["type"]
    for name in ("bot", "endpoint"):
        variable = variables()[name]
        assert (True, True, ".*") == tuple(variable[k] for k in ("multi", "includeAll", "allValue"))
        assert ["$__all"] == variable["current"]["value"]
        assert DATASOURCE == variable["datasource"]


@each_panel
def test_a_panel_explains_itself(panel: Panel) -> None:
    """It has a title, a word of what it shows, a unit, and at least one query."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert all(DATASOURCE == each["datasource"] for each in (panel, *panel["targets"]))
    refs = [target["refId"] for target in panel["targets"]]
    assert len(refs) == len(set(refs))


@each_panel
def test_a_panel_asks_for_what_there_is(panel: Panel) -> None:
    """Its series are in the relay's registry, with these labels, and its variables are ours."""
    for expression in expressions(panel):
        assert [] == list(complaints(expression, known_series()))
        assert "$" not in fill_in(expression, Window(3600, 60), **CHOSEN)
        assert ":" not in re.sub(r'"[^"]*"', "", expression), "it must work without our rules"


@each_panel
def test_a_panel_follows_the_choice(panel: Panel) -> None:
    """What has a bot or an endpoint shows the chosen ones only."""
    for expression in expressions(panel):
        for name, inside in re.findall(r"\b(relay_\w+)(?:\{([^}]*)\})?", expression):
            labels = known_series()[name].keys() & {"bot", "endpoint"}
            assert all(f'{label}=~"${label}"' in inside for label in labels), name


def links() -> Iterator[str]:
    """Go through every link to the runbook."""
    for each in (BOARD, *PANELS):
        yield from (link["url"] for link in each.get("links", []))


def test_links_lead_to_the_runbook() -> None:
    """Every anchor is a section of the chapter on alerts."""
    headings = re.findall(r"^#+ (.*)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert {url.partition("#")[2] for url in links()} <= anchors
    assert all(url.startswith("${runbook}#") for url in links())


def test_the_annotations_ask_for_what_there_is() -> None:
    """Restarts are marked by when the process started."""
    asked = [each["expr"] for each in BOARD["annotations"]["list"] if "expr" in each]
    assert asked
    for expression in asked:
        assert [] == list(complaints(expression, known_series()))


def test_it_is_provisioned() -> None:
    """Grafana finds a Prometheus and the folder of the dashboard without a click."""
    folder = GRAFANA / "provisioning"
    source = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text("utf-8"))
    (prometheus,) = source["datasources"]
    assert ("prometheus", "http://prometheus:9090") == (prometheus["type"], prometheus["url"])
    boards = yaml.safe_load((folder / "dashboards" / "relay.yml").read_text("utf-8"))
    (provider,) = boards["providers"]
    assert "/var/lib/grafana/dashboards" == provider["options"]["path"]


@pytest.mark.parametrize("number", range(len(PICTURES_OF_ROWS)))
def test_the_pictures_are_of_this_dashboard(number: int) -> None:
    """Each row has a picture in the documents, small, and with every panel that the row has."""
    name = PICTURES_OF_ROWS[number]
    picture = (PICTURES / f"{number + 1}-{name}.svg").read_text("utf-8")
    assert len(picture) < MOST_BYTES
    _, panels = list(rows_of(BOARD))[number]
    for panel in panels:
        assert f">{panel['title']}<" in picture
