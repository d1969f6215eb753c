"""Settings on their way: a tree of what was written, where it came from, and what is wrong with it.

A mistake is one line: the setting, its value unless that may be secret, and what is expected.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
"""Where a value is in the tree of settings: keys and positions."""

Tree = dict[str, Any]
"""Texts, lists and mappings: the section that reads it, not YAML, decides what a scalar is."""

MASK = "***"

_SECRET_KEYS = frozenset(
    {"secret", "keystore", "bearer_token", "back_token", "admin_token", "headers"}
)
_URL_KEYS = frozenset({"url", "blaze_url", "api_url", "proxy"})
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(r"(?:whsec|whsk|rjk)_\S*")
_USERINFO = re.compile(r"(.*?://)?.*@", re.DOTALL)
_QUERY = re.compile(r"([?#]).+", re.DOTALL)
_LONGEST_SHOWN = 80


class SettingsError(Exception):
    """The settings can't be used; `mistakes` has one line for each thing wrong, never a secret."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = list(mistakes)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with one setting."""

    setting: str
    text: str

    def __str__(self) -> str:
        """Write the line without its `relay: `."""
        return f"{self.setting}: {self.text}"


@dataclass(slots=True)
class Draft:
    """What is known of the settings before they are valid.

    `written` has the text of values that held a `${VAR}`, since a mistake must not print what the
    environment put there; `origins` names the variable or the file key that a value came from.
    `blamed` names settings that need no second mistake: the first one is why they are missing.
    """

    tree: Tree = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    written: dict[KeyPath, str] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    blamed: frozenset[str] = frozenset()

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
        self.blame_key(path, f"{self._value(path)}{text}")

    def blame_key(self, path: KeyPath, text: str) -> None:
        """Note a mistake without the value, which may be anything."""
        name = self.name(path) or "config file"
        if name not in self.blamed:
            self.mistakes.append(Mistake(name, text))

    def at(self, path: KeyPath) -> Any:
        """Find what is written at a path; None if nothing is."""
        value: Any = self.tree
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def lay(self, path: KeyPath, value: str, origin: str) -> None:
        """Lay a value over what is written at a path."""
        self.at(path[:-1])[path[-1]] = value
        self.origins[path] = origin
        self.written.pop(path, None)

    def _value(self, path: KeyPath) -> str:
        value = self.written.get(path, self.at(path))
        if value is None or (value == "" and is_secret(path)):
            return ""
        return f"{shown(value, path)}: "


def mappings(value: Any) -> list[tuple[int, Tree]]:
    """Find the mappings of a list, with their positions; in anything else none."""
    if not isinstance(value, list):
        return []
    return [(position, item) for position, item in enumerate(value) if isinstance(item, dict)]


def setting_name(path: KeyPath) -> str:
    """Write a path as an operator reads it: `bots[0].endpoints[1].timeout`."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else shown(part)
            name += f".{key}" if name else key
    return name


def is_secret(path: KeyPath) -> bool:
    """Whether the value at a path may hold a secret."""
    return any(part in _SECRET_KEYS for part in path)


def shown(value: object, path: KeyPath = ()) -> str:
    """Show a setting's value on one line, with whatever may be secret in it masked."""
    if is_secret(path):
        return MASK
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = str(value)
    if "{" in text.replace("${", "") or "-----BEGIN" in text:
        return MASK  # a keystore or a key, pasted where something else belongs
    if "://" in text or _URL_KEYS.intersection(path):
        text = masked_url(text)
    text = _SECRET.sub(MASK, text)
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def masked_url(text: str) -> str:
    """Mask user, password and query of a URL, however broken it is."""
    text = _USERINFO.sub(lambda start: f"{start[1] or ''}{MASK}@", text)
    return _QUERY.sub(lambda rest: f"{rest[1]}{MASK}", text)
