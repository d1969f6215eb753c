"""Rules at another pace say the same, only sooner."""

import pytest
import yaml

from tests.deploy.prometheus_pace import hasten, hasten_duration, hasten_expression
from tests.deploy.prometheus_server import RULES


@pytest.mark.parametrize(
    ("text", "hastened"),
    [("15m", "15000ms"), ("1h30m", "90000ms"), ("24h", "1440000ms"), ("1ms", "1ms")],
)
def test_durations_shrink(text: str, hastened: str) -> None:
    """A duration is a sixtieth of what it was, and never nothing."""
    assert hastened == hasten_duration(text, 60)


@pytest.mark.parametrize(
    ("text", "hastened"),
    [
        ("rate(a[5m]) > 14.4 * 0.01", "rate(a[5000ms]) > 14.4 * 0.01"),
        ("age > 15 * 60", "age > 15 * 1"),
        ("predict_linear(a[6h], 24 * 3600) < 0", "predict_linear(a[360000ms], 24 * 60) < 0"),
        ("age > 3.5 * 86400", "age > 3.5 * 1440"),
        ("max(a[30m] offset 3h)", "max(a[30000ms] offset 180000ms)"),
        ("free < 256 * 1024 * 1024", "free < 256 * 1024 * 1024"),
        ("increase(a[10m]) > 20", "increase(a[10000ms]) > 20"),
    ],
)
def test_expressions_shrink(text: str, hastened: str) -> None:
    """Ranges, offsets and products of seconds are a sixtieth of what they were; no other number."""
    assert hastened == hasten_expression(text, 60)


def test_nothing_else_changes() -> None:
    """At the pace of life, the rules mean what they meant."""
    for path in RULES:
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = [list(rule) for group in rules["groups"] for rule in group["rules"]]
        slow = hasten(hasten(rules, 60), 1 / 60)
        assert names == [list(rule) for group in slow["groups"] for rule in group["rules"]]
