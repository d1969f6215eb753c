"""Settings on their way: a tree of what was written, where it came from, and what is wrong."""

from dataclasses import dataclass, field
from typing import Any

from relay.config.mistakes import KeyPath, Mistake, is_secret, setting_name, shown

Tree = dict[str, Any]
"""Strings, lists and mappings: the schema, not YAML, decides what a scalar is."""


@dataclass(slots=True)
class Draft:
    """What is known of the settings before they are valid.

    `written` has the text of values that held a `${VAR}`, since a mistake must not print what the
    environment put there; `origins` names the variable or the file key that a value came from.
    """

    tree: Tree = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    written: dict[KeyPath, str] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def name(self, path: KeyPath) -> str:
        """Name a setting as its author knows it: a variable, or its path in the file."""
        for length in range(len(path), 0, -1):
            if origin := self.origins.get(path[:length]):
                return origin
        return setting_name(path)

    def blame(self, path: KeyPath, text: str) -> None:
        """Note a mistake in the value at a path; one of several in a text blames the whole text."""
        while path and isinstance(path[-1], int) and isinstance(self.at(path[:-1]), str):
            path = path[:-1]
        self.mistakes.append(Mistake(self.name(path), f"{self._value(path)}{text}"))

    def at(self, path: KeyPath) -> Any:
        """Give what is written at a path; None if nothing is."""
        value: Any = self.tree
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def _value(self, path: KeyPath) -> str:
        value = self.written.get(path, self.at(path))
        if value is None or (value == "" and is_secret(path)):
            return ""
        return f"{shown(value, path)}: "


def mappings(value: Any) -> list[tuple[int, Tree]]:
    """Give the mappings of a list with their positions; of anything else none."""
    if not isinstance(value, list):
        return []
    return [(position, item) for position, item in enumerate(value) if isinstance(item, dict)]
