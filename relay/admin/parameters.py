"""Parameters of requests: read from a query, a body or a command line, described as JSON Schema.

Each is of a kind, which reads text: JSON's numbers and booleans are read as they are written.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from relay.model.times import DURATION_FORM, TIME_FORM, parse_duration, parse_time, rfc3339

SHOWN = 10
"""Ids in a line of the log."""

Values = Mapping[str, Any]
"""What is asked, by the names of parameters; what is not asked has its default."""


class Mistakes(Exception):  # noqa: N818 - an answer, not a fault
    """What is wrong with a request: names of parameters, and what is expected of each."""

    def __init__(self, *mistakes: tuple[str, str]) -> None:
        super().__init__(*mistakes)
        self.mistakes = mistakes


class NotJson(Exception):  # noqa: N818 - an answer, not a fault
    """A body is no JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of values, read from text; any `ValueError` means that it is not as `expected`.

    `schema` is what JSON Schema says of it, `json` the type that JSON has for it.
    """

    expected: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    json: type = str


def text(most: int, *, lower: bool = False) -> Kind:
    """Make a kind of texts of up to so many characters."""

    def read(given: str) -> str:
        given.encode()  # lone surrogates come from bytes that are no UTF-8
        if not 0 < len(given) <= most:
            raise ValueError(given)
        return given.lower() if lower else given

    schema = {"type": "string", "minLength": 1, "maxLength": most}
    return Kind(f"text in UTF-8, of 1 to {most} characters", read, schema)


def one_of(*choices: str) -> Kind:
    """Make a kind of a few words."""
    schema = {"type": "string", "enum": [*map(str, choices)]}
    read = {str(choice): choice for choice in choices}
    return Kind(f"one of {', '.join(choices)}", read.__getitem__, schema)


def whole(least: int, most: int) -> Kind:
    """Make a kind of whole numbers; 1.0 is one, as JSON Schema has it."""

    def read(given: str) -> int:
        number = int(re.sub(r"\.0+$", "", given)) if len(given) < _LONGEST_NUMBER else most + 1
        if not least <= number <= most:
            raise ValueError(given)
        return number

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(f"a whole number from {least} to {most}", read, schema, int)


def cursor(pattern: str, read: Callable[[str], Any]) -> Kind:
    """Make a kind of cursors, which are for programs only."""

    def checked(given: str) -> Any:
        if re.fullmatch(pattern, given) is None:
            raise ValueError(given)
        return read(given)

    schema = {"type": "string", "pattern": pattern}
    return Kind("the next_cursor of an earlier answer", checked, schema)


_LONGEST_NUMBER = 40
_YES_NO = {
    **dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f", "n"), False),
}

YES_NO = Kind("true or false", lambda text: _YES_NO[text.lower()], {"type": "boolean"}, bool)
NAME = text(256)
ID = text(64, lower=True)
TIME = Kind(TIME_FORM, parse_time, {"type": "string", "format": "date-time"})
AGE = Kind(
    DURATION_FORM,
    lambda text: parse_duration(text, longest=math.inf),
    {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$"},
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request; with `most` it is a list of one to so many."""

    kind: Kind
    about: str = ""
    default: Any = None
    required: bool = False
    most: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """Describe it as JSON Schema."""
        schema = dict(self.kind.schema)
        if self.most:
            schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": self.most}
        if self.default is None and not self.required:
            schema = {"anyOf": [schema, {"type": "null"}]}
        if not self.required:
            schema["default"] = self.default
        return schema | ({"description": self.about} if self.about else {})

    def read(self, texts: list[str]) -> Any:
        """Read what was written. Raises `ValueError` that says what is expected."""
        if not 0 < len(texts) <= (self.most or 1):
            raise ValueError(f"expected 1 to {self.most}" if self.most else "expected once")
        try:
            values = tuple(map(self.kind.read, texts))
        except (ValueError, LookupError):
            raise ValueError(f"expected {self.kind.expected}") from None
        return values if self.most else values[0]

    def read_json(self, given: Any) -> Any:
        """Read what JSON has. Raises `ValueError` that says what is expected."""
        if given is None and self.default is None and not self.required:
            return None
        items = given if self.most and isinstance(given, list) else [given]
        if self.most and items is not given:
            raise ValueError("expected a list")
        return self.read([self._text(item) for item in items])

    def _text(self, item: Any) -> str:
        numeric = self.kind.json is int and isinstance(item, float) and item.is_integer()
        if numeric or type(item) is self.kind.json:
            return str(item)
        raise ValueError(f"expected {self.kind.expected}")

    def words(self, value: Any) -> str:
        """Write a value for the log: a long list by its length."""
        if not self.most:
            return str(rfc3339(value) if self.kind is TIME else value)
        more = [f"and {len(value) - SHOWN} more"] if len(value) > SHOWN else []
        return ",".join([*value[:SHOWN], *more])


def of_query(parameters: Mapping[str, Parameter], given: Iterable[tuple[str, str]]) -> Values:
    """Read what is asked in a path and a query. Raises `Mistakes`."""
    texts: dict[str, list[str]] = {}
    for name, value in given:
        texts.setdefault(name, []).append(value)
    return _read(parameters, texts, Parameter.read)


def of_body(parameters: Mapping[str, Parameter], body: bytes) -> Values:
    """Read what is asked in a body. Raises `Mistakes` and `NotJson`."""
    try:
        given = json.loads(body.decode(), parse_constant=int) if body else {}
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(given, dict):
        raise Mistakes(("", "expected an object"))
    return _read(parameters, given, Parameter.read_json)


def _read(
    parameters: Mapping[str, Parameter],
    given: Mapping[str, Any],
    read: Callable[[Parameter, Any], Any],
) -> Values:
    values = {name: each.default for name, each in parameters.items()}
    mistakes = [(name, _unknown(name, parameters)) for name in given if name not in parameters]
    for name, each in parameters.items():
        if name not in given:
            mistakes += [(name, "missing")] if each.required else []
            continue
        try:
            values[name] = read(each, given[name])
        except ValueError as wrong:
            mistakes.append((name, str(wrong)))
    if mistakes:
        raise Mistakes(*mistakes)
    return values


def _unknown(name: str, known: Iterable[str]) -> str:
    near, names = get_close_matches(name, known, n=1), ", ".join(sorted(known))
    if near:
        return f"unknown; did you mean {near[0]}?"
    return f"unknown; expected one of {names}" if names else "unknown; expected nothing"
