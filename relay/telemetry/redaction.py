"""What may leave the house in a log line: plain values, bounded, and without secrets."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

MASK = "***"

MAX_TEXT = 16 * 1024
"""A longer text is cut: a line is for reading, and most log collectors refuse longer ones."""

MAX_ITEMS = 100
"""More of a collection than that says nothing that a person would read."""

MAX_DEPTH = 6
"""Deeper is left out, so that what contains itself ends."""

_MIN_KNOWN = 6
"""A shorter secret would mask ordinary words, and could be guessed from where it is missing."""

_INT_BITS = 63

_SECRET_KEY = re.compile(
    r"authori[sz]ation|token|secret|passw|private_?key|keystore|credential|cookie"
    r"|api_?key|signature|(?:^|_)(?:pin|seed)$"
)
_PATH_KEY = re.compile(r"_(?:file|path)$")

# Only a text with one of these can hold anything that a pattern below looks for.
_SUSPECT = re.compile(r"eyJ|whs|rjk_|[:=]|-----|bearer|basic", re.IGNORECASE)

# Every repetition is bounded or eats what it has looked at: a stranger's text must not cost a
# second of the event loop.
_IS = r"[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}"
# In prose a colon follows such a word too, with a space behind it and no quote around.
_IS_VALUE = r"(?:[\"'\\]{1,4}\s{0,4}[:=]\s{0,4}|\s{0,4}=\s{0,4}|:(?=\S)|:\s{0,4}(?=[\"']))"
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"-----BEGIN [^-]{0,40}PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)", re.DOTALL),
        MASK,
    ),
    (re.compile(r"(?:whs(?:ec|k)|rjk)_[A-Za-z0-9+/=_-]*"), MASK),
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*"), MASK),
    (re.compile(rf"((?:authorization|cookie){_IS})[^\r\n]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {MASK}"),
    # The last @ before the path ends the user and the password, whatever they hold.
    (re.compile(r"://[^\s/?#]*@"), f"://{MASK}@"),
    (
        re.compile(r"(://[^\s?#]*)([?#]\S+)?"),
        lambda url: f"{url[1]}?{MASK}" if url[2] else url[1],
    ),
    (
        re.compile(
            r"((?:token|secret|passw|private_?key|keystore|api_?key)[\w-]{0,32}"
            rf"{_IS_VALUE})(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&)}}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


class Redactor:
    """Turns any value into a plain one for a log line, without the secrets in it.

    `known` are secrets to mask wherever they turn up, beside whatever looks like one.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.learn(known)
        self._usual: dict[type, Callable[[Any], Any]] = {
            str: self.text,
            bool: lambda value: value,
            type(None): lambda value: value,
            int: lambda value: value if value.bit_length() <= _INT_BITS else self._shown(value),
            float: lambda value: value if math.isfinite(value) else str(value),
        }

    def learn(self, known: Iterable[str]) -> None:
        """Mask these as well from now on; what was a secret before stays one."""
        self._secrets.update(secret for secret in known if len(secret) >= _MIN_KNOWN)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)))
        self._has_known = bool(longest_first)

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Redact an event and its fields."""
        return self._mapping(event, 0)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Redact a value of any type; the answer is JSON."""
        usual = self._usual.get(type(value))
        if usual is not None:
            return usual(value)
        match value:
            case Mapping():
                return self._mapping(value, depth) if depth < MAX_DEPTH else "…"
            case list() | tuple() | set() | frozenset():
                return self._items(value, depth) if depth < MAX_DEPTH else "…"
            case _:
                return self._shown(value)

    def text(self, text: str) -> str:
        """Redact a text and bound it."""
        if self._has_known:
            text = self._known.sub(MASK, text)
        if len(text) > MAX_TEXT:
            text = _cut(text)
        if _SUSPECT.search(text):
            for pattern, instead in _PATTERNS:
                text = pattern.sub(instead, text)
        return text

    def _mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        pairs = islice(mapping.items(), MAX_ITEMS)
        return {
            self._name(key): MASK if _is_secret(key, value) else self.value(value, depth + 1)
            for key, value in pairs
        }

    def _items(self, items: Collection[Any], depth: int) -> list[Any]:
        match items:
            case (str() as key, value) if _is_secret(key, value):  # a header, say
                return [self._name(key), MASK]
            case _:
                return [self.value(item, depth + 1) for item in islice(items, MAX_ITEMS)]

    def _name(self, key: object) -> str:
        return self.text(key) if type(key) is str else self._shown(key)

    def _shown(self, value: object) -> str:
        try:
            return self.text(_show(value))
        except Exception:  # noqa: BLE001 - a stranger's repr must not keep the line from being said
            return f"<{type(value).__name__}>"


def _show(value: object) -> str:
    match value:
        case str():
            return str.__str__(value)  # an enum's value, not its name
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case _:
            return repr(value)


def _is_secret(key: object, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return False
    return isinstance(key, str) and _sounds_secret(key)


@lru_cache(maxsize=1024)
def _sounds_secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    return _SECRET_KEY.search(name) is not None and _PATH_KEY.search(name) is None


def _cut(text: str) -> str:
    """Cut a text before its last word, since half a secret looks like none."""
    kept, _, _ = text[:MAX_TEXT].rpartition(" ")
    return f"{kept}… ({len(text)} characters)"
