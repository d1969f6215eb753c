"""What the admin API answers, as pydantic models: the schema is made of these.

Times are RFC 3339 in UTC; what the journal keeps of a message's content is not answered.
"""

from datetime import datetime

from pydantic import AliasPath, BaseModel, ConfigDict, Field

from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)


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
    gate: BreakerState
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
    state: BreakerState = Field(validation_alias=AliasPath("note", "state"))
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

    replay: ReplayAnswer
    accepted: bool


class ReplayList(_Answer):
    """Replays, the newest first."""

    replays: list[ReplayAnswer]


class MessageList(_Answer):
    """Messages, newest first; `next_cursor` is null when there are no more."""

    messages: list[MessageAnswer]
    next_cursor: str | None = None


class HistoryList(_Answer):
    """A message as each bot knows it that got it."""

    histories: list[HistoryAnswer]


class ExplanationAnswer(_Answer):
    """What becomes of a message, in sentences; `commands` are those that may help."""

    bot: str
    message_id: str
    happened: list[str]
    waits_for: list[str]
    next: list[str]
    commands: list[str]


class ExplanationList(_Answer):
    """A message explained for each bot that got it."""

    explanations: list[ExplanationAnswer]


class DeadLetterList(_Answer):
    """Dead letters, oldest first; `next_cursor` is null when there are no more."""

    dead_letters: list[DeadLetterAnswer]
    next_cursor: str | None = None


class DeadLettersActed(DeadLetterList):
    """What was acted on: `count` of them; with a `next_cursor` there may be more to act on."""

    count: int


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
