"""The rules as they are shipped, and the series that there are for them to ask for."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from relay.model.messages import EndpointKey
from relay.telemetry.metrics import Metrics
from tests.deploy.prometheus_expressions import Selector, find_labels, find_selectors
from tests.deploy.prometheus_server import PROMETHEUS

FROM_PROMETHEUS = frozenset({"job", "instance", "namespace"})
"""What Prometheus gives a series beside its own labels; the last in Kubernetes only."""

CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))
"""The unit tests of the rules, as promtool runs them."""

OF_ALERTS = {"alertname", "alertstate", "severity", "bot", "endpoint"}


def read_rules(name: str) -> list[dict[str, Any]]:
    """Read the rules of a file, group after group."""
    document = yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


@cache
def read_cases() -> list[dict[str, Any]]:
    """Read the unit tests of the rules, case by case."""
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in CASES]
    return [case for document in documents for case in document["tests"]]


@cache
def known_series() -> dict[str, dict[str, set[str]]]:
    """Give each series that a relay exports or a rule records: its labels, and their values."""
    known: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    endpoint = EndpointKey("support", "crm")
    for family in Metrics(version="1", bots=["support"], endpoints=[endpoint]).collect():
        for sample in family.samples:
            known[sample.name].update()
            for label, value in sample.labels.items():
                known[sample.name][label].add(value)
    known["up"].update()
    known["ALERTS"].update({label: set() for label in OF_ALERTS})
    known["ALERTS"]["alertname"] |= {rule["alert"] for rule in read_rules("alerts.yml")}
    known["ALERTS"]["alertstate"] |= {"pending", "firing"}
    known["ALERTS"]["severity"] |= {"warning", "critical"}
    for rule in read_rules("recording.yml"):
        labels = {"bot": {"support"}, "endpoint": {"crm"}}
        known[rule["record"]].update(labels)
    return known


def complaints(expression: str, known: Mapping[str, Mapping[str, set[str]]]) -> Iterator[str]:
    """List the series, labels and values of an expression that there are not."""
    grouped = find_labels(expression) - FROM_PROMETHEUS
    asked: set[str] = set()
    for selector in find_selectors(expression):
        if selector.name not in known:
            yield f"no series {selector.name}"
            continue
        labels = known[selector.name]
        asked |= labels.keys()
        yield from _complaints_of(selector, labels)
    yield from (f"nothing has a label {label}" for label in grouped - asked)


def _complaints_of(selector: Selector, labels: Mapping[str, set[str]]) -> Iterator[str]:
    for matcher in selector.matchers:
        if matcher.label in FROM_PROMETHEUS:
            continue
        if matcher.label not in labels:
            yield f"{selector.name} has no label {matcher.label}"
        elif not matcher.matches(labels[matcher.label]):
            yield f"{selector.name} is never {matcher}"
