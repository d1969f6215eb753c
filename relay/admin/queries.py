"""What the admin API is asked, as pydantic models: the schema is made of these."""

import re
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonValue

from relay.model.admin import PLACE, DeadLetterQuery, MessageQuery, MessageState, Place
from relay.model.messages import EndpointKey, MessageOutcome, Reason
from relay.model.replays import ReplayOrder

MOST = 1000
"""Rows in one answer, and ids in one request: what a caller and the event loop take in one go."""

IN_A_URL = 100
"""Ids in a query: some 5 KB, and a line of more than 8 KB is refused."""

SHOWN = 10
"""Ids in a line of the log."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_written(value: object) -> object:
    """Let only text through that looks like RFC 3339: pydantic takes numbers for times, too."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError("expected a time such as 2026-11-22T08:00:00Z")
    return value


def _whole(value: object) -> object:
    """Take 1.0 for 1, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known_reason(value: str) -> str:
    if value not in REASONS:
        raise ValueError(f"expected one of {', '.join(REASONS)}")
    return value


def _meant(bot: str | None, endpoint: str | None) -> tuple[str | None, str | None]:
    """Take `BOT/NAME` apart, as the commands do; with another bot beside it, it is nobody's."""
    of, slash, name = (endpoint or "").rpartition("/")
    return (of, name) if slash and bot in (None, of) else (bot, endpoint)


REASONS = (*map(str, Reason), "removed")

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_as_written)]
Whole = Annotated[int, BeforeValidator(_whole)]
MessageId = Annotated[str, StringConstraints(to_lower=True, min_length=1, max_length=64)]
MessageIds = Annotated[list[MessageId], Field(min_length=1, max_length=MOST)]
QueriedIds = Annotated[
    list[MessageId], BeforeValidator(_as_list), Field(min_length=1, max_length=IN_A_URL)
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
LetterReason = Annotated[
    str, AfterValidator(_known_reason), Field(json_schema_extra={"enum": [*REASONS]})
]
Age = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(ms|s|m|h|d)$")]
"""A duration as in the settings, such as 90s or 2d."""
MessageCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
LetterCursor = Annotated[str, StringConstraints(pattern=PLACE)]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def said(ask: BaseModel) -> str:
    """Write what was asked for the log: in short, and a long list of ids by its length."""
    given = ask.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    ids = given.get("message_ids") or ()
    if len(ids) > SHOWN:
        given["message_ids"] = [*ids[:SHOWN], f"and {len(ids) - SHOWN} more"]
    return " ".join(f"{name}={_plain(value)}" for name, value in given.items())


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class NothingAsked(_Ask):
    """A request without parameters."""


class _Window(_Ask):
    since: Time | None = Field(None, description="then or later")
    until: Time | None = Field(None, description="before then")
    older_than: Age | None = Field(None, description="for longer, as in 2d")

    def _since(self) -> float | None:
        return None if self.since is None else self.since.timestamp()

    def _until(self, now: float) -> float | None:
        ends = [] if self.until is None else [self.until.timestamp()]
        if self.older_than is not None:
            number = self.older_than.rstrip("mshd")
            ends.append(now - int(number) * _SECONDS[self.older_than.removeprefix(number)])
        return min(ends, default=None)


class MessagesAsk(_Window):
    """Which messages to list; the times are those of their arrival."""

    bot: Name | None = None
    endpoint: Name | None = Field(None, description="owed to this endpoint: NAME or BOT/NAME")
    conversation_id: MessageId | None = None
    category: Name | None = None
    state: MessageState | None = Field(
        None, description="failing: an attempt failed, and another is to come"
    )
    pending: bool | None = Field(None, description="true: unfinished ones, false: finished ones")
    outcome: MessageOutcome | None = None
    limit: int = Field(50, ge=1, le=MOST)
    cursor: MessageCursor | None = Field(None, description="the next_cursor of the page before")

    def query(self, now: float) -> MessageQuery:
        """Put it as the journal understands it."""
        bot, endpoint = _meant(self.bot, self.endpoint)
        return MessageQuery(
            bot=bot,
            conversation_id=self.conversation_id,
            category=self.category,
            pending=self.pending,
            outcome=self.outcome,
            limit=self.limit,
            endpoint=endpoint,
            since=self._since(),
            until=self._until(now),
            after=None if self.cursor is None else int(self.cursor),
        ).narrowed(self.state)


class MessageAsk(_Ask):
    """Which message to show."""

    message_id: MessageId


class _DeadLetterFilter(_Window):
    bot: Name | None = None
    endpoint: Name | None = Field(None, description="of this endpoint: NAME or BOT/NAME")
    conversation_id: MessageId | None = None
    reason: LetterReason | None = Field(None, description="of the last attempt, or `removed`")
    ended_before: Time | None = Field(None, description="as until")
    cursor: LetterCursor | None = Field(None, description="the next_cursor of the answer before")

    def _query(self, message_ids: list[str] | None, limit: int, now: float) -> DeadLetterQuery:
        before = None if self.ended_before is None else self.ended_before.timestamp()
        ends = (before, self._until(now))
        bot, endpoint = _meant(self.bot, self.endpoint)
        return DeadLetterQuery(
            message_ids=None if message_ids is None else tuple(message_ids),
            bot=bot,
            endpoint=endpoint,
            reason=self.reason,
            until=min((end for end in ends if end is not None), default=None),
            limit=limit,
            conversation_id=self.conversation_id,
            since=self._since(),
            after=None if self.cursor is None else Place.read(self.cursor),
        )


class DeadLettersAsk(_DeadLetterFilter):
    """Which dead letters to list; the times are those of their deaths."""

    message_id: QueriedIds | None = Field(None, description="may be repeated")
    limit: int = Field(100, ge=1, le=MOST)

    def query(self, now: float) -> DeadLetterQuery:
        """Put it as the journal understands it."""
        return self._query(self.message_id, self.limit, now)


class ReloadAsk(_Ask):
    """What a reload may do."""

    model_config = ConfigDict(strict=True)

    discard_owed: bool = Field(
        default=False, description="give up what endpoints are owed that are gone"
    )


_CHOICES: list[JsonValue] = [
    {
        "required": ["message_ids"],
        "properties": {"message_ids": {"type": "array"}, "all": {"const": False}},
    },
    {
        "required": ["all"],
        "properties": {"message_ids": {"type": "null"}, "all": {"const": True}},
    },
]


class RetryAsk(_DeadLetterFilter):
    """Which dead letters to act on: those of `message_ids`, or `all`; the rest narrows it down."""

    model_config = ConfigDict(strict=True, json_schema_extra={"oneOf": _CHOICES})

    message_ids: MessageIds | None = None
    every: bool = Field(default=False, alias="all")
    limit: Whole = Field(MOST, ge=1, le=MOST, description="ask again with next_cursor for the rest")

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if (self.message_ids is None) is not self.every:
            raise ValueError("either message_ids or all: true is needed, and not both")
        return self

    def query(self, now: float) -> DeadLetterQuery:
        """Put it as the journal understands it."""
        return self._query(self.message_ids, self.limit, now)


class DiscardAsk(RetryAsk):
    """Which dead letters to give up."""

    mark_read: bool = Field(default=False, description="they no longer hold READ back")


class ReplayAsk(_Ask):
    """What an endpoint is to get again: what came, or was delivered to it, in that time."""

    model_config = ConfigDict(strict=True)

    bot: Name
    endpoint: Name
    since: Time
    until: Time | None = None

    def order(self) -> ReplayOrder:
        """Put it as the journal understands it."""
        until = None if self.until is None else self.until.timestamp()
        return ReplayOrder(EndpointKey(self.bot, self.endpoint), self.since.timestamp(), until)


class ReplayNumber(_Ask):
    """Which replay to act on."""

    number: int = Field(ge=1, le=2**53, strict=False)


class EndpointAsk(_Ask):
    """Which endpoint to act on."""

    bot: Name
    name: Name
