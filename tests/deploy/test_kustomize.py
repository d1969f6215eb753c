"""Plain kustomize says the same as the chart, and Kubernetes takes it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.model.times import parse_duration
from tests.deploy.kubernetes_chart import (
    CHART,
    ROOT,
    of_kind,
    run,
    template_with,
    yaml_objects,
)
from tests.deploy.kubernetes_pods import WHOLE, container, load, pod_spec, settings_text
from tests.deploy.kubernetes_schemas import Object, refusals
from tests.deploy.kubernetes_tools import tool

_FOLDER = ROOT / "deploy" / "kubernetes"
_OVERLAYS = ("example", "second-group")
_GRACE_BEYOND_DRAIN = 35


@pytest.fixture(scope="module")
def kubectl() -> Path:
    return tool("kubectl")


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


@pytest.fixture(scope="module")
def base(kubectl: Path) -> list[Object]:
    return _build(kubectl, _FOLDER / "base")


@pytest.fixture(scope="module")
def overlays(kubectl: Path) -> list[Object]:
    """Everything that both overlays put into one namespace."""
    return [thing for name in _OVERLAYS for thing in _build(kubectl, _FOLDER / "overlays" / name)]


def _build(kubectl: Path, folder: Path) -> list[Object]:
    done = run((kubectl, "kustomize", folder))
    assert ("", 0) == (done.stderr, done.returncode)
    return yaml_objects(done.stdout)


def test_kubernetes_takes_every_object(base: list[Object], overlays: list[Object]) -> None:
    """Strict validation refuses nothing, neither in the oldest Kubernetes nor in the newest."""
    refused = {thing["metadata"]["name"]: refusals(thing) for thing in (*base, *overlays)}
    assert {} == {name: why for name, why in refused.items() if why}


def test_no_secret_is_among_the_files(base: list[Object], overlays: list[Object]) -> None:
    """Secrets are named and made by hand: no folder of ours holds one."""
    assert [] == of_kind([*base, *overlays], "Secret")


def test_the_pod_is_that_of_the_chart(helm: Path, base: list[Object]) -> None:
    """Base and chart run the same pod, but for names."""
    (ours,) = of_kind(base, "StatefulSet")
    values = {"image": {"repository": "blaze-relay"}, "settings": {"bots": [_BOT]}, **_NO_SHORT_WAY}
    (theirs,) = of_kind(template_with(helm, values), "StatefulSet")
    assert _essence(theirs) == _essence(ours)


_BOT = {
    "name": "support",
    "keystore_file": "/run/secrets/relay/support.json",
    "endpoints": [{"name": "crm", "url": "https://crm.example.com/hooks"}],
}
_NO_SHORT_WAY: dict[str, Any] = {
    "webhookUrls": [],
    "secrets": {"keystore": {"secretName": ""}, "files": [{"secretName": "blaze-relay"}]},
}


def _essence(stateful_set: Object) -> dict[str, Any]:
    """Give a StatefulSet without what each installation names in its own way."""
    spec = yaml.safe_load(yaml.safe_dump(stateful_set["spec"]))
    del spec["selector"], spec["serviceName"], spec["template"]["metadata"]
    for claim in spec["volumeClaimTemplates"]:
        del claim["metadata"]["labels"]
    pod = spec["template"]["spec"]
    del pod["serviceAccountName"]
    pod["containers"][0]["image"] = pod["containers"][0]["image"].partition(":")[0]
    for volume in pod["volumes"]:
        volume.get("configMap", {}).pop("name", None)
    pod["volumes"].sort(key=lambda volume: str(volume["name"]))
    return dict(spec)


def test_services_are_those_of_the_chart(helm: Path, base: list[Object]) -> None:
    """Base and chart have the same two Services."""

    def essence(things: list[Object]) -> list[dict[str, Any]]:
        specs = [service["spec"] for service in of_kind(things, "Service")]
        return [{k: v for k, v in spec.items() if k != "selector"} for spec in specs]

    assert essence(template_with(helm, {})) == essence(base)


def test_the_network_policy_is_that_of_the_chart(helm: Path, overlays: list[Object]) -> None:
    """Component and chart let the same through, but for the chart's own test."""
    (ours,) = of_kind(overlays, "NetworkPolicy")
    (theirs,) = of_kind(template_with(helm, {"networkPolicy": {"enabled": True}}), "NetworkPolicy")
    assert theirs["spec"]["egress"] == ours["spec"]["egress"]
    (ingress,) = theirs["spec"]["ingress"]
    del ingress["from"][1]
    assert [ingress] == ours["spec"]["ingress"]


def test_the_rules_are_those_of_the_chart(helm: Path, overlays: list[Object]) -> None:
    """Component and chart ship the same rules and the same dashboard."""
    values = {"prometheusRule": {"enabled": True}}
    (theirs,) = of_kind(template_with(helm, values), "PrometheusRule")
    (ours,) = of_kind(overlays, "PrometheusRule")
    assert theirs["spec"] == ours["spec"]
    (dashboard,) = (t for t in of_kind(overlays, "ConfigMap") if "blaze-relay.json" in t["data"])
    original = (CHART / "files" / "dashboard.json").read_text(encoding="utf-8")
    assert original == dashboard["data"]["blaze-relay.json"]
    assert {"grafana_dashboard": "1"}.items() <= dashboard["metadata"]["labels"].items()


def test_the_relay_takes_the_settings(
    overlays: list[Object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the Secrets that the README makes, the relay's own loader finds no mistake."""
    monkeypatch.setitem(WHOLE, "blaze-relay", ("support.json", "crm"))
    monkeypatch.setitem(WHOLE, "blaze-relay-sales", ("sales.json", "shop"))
    for found in of_kind(overlays, "StatefulSet"):
        settings = load(found, overlays, tmp_path / found["metadata"]["name"])
        assert 8080 == settings.listen.port
        assert settings.journal_file is not None
        assert all(endpoint.signer for bot in settings.bots for endpoint in bot.endpoints)


def test_the_grace_period_is_above_the_drain(base: list[Object], overlays: list[Object]) -> None:
    """Every StatefulSet grants drain_timeout and 35 s."""
    for things in (base, overlays):
        for found in of_kind(things, "StatefulSet"):
            drain = yaml.safe_load(settings_text(found, things))["drain_timeout"]
            grace = pod_spec(found)["terminationGracePeriodSeconds"]
            assert parse_duration(drain) + _GRACE_BEYOND_DRAIN == grace


def test_groups_of_one_namespace_stay_apart(overlays: list[Object]) -> None:
    """Each Service, budget and StatefulSet selects the pod of its own group."""
    sets = of_kind(overlays, "StatefulSet")
    pods = [found["spec"]["template"]["metadata"]["labels"] for found in sets]
    selectors = [service["spec"]["selector"] for service in of_kind(overlays, "Service")]
    selectors += [
        thing["spec"]["selector"]["matchLabels"]
        for thing in (*sets, *of_kind(overlays, "PodDisruptionBudget"))
    ]
    assert [1] * len(selectors) == [
        sum(selector.items() <= labels.items() for labels in pods) for selector in selectors
    ]
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in overlays]
    assert len(names) == len(set(names))
    assert {"bots"} == {thing["metadata"]["namespace"] for thing in overlays}


def test_the_overlay_names_its_image(overlays: list[Object]) -> None:
    """The image of the overlays is that of Chart.yaml's version, from the operator's registry."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    images = {container(found)["image"] for found in of_kind(overlays, "StatefulSet")}
    assert {f"registry.example.com/blaze-relay:{version}"} == images


def test_prometheus_scrapes_each_pod_once(overlays: list[Object]) -> None:
    """The ServiceMonitor selects one Service of each group."""
    (monitor,) = of_kind(overlays, "ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    services = of_kind(overlays, "Service")
    chosen = [s for s in services if selector <= s["metadata"]["labels"].items()]
    assert len(chosen) == len(of_kind(overlays, "StatefulSet"))
