"""What operators are answered, and how it is written as JSON and described as JSON Schema.

A field of a record is one of its JSON object. Differently written are a `Time`, as RFC 3339 in
UTC, and an `EndpointKey`, as `bot` and `endpoint`. What is marked `INTERNAL` is left out, and the
fields of what is marked `INLINE` stand among the others; an old name stands beside the new one.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from inspect import getdoc
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from relay.admin.explain import Explanation
from relay.model.admin import DeadLetter, EndpointRecord, MessageHistory, MessageSummary
from relay.model.messages import EndpointKey
from relay.model.replays import ReplayRecord


@dataclass(frozen=True, slots=True)
class MessageList:
    """Messages, newest first; `next_cursor` is null when there are no more."""

    messages: Sequence[MessageSummary]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryList:
    """A message as each bot knows it that got it."""

    histories: Sequence[MessageHistory]


@dataclass(frozen=True, slots=True)
class ExplanationList:
    """A message explained for each bot that got it."""

    explanations: Sequence[Explanation]


@dataclass(frozen=True, slots=True)
class DeadLetterList:
    """Dead letters, oldest first; `next_cursor` is null when there are no more."""

    dead_letters: Sequence[DeadLetter]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLettersActed:
    """What was acted on: `count` of them; with a `next_cursor` there may be more to act on."""

    dead_letters: Sequence[DeadLetter]
    next_cursor: str | None
    count: int


@dataclass(frozen=True, slots=True)
class ReplayList:
    """Replays, the newest first."""

    replays: Sequence[ReplayRecord]


@dataclass(frozen=True, slots=True)
class EndpointList:
    """Endpoints by bot and name."""

    endpoints: Sequence[EndpointRecord]


@dataclass(frozen=True, slots=True)
class EndpointActed:
    """What was written down for an endpoint; a running relay takes notice within 5 seconds."""

    bot: str
    endpoint: str
    action: str


# --- As JSON --------------------------------------------------------------------------------------

Schema = dict[str, Any]
_SCHEMAS = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def to_json(record: object) -> str:
    """Write a record, as short as can be."""
    return json.dumps(to_data(record), separators=(",", ":"), ensure_ascii=False)


def to_data(record: object) -> dict[str, Any]:
    """Convert a record into what `json` reads."""
    kind: Any = type(record)
    return {name: write(get(record)) for name, _, get, write in _parts(kind)}


def schema_of(kind: Any, definitions: dict[str, Schema], at: str) -> Schema:
    """Describe a type; what has a name goes into `definitions`, which is found under `at`."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {"type": "string", "format": "date-time"}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(each, definitions, at) for each in inner]}
    if origin is not None:
        return {"type": "array", "items": schema_of(inner[0], definitions, at)}
    if kind in _SCHEMAS:
        return {"type": _SCHEMAS[kind]}
    name: str = kind.__name__
    if name not in definitions:
        described: Schema = {"description": getdoc(kind)}
        definitions[name] = described
        if issubclass(kind, StrEnum):
            described |= {"type": "string", "enum": [*map(str, kind)]}
        else:
            parts = {part.name: schema_of(part.kind, definitions, at) for part in _parts(kind)}
            described |= {"type": "object", "properties": parts, "required": [*parts]}
    return {"$ref": f"{at}{name}"}


class _Part(NamedTuple):
    """A field of a JSON object: its name and type, where a record has it, and how it is written."""

    name: str
    kind: Any
    get: Callable[[object], Any]
    write: Callable[[Any], Any]


@cache
def _parts(record: type) -> tuple[_Part, ...]:
    return tuple(
        _Part(name, kind, attrgetter(at), _writer(kind)) for name, kind, at in _named(record)
    )


def _named(record: type, within: str = "") -> Iterator[tuple[str, Any, str]]:
    kinds = get_type_hints(record, include_extras=True)
    for each in fields(record):
        kind, at = kinds[each.name], f"{within}{each.name}"
        match each.metadata.get("json"):
            case "internal":
                pass
            case "inline":
                yield from _named(kind, f"{at}.")
            case _ if kind is EndpointKey:
                yield from (("bot", str, f"{at}.bot"), ("endpoint", str, f"{at}.name"))
            case _:
                yield each.name, kind, at
                if old := each.metadata.get("formerly"):
                    yield old, kind, at


def _writer(kind: Any) -> Callable[[Any], Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _rfc3339
    if origin in (Union, UnionType):
        (some,) = (_writer(each) for each in inner if each is not NoneType)
        return lambda value: None if value is None else some(value)
    if origin is not None:
        one = _writer(inner[0])
        return lambda values: [one(value) for value in values]
    return to_data if is_dataclass(kind) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _rfc3339(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).isoformat()[:-6]}Z"
