"""The alert rules are valid, mean what they should, and say what to do."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.prometheus_expressions import Matcher, Selector, find_labels, find_selectors
from tests.deploy.prometheus_rules import CASES, complaints, known_series, read_cases, read_rules
from tests.deploy.prometheus_server import PROMETHEUS, tool

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ALERTS = read_rules("alerts.yml")
RECORDED = read_rules("recording.yml")
NAMES = [rule["alert"] for rule in ALERTS]
DAYS = PROMETHEUS / "tests" / "hours-and-days.yml"

each_alert = pytest.mark.parametrize("rule", ALERTS, ids=NAMES)


@pytest.fixture
def promtool() -> str:
    """Find promtool, or skip."""
    return tool("promtool")


def run(promtool: str, *arguments: str) -> str:
    """Run promtool in the folder of the rules; answers with what it says if it fails."""
    done = subprocess.run(
        [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# --- Prometheus' own word -------------------------------------------------------------------------


def test_prometheus_takes_the_rules(promtool: str) -> None:
    """They parse, and no two are the same."""
    assert "" == run(
        promtool, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml", "recording.yml"
    )


def test_prometheus_takes_the_configuration(promtool: str) -> None:
    """It parses, and the rules are where it looks for them."""
    assert "" == run(promtool, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")


@pytest.mark.parametrize("cases", [path.name for path in CASES if path != DAYS])
def test_the_rules_fire_and_keep_quiet(promtool: str, cases: str) -> None:
    """Each case of the unit tests ends as it says, with labels and annotations."""
    assert "" == run(promtool, "test", "rules", f"tests/{cases}")


@pytest.mark.prove
def test_the_rules_fire_and_keep_quiet_for_days(promtool: str) -> None:
    """So do the cases that take promtool long."""
    assert "" == run(promtool, "test", "rules", f"tests/{DAYS.name}")


# --- What each alert must have --------------------------------------------------------------------


@each_alert
def test_an_alert_says_all_that_is_needed(rule: dict[str, Any]) -> None:
    """It has a severity, a summary, a description and a runbook section of its own."""
    assert {"severity"} == rule["labels"].keys()
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == rule["annotations"].keys()
    anchor = f"docs/operations.md#{rule['alert'].lower()}"
    assert anchor == rule["annotations"]["runbook_url"]
    assert "\n" not in rule["annotations"]["description"].strip()


@each_alert
def test_an_alert_is_explained(rule: dict[str, Any]) -> None:
    """The chapter has a section under its name: what it means, what to do, when it ends."""
    text = section(rule["alert"])
    for word in ("**Means.**", "**At stake.**", "**Look.**", "**Do.**", "**Ends.**"):
        assert word in text, word


def test_nothing_is_explained_that_is_not_there() -> None:
    """The chapter has no section of an alert that is none, and each once."""
    assert sorted(NAMES) == sorted(re.findall(r"^#+ (Relay\w+)$", chapter(), re.MULTILINE))


@each_alert
def test_an_alert_was_seen_firing_and_keeping_quiet(rule: dict[str, Any]) -> None:
    """The unit tests have a case in which it fires, and another in which it almost does."""
    seen: dict[str, set[bool]] = defaultdict(set)
    for case in read_cases():
        for check in case["alert_rule_test"]:
            seen[check["alertname"]].add(bool(check["exp_alerts"]))
    assert {True, False} == seen[rule["alert"]]


@each_alert
def test_an_alert_outlasts_a_failed_scrape(rule: dict[str, Any]) -> None:
    """Whatever it looks at, it looks at over 2 minutes or more."""
    expression = " ".join(rule["expr"].split())
    for selector in find_selectors(expression):
        if ":" not in selector.name:
            asked = re.search(rf"{selector.name}(?:\{{[^}}]*\}})?\[(\d+)([mh])\]", expression)
            assert asked is not None, selector.name
            assert asked[2] == "h" or int(asked[1]) >= 2


def chapter() -> str:
    """Read the chapter on alerts."""
    text = OPERATIONS.read_text(encoding="utf-8")
    found = re.search(r"^## Alerts$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def section(name: str) -> str:
    """Read the section on one alert."""
    found = re.search(rf"^#+ {name}$.*?(?=^#|\Z)", chapter(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {name}"
    return found[0]


# --- What they look at ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule", [*ALERTS, *RECORDED], ids=lambda r: r.get("alert", r.get("record"))
)
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """Its series are in the relay's registry, with these labels and these values of them."""
    assert [] == list(complaints(rule["expr"], known_series()))


def test_what_is_recorded_is_needed() -> None:
    """Each recorded series is named level:metric:operation, and some alert asks for it."""
    asked = {each.name for rule in ALERTS for each in find_selectors(rule["expr"])}
    for rule in RECORDED:
        assert re.fullmatch(r"(bot|endpoint):relay_[a-z_]+:[a-z0-9_]+", rule["record"])
        assert rule["record"] in asked


# --- How that is found out ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "selectors"),
    [
        ("relay_up == 1", [Selector("relay_up")]),
        (
            "max_over_time(a[2m]) unless on (job, bot) b:c:d5m > 1e3",
            [Selector("b:c:d5m"), Selector("a")],
        ),
        (
            'sum by (le) (rate(a{x="1",y=~"b|c"}[$__rate_interval] offset 3h)) / scalar(a)',
            [
                Selector("a", (Matcher("x", "=", "1"), Matcher("y", "=~", "b|c"))),
                Selector("a"),
            ],
        ),
        ('label_replace(vector(0), "alertname", "none", "", "") or bool', []),
    ],
)
def test_series_are_found(expression: str, selectors: list[Selector]) -> None:
    """What an expression asks for is told from functions, labels, ranges and words."""
    assert set(selectors) == set(find_selectors(expression))


def test_labels_are_found() -> None:
    """So is what it groups and joins by."""
    expression = "sum by (bot, endpoint) (a) / on (job) group_left (version) b"
    assert {"bot", "endpoint", "job", "version"} == find_labels(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "relay_no_such_series",
        'relay_ready{bot="x"}',
        'relay_attempts_total{outcome="failed"}',
        "sum by (conversation) (relay_ready)",
    ],
)
def test_what_there_is_not_is_found(expression: str) -> None:
    """A series, a label or a value that no relay exports doesn't pass."""
    assert 1 == len(list(complaints(expression, known_series())))
