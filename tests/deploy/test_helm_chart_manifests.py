"""What must hold of everything that the chart renders, whatever the values."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes_chart import EXAMPLES, example, of_kind, template_with
from tests.deploy.kubernetes_pods import container, pod_spec
from tests.deploy.kubernetes_schemas import Object, refusals
from tests.deploy.kubernetes_tools import tool

_EVERYTHING: dict[str, Any] = {
    "commonLabels": {"team": "messaging", "app.kubernetes.io/name": "mine"},
    "statefulSetAnnotations": {"reloader.stakater.com/auto": "true"},
    "podAnnotations": {"note": "one"},
    "podLabels": {"tier": "edge", "blaze-relay/group": "mine"},
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}
                ]
            }
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["crm.example.com"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["192.0.2.53"], "options": [{"name": "ndots", "value": "1"}]},
    "persistence": {"storageClass": "-", "annotations": {"backup": "daily"}},
    "serviceAccount": {"annotations": {"note": "none"}},
    "service": {"port": 80, "annotations": {"note": "two"}},
    "serviceMonitor": {
        "enabled": True,
        "relabelings": [{"targetLabel": "cluster", "replacement": "north"}],
        "metricRelabelings": [{"action": "drop", "sourceLabels": ["le"], "regex": "10"}],
    },
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True, "httpsTo": []},
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": '{{ include "blaze-relay.fullname" . }}-more'},
            "data": {"release": "{{ .Release.Name }}"},
        }
    ],
    "groups": {"a": {}, "b": {"secrets": {"adminToken": {"secretName": "admin"}}}},
}


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


@pytest.fixture(params=[*EXAMPLES, None], ids=lambda path: path.stem if path else "everything")
def things(request: pytest.FixtureRequest, helm: Path) -> list[Object]:
    path: Path | None = request.param
    return _everything(helm) if path is None else example(helm, path)


@cache
def _everything(helm: Path) -> list[Object]:
    return template_with(helm, _EVERYTHING)


def test_kubernetes_takes_every_object(things: list[Object]) -> None:
    """Strict validation refuses nothing, neither in the oldest Kubernetes nor in the newest."""
    refused = {thing["metadata"]["name"]: refusals(thing) for thing in things}
    assert {} == {name: why for name, why in refused.items() if why}


def test_every_group_is_one_relay(things: list[Object]) -> None:
    """A StatefulSet has one replica: two sockets of one session push everything twice."""
    sets = of_kind(things, "StatefulSet")
    assert sets
    assert {1} == {stateful_set["spec"]["replicas"] for stateful_set in sets}
    assert [] == of_kind(things, "Deployment")


def test_no_container_can_do_more_than_it_needs(things: list[Object]) -> None:
    """No root, no writable image, no capability, no token of the cluster's API."""
    for spec in _pod_specs(things):
        assert False is spec["automountServiceAccountToken"]
        assert False is spec["enableServiceLinks"]
        assert True is spec["securityContext"]["runAsNonRoot"]
        assert 0 != spec["securityContext"].get("runAsUser", 10001)
        assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"]
        assert {"hostNetwork", "hostPID", "hostIPC", "initContainers"}.isdisjoint(spec)
        for inside in spec["containers"]:
            assert {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            } == inside["securityContext"]


def test_memory_is_bounded_and_cpu_is_not(things: list[Object]) -> None:
    """Requests are set, memory has a limit, and nothing throttles the socket."""
    for spec in _pod_specs(things):
        for inside in spec["containers"]:
            assert {"cpu", "memory"} == set(inside["resources"]["requests"])
            assert {"memory"} == set(inside["resources"]["limits"])


def test_no_secret_is_written_out(things: list[Object]) -> None:
    """There is no Secret among the objects, and nothing that looks like the text of one."""
    assert [] == of_kind(things, "Secret")
    assert not re.search(r"whsec_|whsk_|rjk_|BEGIN [A-Z ]*PRIVATE|private_key", json.dumps(things))


def test_a_missing_secret_keeps_the_pod_waiting(things: list[Object]) -> None:
    """No reference is optional: a pod without its secrets says so instead of starting without."""
    assert "optional" not in json.dumps(of_kind(things, "StatefulSet"))


def test_selectors_match_their_pods_and_nothing_else(things: list[Object]) -> None:
    """Services, budgets and the StatefulSet itself select the pods of one group."""
    sets = of_kind(things, "StatefulSet")
    pods = [stateful_set["spec"]["template"]["metadata"]["labels"] for stateful_set in sets]
    pods += [pod["metadata"]["labels"] for pod in of_kind(things, "Pod")]
    selectors = [thing["spec"]["selector"] for thing in of_kind(things, "Service")]
    selectors += [
        thing["spec"]["selector"]["matchLabels"]
        for thing in (*sets, *of_kind(things, "PodDisruptionBudget"))
    ]
    assert [1] * len(selectors) == [
        sum(selector.items() <= labels.items() for labels in pods) for selector in selectors
    ]


def test_what_never_changes_has_no_version_in_it(things: list[Object]) -> None:
    """Selectors and claims can't be changed later, so a new chart must not want to."""
    for stateful_set in of_kind(things, "StatefulSet"):
        selector = stateful_set["spec"]["selector"]["matchLabels"]
        assert selector["blaze-relay/group"]
        for claim in stateful_set["spec"].get("volumeClaimTemplates", []):
            assert selector == claim["metadata"]["labels"]


def test_a_new_chart_alone_starts_no_new_pod(things: list[Object]) -> None:
    """The pod's labels name no version of the chart."""
    for stateful_set in of_kind(things, "StatefulSet"):
        labels = stateful_set["spec"]["template"]["metadata"]["labels"]
        assert {"helm.sh/chart", "app.kubernetes.io/version"}.isdisjoint(labels)


def test_every_mount_has_its_volume(things: list[Object]) -> None:
    """What is mounted is there, and what is there is mounted."""
    for stateful_set in of_kind(things, "StatefulSet"):
        claims = stateful_set["spec"].get("volumeClaimTemplates", [])
        volumes = [claim["metadata"]["name"] for claim in claims]
        volumes += [volume["name"] for volume in pod_spec(stateful_set)["volumes"]]
        mounts = [mount["name"] for mount in container(stateful_set)["volumeMounts"]]
        assert sorted(volumes) == sorted(mounts)


def test_the_journal_is_the_only_place_to_write(things: list[Object]) -> None:
    """Everything but /var/lib/relay is mounted read-only."""
    for stateful_set in of_kind(things, "StatefulSet"):
        mounts = container(stateful_set)["volumeMounts"]
        writable = [mount["mountPath"] for mount in mounts if not mount.get("readOnly")]
        assert ["/var/lib/relay"] == writable


def test_claims_outlive_the_release(things: list[Object]) -> None:
    """Uninstalling or scaling down keeps the journal, which one pod at a time writes."""
    for stateful_set in of_kind(things, "StatefulSet"):
        for claim in stateful_set["spec"].get("volumeClaimTemplates", []):
            policy = stateful_set["spec"]["persistentVolumeClaimRetentionPolicy"]
            assert {"whenDeleted": "Retain", "whenScaled": "Retain"} == policy
            (mode,) = claim["spec"]["accessModes"]
            assert mode in {"ReadWriteOnce", "ReadWriteOncePod"}


def test_probes_ask_what_they_are_for(things: list[Object]) -> None:
    """Only /livez ends the relay, only /readyz speaks of the world outside, minutes to start."""
    for stateful_set in of_kind(things, "StatefulSet"):
        inside = container(stateful_set)
        probes = {name: inside[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
        assert {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"} == {
            name: probe["httpGet"]["path"] for name, probe in probes.items()
        }
        assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 300
        assert probes["liveness"]["failureThreshold"] >= 3
        assert [{"name": "http", "containerPort": 8080, "protocol": "TCP"}] == inside["ports"]


def test_the_statefulset_has_its_headless_service(things: list[Object]) -> None:
    """Each group has a Service to ask, and a headless one, both reachable while not ready."""
    services = {thing["metadata"]["name"]: thing for thing in of_kind(things, "Service")}
    for stateful_set in of_kind(things, "StatefulSet"):
        name = stateful_set["metadata"]["name"]
        assert f"{name}-headless" == stateful_set["spec"]["serviceName"]
        assert "None" == services.pop(f"{name}-headless")["spec"]["clusterIP"]
        assert True is services.pop(name)["spec"]["publishNotReadyAddresses"]
    assert {} == services


def test_helm_test_asks_each_group(things: list[Object]) -> None:
    """`helm test` runs the relay's own health check from the same image against the Service."""
    ports = {
        thing["metadata"]["name"]: thing["spec"]["ports"][0]["port"]
        for thing in of_kind(things, "Service")
    }
    pods = of_kind(things, "Pod")
    assert len(pods) == len(of_kind(things, "StatefulSet"))
    for pod, stateful_set in zip(pods, of_kind(things, "StatefulSet"), strict=True):
        (inside,) = pod["spec"]["containers"]
        name = stateful_set["metadata"]["name"]
        assert ["healthcheck", "--url", f"http://{name}:{ports[name]}"] == inside["args"]
        assert container(stateful_set)["image"] == inside["image"]
        assert "test" == pod["metadata"]["annotations"]["helm.sh/hook"]


def test_names_are_unique_and_in_the_releases_namespace(things: list[Object]) -> None:
    """No two objects of a kind share a name, and none strays into another namespace."""
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in things]
    assert len(names) == len(set(names))
    assert {"bots"} == {thing["metadata"].get("namespace", "bots") for thing in things}


def _pod_specs(things: list[Object]) -> list[dict[str, Any]]:
    specs = [pod_spec(stateful_set) for stateful_set in of_kind(things, "StatefulSet")]
    return specs + [pod["spec"] for pod in of_kind(things, "Pod")]
