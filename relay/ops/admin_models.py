"""What the admin API is asked and what it answers, as pydantic models: the schema is made of these.

Times are RFC 3339 in UTC; what the journal keeps of a message's content is not answered.
"""

from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from relay.desk import DeadLetterQuery, MessageQuery
from relay.model import (
    AttemptOutcome,
    DeliveryState,
    EndpointKey,
    GateState,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.replay import ReplayOrder

MOST = 1000
"""Rows in one answer, and ids in one request: what a caller and the event loop take in one go."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


MessageId = Annotated[str, StringConstraints(to_lower=True, min_length=1, max_length=64)]
MessageIds = Annotated[
    list[MessageId], BeforeValidator(_as_list), Field(min_length=1, max_length=MOST)
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]


# --- What is asked --------------------------------------------------------------------------------


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingAsked(_Ask):
    """A request without parameters."""


class MessagesAsk(_Ask):
    """Which messages to list."""

    bot: Name | None = None
    conversation_id: MessageId | None = None
    category: Name | None = None
    pending: bool | None = Field(None, description="true: unfinished ones, false: finished ones")
    outcome: MessageOutcome | None = None
    limit: int = Field(50, ge=1, le=MOST)

    def query(self) -> MessageQuery:
        """Put it as the journal understands it."""
        return MessageQuery(**self.model_dump())


class MessageAsk(_Ask):
    """Which message to show."""

    message_id: MessageId


class ReloadAsk(_Ask):
    """What a reload may do."""

    model_config = ConfigDict(strict=True)

    discard_owed: bool = Field(
        default=False, description="give up what endpoints are owed that are gone"
    )


class _DeadLetterFilter(_Ask):
    bot: Name | None = None
    endpoint: Name | None = None
    reason: Name | None = Field(None, description="of the last attempt, or `removed`")
    ended_before: AwareDatetime | None = None

    def _query(self, message_ids: list[str] | None, limit: int) -> DeadLetterQuery:
        return DeadLetterQuery(
            message_ids=None if message_ids is None else tuple(message_ids),
            bot=self.bot,
            endpoint=self.endpoint,
            reason=self.reason,
            ended_before=None if self.ended_before is None else self.ended_before.timestamp(),
            limit=limit,
        )


class DeadLettersAsk(_DeadLetterFilter):
    """Which dead letters to list."""

    message_id: MessageIds | None = Field(None, description="may be repeated")
    limit: int = Field(100, ge=1, le=MOST)

    def query(self) -> DeadLetterQuery:
        """Put it as the journal understands it."""
        return self._query(self.message_id, self.limit)


class RetryAsk(_DeadLetterFilter):
    """Which dead letters to act on: those of `message_ids`, or `all`; the rest narrows it down."""

    model_config = ConfigDict(strict=True)

    message_ids: MessageIds | None = None
    every: bool = Field(default=False, alias="all")
    limit: int = Field(MOST, ge=1, le=MOST, description="ask again while as many are answered")

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if (self.message_ids is None) is not self.every:
            raise ValueError("either message_ids or all: true is needed, and not both")
        return self

    def query(self) -> DeadLetterQuery:
        """Put it as the journal understands it."""
        return self._query(self.message_ids, self.limit)


class DiscardAsk(RetryAsk):
    """Which dead letters to give up."""

    mark_read: bool = Field(default=False, description="they no longer hold READ back")


class ReplayAsk(_Ask):
    """What an endpoint is to get again: what came, or was delivered to it, in that time."""

    bot: Name
    endpoint: Name
    since: AwareDatetime
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until must be later than since")
        return self

    def order(self) -> ReplayOrder:
        """Put it as the journal understands it."""
        until = None if self.until is None else self.until.timestamp()
        return ReplayOrder(EndpointKey(self.bot, self.endpoint), self.since.timestamp(), until)


class EndpointAsk(_Ask):
    """Which endpoint to act on."""

    bot: Name
    name: Name


# --- What is answered -----------------------------------------------------------------------------


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MessageAnswer(_Answer):
    """A message in short."""

    bot: str
    message_id: str
    conversation_id: str
    user_id: str
    category: str
    source: Source
    received_at: datetime
    outcome: MessageOutcome | None
    finished_at: datetime | None
    receipt: ReceiptState


class AttemptAnswer(_Answer):
    """One ended attempt; `duration` in seconds."""

    number: int
    started_at: datetime
    duration: float
    outcome: AttemptOutcome
    status: int | None
    reason: Reason | None
    detail: str


class DeliveryAnswer(_Answer):
    """One delivery; `waits` says that an earlier message of its lane goes first.

    `gate` is its endpoint's: nothing is attempted while that is paused or gone. `replay` is the
    number of the replay that sends it again.
    """

    endpoint: str = Field(validation_alias=AliasPath("endpoint", "name"))
    required: bool
    state: DeliveryState
    attempts: list[AttemptAnswer]
    due_at: datetime | None
    waits: bool
    doubtful: bool
    gate: GateState
    ended_at: datetime | None
    ended_reason: str | None
    replay: int | None


class HistoryAnswer(_Answer):
    """One message with its deliveries."""

    message: MessageAnswer = Field(validation_alias="summary")
    deliveries: list[DeliveryAnswer]
    receipt_at: datetime | None


class DeadLetterAnswer(_Answer):
    """A delivery that ended as dead."""

    bot: str = Field(validation_alias=AliasPath("endpoint", "bot"))
    endpoint: str = Field(validation_alias=AliasPath("endpoint", "name"))
    message_id: str
    conversation_id: str
    category: str
    attempts: int
    reason: str
    status: int | None
    detail: str
    received_at: datetime
    ended_at: datetime
    replay: int | None


class EndpointAnswer(_Answer):
    """An endpoint's standing; a running relay keeps it up to date."""

    bot: str = Field(validation_alias=AliasPath("endpoint", "bot"))
    endpoint: str = Field(validation_alias=AliasPath("endpoint", "name"))
    state: GateState = Field(validation_alias=AliasPath("note", "state"))
    last_error: str | None = Field(validation_alias=AliasPath("note", "last_error"))
    next_probe_at: datetime | None = Field(validation_alias=AliasPath("note", "next_probe_at"))
    gone_since: datetime | None = Field(validation_alias=AliasPath("note", "gone_since"))
    pending: int
    oldest_at: datetime | None
    dead_letters: int
    configured: bool
    replaying: int


class ReplayAnswer(_Answer):
    """How a replay stands; `looked_through` goes from 0 to 1, `queued` counts what was found."""

    number: int
    bot: str = Field(validation_alias=AliasPath("endpoint", "bot"))
    endpoint: str = Field(validation_alias=AliasPath("endpoint", "name"))
    since: datetime
    until: datetime | None
    asked_at: datetime
    ended_at: datetime | None
    cancelled: bool
    looked_through: float
    queued: int
    pending: int
    delivered: int
    dead: int


class ReplayAsked(_Answer):
    """The answer to who asks for a replay.

    `accepted` is false if `replay` is another one to the same endpoint that is still under way.
    """

    replay: ReplayAnswer = Field(validation_alias="record")
    accepted: bool


class ReplayList(_Answer):
    """Replays, the newest first."""

    replays: list[ReplayAnswer]


class MessageList(_Answer):
    """Messages, newest first."""

    messages: list[MessageAnswer]


class HistoryList(_Answer):
    """A message as each bot knows it that got it."""

    histories: list[HistoryAnswer]


class DeadLetterList(_Answer):
    """Dead letters, oldest first."""

    dead_letters: list[DeadLetterAnswer]


class EndpointList(_Answer):
    """Endpoints by bot and name."""

    endpoints: list[EndpointAnswer]


class EndpointChanged(_Answer):
    """What changed of an endpoint, by the keys of its settings."""

    endpoint: str
    keys: list[str]


class SettingsRead(_Answer):
    """What reading the settings anew has changed, by name; endpoints as `bot/name`."""

    added: list[str]
    removed: list[str]
    changed: list[EndpointChanged]
    settings: list[str] = Field(description="keys beside those of endpoints")
    discarded: int = Field(description="deliveries given up that removed endpoints were owed")


class EndpointActed(_Answer):
    """What was written down for an endpoint; a running relay takes notice within 5 seconds."""

    bot: str
    endpoint: str
    action: str
