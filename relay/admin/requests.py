"""What the admin API may be asked, as pydantic models: the grammar of its queries and bodies."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import CoreSchema, core_schema

from relay.model.admin import (
    PLACE,
    REASONS,
    SHOWN,
    DeadLetterQuery,
    MessageQuery,
    MessageState,
    Place,
    earliest,
    split_name,
)
from relay.model.messages import MessageOutcome
from relay.model.times import duration_text, parse_duration, parse_time, rfc3339

MOST = 1000
"""Rows in one answer, and ids in one request: what a caller and the event loop take in one go."""

IN_A_URL = 100
"""Ids in a query: some 5 KB, and a line of more than 8 KB is refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """How a value is written: read by `read`, whose `ValueError` says what is expected.

    `schema` is what JSON Schema says beside its being a string.
    """

    read: Callable[[str], Any]
    write: Callable[[Any], str | None]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, *_: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: self.read(value if isinstance(value, str) else ""),
            serialization=core_schema.plain_serializer_function_ser_schema(self.write),
        )

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        return {"type": "string", **self.schema}


def _age(text: str) -> float:
    return parse_duration(text, longest=math.inf)


def _cursor(read: Callable[[str], Any], pattern: str) -> Text:
    def check(text: str) -> Any:
        if re.fullmatch(pattern, text) is None:
            raise ValueError("expected the next_cursor of an earlier answer")
        return read(text)

    return Text(check, str, {"pattern": pattern})


def _reason(text: str) -> str:
    if text not in REASONS:
        raise ValueError(f"expected one of {', '.join(REASONS)}")
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _whole(value: object) -> object:
    """Take 1.0 for 1, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Time = Annotated[float, Text(parse_time, rfc3339, {"format": "date-time"})]
Age = Annotated[float, Text(_age, duration_text, {"pattern": "^[0-9]{1,9}(ms|s|m|h|d)$"})]
Number = Annotated[int, _cursor(int, "^[0-9]{1,18}$")]
LetterPlace = Annotated[Place, _cursor(Place.read, PLACE)]
LetterReason = Annotated[str, Text(_reason, str, {"enum": [*REASONS]})]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
MessageId = Annotated[str, StringConstraints(to_lower=True, min_length=1, max_length=64)]
MessageIds = Annotated[tuple[MessageId, ...], Field(min_length=1, max_length=MOST)]
QueriedIds = Annotated[
    tuple[MessageId, ...], Field(min_length=1, max_length=IN_A_URL), BeforeValidator(_as_list)
]


Query = TypeVar("Query", MessageQuery, DeadLetterQuery)


class Request(BaseModel):
    """What an operation is asked: its fields are the operation's arguments, in their order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def arguments(self, now: float) -> tuple[Any, ...]:  # noqa: ARG002 - of ages
        """Give the operation's arguments."""
        return tuple(getattr(self, name) for name in type(self).model_fields)

    @property
    def words(self) -> str:
        """What was asked, for the log: in short, and a long list of ids by its length."""
        given = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        ids = given.get("message_ids") or ()
        if len(ids) > SHOWN:
            given["message_ids"] = [*ids[:SHOWN], f"and {len(ids) - SHOWN} more"]
        return " ".join(f"{name}={_plain(value)}" for name, value in given.items())


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class NothingAsked(Request):
    """A request without parameters."""


class MessageAsk(Request):
    """Which message to show."""

    message_id: MessageId


class EndpointAsk(Request):
    """Which endpoint to act on."""

    bot: Name
    name: Name


class ReplayAsk(Request):
    """What an endpoint is to get again: what came, or was delivered to it, in that time."""

    bot: Name
    endpoint: Name
    since: Time
    until: Time | None = None


class ReplayNumber(Request):
    """Which replay to act on."""

    number: int = Field(ge=1, le=2**53)


class ReloadAsk(Request):
    """What a reload may do."""

    discard_owed: bool = Field(
        default=False, description="give up what endpoints are owed that are gone"
    )


class _Filter(Request):
    """What both lists can be narrowed down by; a field that a query has, too, is the same there."""

    bot: Name | None = None
    endpoint: Name | None = Field(None, description="NAME or BOT/NAME")
    conversation_id: MessageId | None = None
    since: Time | None = Field(None, description="then or later")
    until: Time | None = Field(None, description="before then")
    older_than: Age | None = Field(None, description="for longer, as in 2d")

    def _query(self, query: type[Query], now: float, **more: Any) -> Query:
        bot, endpoint = split_name(self.bot, self.endpoint)
        ends = (self.until, None if self.older_than is None else now - self.older_than)
        own = {each.name for each in fields(query)} & type(self).model_fields.keys()
        parts = {name: getattr(self, name) for name in own}
        return query(**parts | {"bot": bot, "endpoint": endpoint, "until": earliest(*ends)} | more)


class MessagesAsk(_Filter):
    """Which messages to list; the times are those of their arrival."""

    category: Name | None = None
    state: MessageState | None = Field(
        None, description="failing: an attempt failed, and another is to come"
    )
    pending: bool | None = Field(None, description="true: unfinished ones, false: finished ones")
    outcome: MessageOutcome | None = None
    limit: int = Field(50, ge=1, le=MOST)
    cursor: Number | None = Field(None, description="the next_cursor of the page before")

    def arguments(self, now: float) -> tuple[MessageQuery]:
        """Give the query."""
        return (self._query(MessageQuery, now, after=self.cursor).narrowed(self.state),)


class _DeadLetterFilter(_Filter):
    reason: LetterReason | None = Field(None, description="of the last attempt, or `removed`")
    ended_before: Time | None = Field(None, description="as until")
    cursor: LetterPlace | None = Field(None, description="the next_cursor of the answer before")

    def arguments(self, now: float) -> tuple[Any, ...]:
        """Give the query."""
        query = self._query(DeadLetterQuery, now, after=self.cursor)
        return (replace(query, until=earliest(query.until, self.ended_before)),)


class DeadLettersAsk(_DeadLetterFilter):
    """Which dead letters to list; the times are those of their deaths."""

    message_ids: QueriedIds | None = Field(None, alias="message_id", description="may be repeated")
    limit: int = Field(100, ge=1, le=MOST)


_BY_ID: JsonDict = {"message_ids": {"type": "array"}, "all": {"const": False}}
_ALL: JsonDict = {"message_ids": {"type": "null"}, "all": {"const": True}}
_CHOICES: JsonDict = {
    "oneOf": [
        {"required": ["message_ids"], "properties": _BY_ID},
        {"required": ["all"], "properties": _ALL},
    ]
}


class RetryAsk(_DeadLetterFilter):
    """Which dead letters to act on: those of `message_ids`, or `all`; the rest narrows it down."""

    model_config = ConfigDict(json_schema_extra=_CHOICES)

    message_ids: MessageIds | None = None
    every: bool = Field(default=False, alias="all")
    limit: Annotated[int, BeforeValidator(_whole)] = Field(
        MOST, ge=1, le=MOST, description="ask again with next_cursor for the rest"
    )

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if (self.message_ids is None) is not self.every:
            raise ValueError("either message_ids or all: true is needed, and not both")
        return self


class DiscardAsk(RetryAsk):
    """Which dead letters to give up."""

    mark_read: bool = Field(default=False, description="they no longer hold READ back")

    def arguments(self, now: float) -> tuple[Any, ...]:
        """Give the query, and whether READ may go on."""
        return (*super().arguments(now), self.mark_read)
