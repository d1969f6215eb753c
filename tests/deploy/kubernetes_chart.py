"""The chart, rendered by helm."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.kubernetes_schemas import Object

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "blaze-relay"
EXAMPLES = sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))

MINIMAL: dict[str, Any] = {
    "webhookUrls": ["https://crm.example.com/hooks/mixin"],
    "secrets": {"keystore": {"secretName": "support"}},
}
"""The values without which nothing is rendered."""


class HelmRefusedError(Exception):
    """Helm renders nothing; the text is what it says."""


def template(helm: Path, *files: Path, release: str = "shop") -> list[Object]:
    """Render the chart with values files, in the namespace `bots`. Raises `HelmRefusedError`."""
    return yaml_objects(_template(helm, files, release, ""))


def template_with(helm: Path, values: Mapping[str, Any], release: str = "shop") -> list[Object]:
    """Render the chart with the minimal values and these over them, as helm lays them over."""
    text = yaml.safe_dump(over(MINIMAL, values))
    return yaml_objects(_template(helm, (Path("-"),), release, text))


@cache
def example(helm: Path, path: Path) -> list[Object]:
    """Render an example once; whoever asks changes nothing in it."""
    return template(helm, path)


def refusal(helm: Path, values: Mapping[str, Any]) -> str:
    """Give helm's words on values that it should refuse; nothing if it takes them."""
    try:
        template_with(helm, values)
    except HelmRefusedError as refused:
        return str(refused)
    return ""


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others: mappings are merged, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = over(merged[key], value) if both else value
    return merged


def yaml_objects(text: str) -> list[Object]:
    """Read the objects of a stream of YAML documents."""
    return [thing for thing in yaml.load_all(text, Loader=yaml.CSafeLoader) if thing]


def of_kind(things: list[Object], kind: str) -> list[Object]:
    """Pick the objects of a kind."""
    return [thing for thing in things if thing["kind"] == kind]


def run(command: tuple[str | Path, ...], text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end, whatever that is."""
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=60
    )


def _template(helm: Path, files: tuple[Path, ...], release: str, text: str) -> str:
    values = [option for file in files for option in ("--values", str(file))]
    done = run((helm, "template", release, CHART, "--namespace", "bots", *values), text)
    if done.returncode:
        raise HelmRefusedError(done.stderr)
    return done.stdout
