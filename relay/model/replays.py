"""A replay: messages that one endpoint gets again, or that it gets although they came before it.

Nothing of a message depends on its replays: not READ, not its receipt, not how it finished. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.model.messages import DeliveryState, EndpointKey, Message
from relay.model.times import Time, rfc3339

Pick = Callable[[Message], str | None]
"""Says in which lane an endpoint wants a message, by today's settings; None if it doesn't."""


@dataclass(frozen=True, slots=True)
class PriorDelivery:
    """A delivery of a message to one endpoint before a replay; `again` if it is a replay's, too."""

    state: DeliveryState
    ended_at: float | None
    again: bool


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """What an endpoint is to get: what came, or was delivered to it, in that time.

    In Unix seconds, both ends included; without `until` it is all that has come when it is asked.
    """

    endpoint: EndpointKey
    since: float = 0.0
    until: float | None = None

    @property
    def words(self) -> str:
        """Summarize in a line for the log what is asked for."""
        ends = {"since": rfc3339(self.since), "until": rfc3339(self.until)}
        return " ".join(f"{name}={text}" for name, text in ends.items() if text)

    def covers(self, received_at: float, made: Sequence[PriorDelivery]) -> bool:
        """Return whether a message is to go again, whose deliveries to the endpoint are these.

        Not what the endpoint is still owed, which has a way of its own, nor what an operator gave
        up for it.
        """
        if any(_stays_as_it_is(each) for each in made):
            return False
        ended = [each.ended_at for each in made if each.state is DeliveryState.DELIVERED]
        times = [received_at, *(at for at in ended if at is not None)]
        return any(self.since <= at and (self.until is None or at <= self.until) for at in times)


def _stays_as_it_is(made: PriorDelivery) -> bool:
    if made.state in (DeliveryState.PENDING, DeliveryState.DEAD):
        return True
    return made.state is not DeliveryState.DELIVERED and not made.again


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """How a replay stands; `queued` messages have been put into their lanes so far.

    `looked_through` says how much of what came before it was asked has been looked at, from 0 to 1;
    `ended_at` is set once the last message has ended, or when it was cancelled.
    """

    number: int
    endpoint: EndpointKey
    since: Time
    until: Time | None
    asked_at: Time
    ended_at: Time | None
    cancelled: bool
    looked_through: float
    queued: int
    pending: int
    delivered: int
    dead: int


@dataclass(frozen=True, slots=True)
class RequestedReplay:
    """The answer to a request for a replay.

    `accepted` is false if `replay` is another one to the same endpoint that is still under way.
    """

    replay: ReplayRecord
    accepted: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """How many messages a replay would send, as far as the journal has been looked through.

    `upto` is the last number there is, `position` the last one looked at.
    """

    messages: int = 0
    position: int = 0
    upto: int | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left to look at."""
        return self.upto is not None and self.position >= self.upto


@dataclass(frozen=True, slots=True)
class RunningReplay:
    """A replay that has not ended, for the relay that runs it.

    `waiting` deliveries of it are in their lanes; `read` says that no more will follow.
    """

    endpoint: EndpointKey
    waiting: int
    read: bool


@dataclass(frozen=True, slots=True)
class ReplayTurn:
    """What a turn brought about: so many deliveries more in their lanes, or the replay's end.

    `more` says that there is room left, and more to look through.
    """

    queued: int = 0
    more: bool = False
    ended: ReplayRecord | None = None


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """An endpoint of the settings, as a start introduces it.

    `address` tells by a digest where it posts to: one that has only changed its name is not new.
    """

    endpoint: EndpointKey
    address: str
    retained: bool
