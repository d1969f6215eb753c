"""Alert rules at another pace, so that a test sees in seconds what takes minutes."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_PART = r"\d+(?:ms|[smhdwy])"
_PARTS = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION = re.compile(rf"(?<=\[)(?:{_PART})+(?=\])|(?<=offset )(?:{_PART})+")
_PRODUCT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) \* (60|3600|86400)(?![\w.])")


def hasten(rules: Any, factor: float) -> Any:
    """Make every duration of a rules file so many times shorter, rounded to milliseconds.

    Those are its `for`s, its ranges and offsets, and the products in which it writes seconds, such
    as `15 * 60`.
    """
    hastened = deepcopy(rules)
    for group in hastened["groups"]:
        for rule in group["rules"]:
            rule["expr"] = hasten_expression(rule["expr"], factor)
            if "for" in rule:
                rule["for"] = hasten_duration(rule["for"], factor)
    return hastened


def hasten_expression(expression: str, factor: float) -> str:
    """Make the durations in an expression shorter."""
    ranges = _DURATION.sub(_of(lambda text: hasten_duration(text, factor)), expression)
    return _PRODUCT.sub(lambda found: f"{found[1]} * {int(found[2]) / factor:g}", ranges)


def hasten_duration(text: str, factor: float) -> str:
    """Make one duration shorter; it never gets to nothing."""
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))
    return f"{max(1, round(seconds / factor * 1000))}ms"


def _of(change: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda found: change(found[0])
