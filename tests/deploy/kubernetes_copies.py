"""Copies of rules and dashboard, where Helm and kustomize can reach them.

Helm reads no file outside its chart and kustomize none outside its folder, so each has a copy,
which a test holds to the original. `python -m tests.deploy.kubernetes_copies` writes them anew.
"""

from pathlib import Path

import yaml

from tests.deploy.kubernetes_chart import CHART, ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
RECORDING = ROOT / "deploy" / "prometheus" / "recording.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
COMPONENT = ROOT / "deploy" / "kubernetes" / "components" / "monitoring"


def copies() -> dict[Path, str]:
    """Give each copy with what has to be in it."""
    return {
        CHART / "files" / "alerts.yml": _text(ALERTS),
        CHART / "files" / "recording.yml": _text(RECORDING),
        CHART / "files" / "dashboard.json": _text(DASHBOARD),
        COMPONENT / "dashboard.json": _text(DASHBOARD),
        COMPONENT / "prometheus-rule.yaml": _prometheus_rule(),
    }


def _prometheus_rule() -> str:
    groups = [
        group for file in (RECORDING, ALERTS) for group in yaml.safe_load(_text(file))["groups"]
    ]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "blaze-relay"},
        "spec": {"groups": groups},
    }
    head = "# Made of deploy/prometheus by `python -m tests.deploy.kubernetes_copies`.\n"
    return head + yaml.dump(rule, Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=120)


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as blocks, for people to read."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _block)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    for place, content in copies().items():
        place.write_text(content, encoding="utf-8")
