"""What single values of the chart do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from relay import __version__
from tests.deploy.kubernetes_chart import EXAMPLES, example, of_kind, template_with
from tests.deploy.kubernetes_copies import DASHBOARD
from tests.deploy.kubernetes_pods import container, pod_spec, settings_text
from tests.deploy.kubernetes_tools import tool

_LONGEST_NAME_OF_A_STATEFUL_SET = 52
"""Its pods have a label of 63 characters at most, made of the name, a hyphen and a hash of 10."""


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


def test_the_settings_roll_the_pod(helm: Path) -> None:
    """Another text of the settings is another pod; the same text is the same pod."""

    def checksum(level: str) -> str:
        (found,) = of_kind(template_with(helm, {"settings": {"log_level": level}}), "StatefulSet")
        annotations = found["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/settings"])

    assert checksum("info") == checksum("info")
    assert checksum("info") != checksum("debug")


def test_a_groups_values_go_over_the_charts(helm: Path) -> None:
    """A group keeps what it doesn't say, and its `false` and its empty lists count."""
    shared = {
        "persistence": {"enabled": True, "size": "5Gi"},
        "tolerations": [{"operator": "Exists"}],
        "settings": {"log_level": "debug", "ready_grace": "1m"},
        "groups": {
            "a": {},
            "b": {
                "persistence": {"enabled": False},
                "tolerations": [],
                "settings": {"log_level": "error"},
                "webhookUrls": ["https://other.example.com/hook"],
            },
        },
    }
    things = template_with(helm, shared)
    first, second = of_kind(things, "StatefulSet")
    assert ["shop-blaze-relay-a", "shop-blaze-relay-b"] == [
        one["metadata"]["name"] for one in (first, second)
    ]
    assert "volumeClaimTemplates" in first["spec"]
    assert "volumeClaimTemplates" not in second["spec"]
    assert ("tolerations" in pod_spec(first), "tolerations" in pod_spec(second)) == (True, False)
    assert ["debug", "error"] == [
        yaml.safe_load(settings_text(one, things))["log_level"] for one in (first, second)
    ]
    assert "ready_grace: 1m" in settings_text(second, things)


def test_long_names_are_shortened_and_stay_apart(helm: Path) -> None:
    """A StatefulSet's name leaves room for the labels of its pods, and groups don't collide."""
    groups: dict[str, Any] = {
        "a-rather-long-name-of-a-group-1": {},
        "a-rather-long-name-of-a-group-2": {},
    }
    sets = of_kind(template_with(helm, {"groups": groups}, release="r" * 50), "StatefulSet")
    names = {stateful_set["metadata"]["name"] for stateful_set in sets}
    assert 2 == len(names)
    assert max(map(len, names)) <= _LONGEST_NAME_OF_A_STATEFUL_SET


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (
            {"repository": "registry.example.com:5000/relay"},
            f"registry.example.com:5000/relay:{__version__}",
        ),
        ({"tag": "edge"}, "blaze-relay:edge"),
        ({"tag": "edge", "digest": f"sha256:{'0f' * 32}"}, f"blaze-relay@sha256:{'0f' * 32}"),
    ],
    ids=["version", "tag", "digest"],
)
def test_the_image_is_named(helm: Path, image: dict[str, str], expected: str) -> None:
    """A digest wins over a tag, a tag over the chart's appVersion."""
    (stateful_set,) = of_kind(template_with(helm, {"image": image}), "StatefulSet")
    assert expected == container(stateful_set)["image"]


def test_openshift_gets_no_ids(helm: Path) -> None:
    """With the ids set to null the cluster chooses user and groups; root stays out all the same."""
    path = next(path for path in EXAMPLES if path.stem == "openshift")
    (stateful_set,) = of_kind(example(helm, path), "StatefulSet")
    security = pod_spec(stateful_set)["securityContext"]
    assert {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"} == set(security)


def test_prometheus_scrapes_each_pod_once(helm: Path) -> None:
    """The ServiceMonitor selects one Service of each group."""
    values = {"serviceMonitor": {"enabled": True}, "groups": {"a": {}, "b": {}}}
    things = template_with(helm, values)
    (monitor,) = of_kind(things, "ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    chosen = [s for s in of_kind(things, "Service") if selector <= s["metadata"]["labels"].items()]
    assert len(chosen) == len(of_kind(things, "StatefulSet"))
    assert monitor["spec"]["endpoints"][0]["port"] == chosen[0]["spec"]["ports"][0]["name"]


def test_alerts_can_be_labelled_and_left_out(helm: Path) -> None:
    """The rules are those of deploy/prometheus, templates in them untouched, and can be trimmed."""
    everything = _rules(helm, {})
    alerts = [rule["alert"] for rule in everything if "alert" in rule]
    assert "{{ $labels" in yaml.safe_dump(everything)
    chosen = _rules(helm, {"disabledAlerts": alerts[:1], "alertLabels": {"team": "messaging"}})
    assert alerts[1:] == [rule["alert"] for rule in chosen if "alert" in rule]
    assert all("messaging" == rule["labels"]["team"] for rule in chosen if "alert" in rule)
    assert all("team" not in rule.get("labels", {}) for rule in chosen if "record" in rule)


def test_runbooks_are_where_they_can_be_read(helm: Path) -> None:
    """The links of all alerts begin with the address that is given, and end with their section."""
    wiki = "https://wiki.example.com/relay"
    alerts = [rule for rule in _rules(helm, {"runbookUrl": wiki}) if "alert" in rule]
    assert {f"{wiki}#{rule['alert'].lower()}" for rule in alerts} == {
        rule["annotations"]["runbook_url"] for rule in alerts
    }


def test_the_dashboard_is_the_projects(helm: Path) -> None:
    """Grafana's sidecar finds the dashboard by its label, byte for byte."""
    things = template_with(helm, {"dashboard": {"enabled": True}})
    (found,) = (t for t in of_kind(things, "ConfigMap") if "blaze-relay.json" in t["data"])
    assert "1" == found["metadata"]["labels"]["grafana_dashboard"]
    assert (
        DASHBOARD.read_text(encoding="utf-8").strip() == found["data"]["blaze-relay.json"].strip()
    )


def _rules(helm: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    things = template_with(helm, {"prometheusRule": {"enabled": True, **values}})
    (rule,) = of_kind(things, "PrometheusRule")
    return [rule for group in rule["spec"]["groups"] for rule in group["rules"]]
