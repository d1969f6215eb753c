"""What operators are answered, and how it is written as JSON: made of the records of `relay.model`.

A field of a record is one of its JSON object. Differently written are a `Time`, as RFC 3339 in
UTC, and an `EndpointKey`, as `bot` and `endpoint`. What is marked `INTERNAL` is left out, and the
fields of what is marked `INLINE` stand among the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import AliasPath, BaseModel, ConfigDict, Field, create_model

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


class _Document(BaseModel):
    model_config = ConfigDict(from_attributes=True)


@cache
def document(record: type) -> type[BaseModel]:
    """Make the model of a record's JSON object; its name and its text are the record's."""
    parts: dict[str, Any] = dict(_parts(record))
    return create_model(record.__name__, __base__=_Document, __doc__=record.__doc__, **parts)


def to_json(record: object, *, indent: int | None = None) -> str:
    """Write a record."""
    return _filled(record).model_dump_json(indent=indent)


def to_data(record: object) -> dict[str, Any]:
    """Give a record as `json` reads it."""
    return _filled(record).model_dump(mode="json")


def _filled(record: object) -> BaseModel:
    kind: Any = type(record)
    return document(kind).model_validate(record)


def _parts(record: type, *path: str) -> Iterator[tuple[str, Any]]:
    """Give a JSON object's fields: name, type, and where the record has the value."""
    kinds = get_type_hints(record, include_extras=True)
    for field in fields(record):
        kind, at = kinds[field.name], (*path, field.name)
        match field.metadata.get("json"):
            case "internal":
                pass
            case "inline":
                yield from _parts(kind, *at)
            case _ if kind is EndpointKey:
                yield "bot", (str, Field(validation_alias=AliasPath(*at, "bot")))
                yield "endpoint", (str, Field(validation_alias=AliasPath(*at, "name")))
            case _:
                yield field.name, (_json(kind), Field(validation_alias=AliasPath(*at)))


def _json(kind: Any) -> Any:
    """Give the type that JSON has in place of a record's."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return datetime
    if origin in (Union, UnionType):
        return Union[tuple(map(_json, inner))]  # noqa: UP007 - made at run time
    if origin is not None:
        return list[_json(inner[0])]  # type: ignore[misc] # made at run time
    model: Any = document
    return model(kind) if is_dataclass(kind) else kind
