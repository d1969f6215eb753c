"""Finds in PromQL which series it asks for, and by which labels."""

import re
from collections.abc import Collection
from dataclasses import dataclass

_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"  # after a word: labels
)
_SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\s*\()\b")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a selector demands of a label."""

    label: str
    operator: str
    value: str

    def matches(self, values: Collection[str]) -> bool:
        """Say whether any of these values is meant; a dashboard's variable means them all."""
        if "$" in self.value:
            return True
        pattern = self.value if "~" in self.operator else re.escape(self.value)
        found = [re.fullmatch(pattern, value) is not None for value in values]
        return any(found) if "!" not in self.operator else not all(found)

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """A series that is asked for."""

    name: str
    matchers: tuple[Matcher, ...] = ()


def find_selectors(expression: str) -> list[Selector]:
    """List the series that an expression asks for."""
    rest = _GROUPING.sub(" ", expression)
    found = [
        Selector(name, tuple(Matcher(*each) for each in _MATCHER.findall(inside)))
        for name, inside in _SELECTOR.findall(rest)
    ]
    rest = _RANGE.sub(" ", _TEXT.sub(" ", _SELECTOR.sub(" ", rest)))
    return found + [Selector(name) for name in _NAME.findall(rest) if name not in _WORDS]


def find_labels(expression: str) -> set[str]:
    """List the labels that an expression groups or joins by."""
    return {
        label.strip()
        for group in _GROUPING.findall(expression)
        for label in group.split(",")
        if label.strip()
    }
