"""The chart as a package: it lints, it is documented, and what it repeats is as in the original."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import relay
from relay.config import Bot, Breaker, Endpoint, Retry, Settings, Tls
from relay.model.times import duration_text
from tests.deploy.kubernetes_chart import CHART, EXAMPLES, ROOT, run
from tests.deploy.kubernetes_copies import copies
from tests.deploy.kubernetes_tools import tool

_ROW = re.compile(r"^\| `([^`]+)` \| `(.*?)` \| .+ \|$", re.MULTILINE)
_SECRET_TEXTS = {"keystore", "secret", "bearer_token", "back_token", "admin_token", "journal_key"}


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_passes_lint(helm: Path, values: Path) -> None:
    """`helm lint --strict` finds nothing in the chart with any of the examples."""
    done = run((helm, "lint", "--strict", CHART, "--values", values))
    found = [line for line in done.stdout.splitlines() if re.match(r"\[(WARNING|ERROR)\]", line)]
    assert ([], 0) == (found, done.returncode)


def test_there_is_an_example_for_each_need() -> None:
    """At least twelve examples, each of which says in its first line what it is for."""
    assert len(EXAMPLES) >= 12
    for path in EXAMPLES:
        assert re.match(r"# [A-Z].{30,}", path.read_text(encoding="utf-8")), path.name


def test_the_chart_is_of_this_version() -> None:
    """Without a tag the chart runs the relay that it was shipped with."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert relay.__version__ == chart["appVersion"]


def test_copies_are_as_their_originals() -> None:
    """Rules and dashboard are those of deploy/; if not: -m tests.deploy.kubernetes_copies."""
    for place, expected in copies().items():
        assert expected == place.read_text(encoding="utf-8"), place.relative_to(ROOT)


def test_the_readme_lists_every_value_with_its_default() -> None:
    """The table in the chart's README has the rows and the defaults of values.yaml."""
    _, _, table = (CHART / "README.md").read_text(encoding="utf-8").partition("## Values\n")
    rows = _ROW.findall(table)
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert dict(_leaves(values)) == {name: yaml.safe_load(default) for name, default in rows}
    assert len(rows) == len(dict(rows))


def _leaves(tree: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value and "." not in "".join(value):
            leaves += _leaves(value, f"{path}{key}.")
        else:
            leaves.append((f"{path}{key}", value))
    return leaves


def test_every_value_of_the_schema_has_a_default() -> None:
    """What the schema lets through at the top is in values.yaml, but for Helm's own."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(values) == set(schema["properties"]) - {"global", "enabled"}


@pytest.mark.parametrize(
    ("definition", "model"),
    [("settings", Settings), ("bot", Bot), ("endpoint", Endpoint)],
    ids=["settings", "bot", "endpoint"],
)
def test_the_schema_knows_the_relays_settings(
    definition: str, model: type[Settings | Bot | Endpoint]
) -> None:
    """The chart takes every setting of the relay, except a secret's text."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    keys = {
        *model.all_keys(),
        *(one.metadata.get("old_key", "") for one in model.declared().values()),
    } - {""}
    assert keys - _SECRET_TEXTS == set(schema["definitions"][definition]["properties"])


@pytest.mark.parametrize(
    ("section", "model"), [("retry", Retry), ("breaker", Breaker), ("tls", Tls)]
)
def test_the_schema_knows_an_endpoints_sections(
    section: str, model: type[Retry | Breaker | Tls]
) -> None:
    """The chart takes every setting of an endpoint's sections."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    found = schema["definitions"]["endpoint"]["properties"][section]
    known = schema["definitions"].get(section, found)
    assert set(model.all_keys()) == set(known["properties"])


def test_the_default_drain_is_the_relays_own() -> None:
    """Who says nothing about drain_timeout gets what the relay would take by itself."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    default = Settings.declared()["drain_timeout"].default
    assert duration_text(default) == values["settings"]["drain_timeout"]
