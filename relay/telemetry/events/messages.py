"""Of messages on their way: received, attempted, finished."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.model.messages import (
    Attempt,
    BreakerState,
    DeadLettered,
    Delivered,
    EndpointKey,
    Message,
    MessageOutcome,
    Outcome,
    Reason,
    Source,
)


@dataclass(frozen=True, slots=True)
class MessagesReceived:
    """Messages came for the first time, and the journal has them: those of one commit."""

    bot: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class AttemptsEnded:
    """Requests to one endpoint were answered, or failed: those of one commit."""

    endpoint: EndpointKey
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class DeliveriesSettled:
    """Deliveries to one endpoint ended, and the journal has it: those of one commit."""

    endpoint: EndpointKey
    outcomes: Sequence[Delivered | DeadLettered]


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message came for the first time and is in the journal."""

    bot: str
    message_id: str
    category: str
    source: Source


@dataclass(frozen=True, slots=True)
class MessageDuplicated:
    """A message came again."""

    bot: str
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageFinished:
    """A message needs nothing more."""

    bot: str
    message_id: str
    outcome: MessageOutcome


@dataclass(frozen=True, slots=True)
class MessagesFinished:
    """So many messages need nothing more.

    `message_ids` names them, unless an endpoint is gone that they were owed to.
    """

    bot: str
    outcome: MessageOutcome
    count: int
    message_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MessagesDiscarded:
    """An operator gave up dead letters; `count` messages finished by that, unread."""

    bot: str
    count: int


@dataclass(frozen=True, slots=True)
class EndpointServed:
    """An endpoint is delivered to from now on; `in_flight` counts its requests under way."""

    endpoint: EndpointKey
    in_flight: Callable[[], int]


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is on its way."""

    endpoint: EndpointKey
    message_id: str
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A request was answered, or failed; `due_at` is when the next one is, if one is."""

    endpoint: EndpointKey
    message_id: str
    attempt: Attempt
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptDeferred:
    """A stop cut a request short."""

    endpoint: EndpointKey
    message_id: str


@dataclass(frozen=True, slots=True)
class AttemptCrashed:
    """A bug of ours hit one attempt; it is contained, counted and retried. `trace` is for logs."""

    endpoint: EndpointKey
    message_id: str
    trace: str


@dataclass(frozen=True, slots=True)
class MessageDamaged:
    """The journal can't give a message back that is due: nothing is posted, and it is dead."""

    endpoint: EndpointKey
    message_id: str
    why: str


@dataclass(frozen=True, slots=True)
class DeliverySettled:
    """A delivery ended, and the journal has it; `delay` counts from reception.

    `reason` is that of its last attempt, if it is dead; `replay` says that it was sent again.
    """

    endpoint: EndpointKey
    message_id: str
    delivered: bool
    attempts: int
    delay: float
    reason: Reason | None = None
    replay: bool = False


@dataclass(frozen=True, slots=True)
class BreakerMoved:
    """An endpoint's gate is in another state, or lets another number through."""

    endpoint: EndpointKey
    state: BreakerState
    limit: int
    until: float | None = None
    detail: str = ""


MessageFact = (
    MessagesReceived
    | EndpointServed
    | AttemptsEnded
    | DeliveriesSettled
    | MessageReceived
    | MessageDuplicated
    | MessageFinished
    | MessagesFinished
    | MessagesDiscarded
    | AttemptStarted
    | AttemptEnded
    | AttemptDeferred
    | AttemptCrashed
    | MessageDamaged
    | DeliverySettled
    | BreakerMoved
)
