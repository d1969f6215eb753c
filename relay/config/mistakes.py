"""Mistakes in settings, one line each: the setting, its value unless secret, what is expected."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Where a value is in the tree of settings: keys and positions."""

MASK = "***"

_SECRET_KEYS = frozenset(
    {"secret", "keystore", "bearer_token", "back_token", "admin_token", "headers"}
)
_URL_KEYS = frozenset({"url", "blaze_url", "api_url"})
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
        """Read as a line without its `relay: `."""
        return f"{self.setting}: {self.text}"


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
    """Say whether the value at a path may hold a secret."""
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


def lines(mistakes: Iterable[Mistake]) -> list[str]:
    """Write the mistakes down, each once, in the order in which they were found."""
    return list(dict.fromkeys(str(mistake) for mistake in mistakes))
