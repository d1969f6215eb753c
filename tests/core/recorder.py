"""The telemetry of tests: it remembers every event, and is what tests wait for.

What is told of a whole commit it remembers message by message, as tests speak of them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from relay.model.messages import (
    Attempt,
    Delivered,
    EndpointKey,
    MessageOutcome,
    Postponed,
    Reason,
    Source,
)
from relay.telemetry.events import (
    AttemptsEnded,
    DeliveriesSettled,
    Event,
    MessagesFinished,
    MessagesReceived,
    ReceiptsConfirmed,
)

PATIENCE = 7200.0
"""So many virtual seconds a test waits for an event, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One message of `MessagesReceived`."""

    bot: str
    message_id: str
    category: str
    source: Source


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A courier was asked to make an attempt."""

    endpoint: EndpointKey
    message_id: str
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One attempt of `AttemptsEnded`."""

    endpoint: EndpointKey
    message_id: str
    attempt: Attempt
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeliverySettled:
    """One delivery of `DeliveriesSettled`."""

    endpoint: EndpointKey
    message_id: str
    delivered: bool
    attempts: int
    delay: float
    reason: Reason | None
    replay: bool


@dataclass(frozen=True, slots=True)
class MessageFinished:
    """One message of `MessagesFinished`."""

    bot: str
    message_id: str
    outcome: MessageOutcome


Told = Event | MessageReceived | AttemptStarted | AttemptEnded | DeliverySettled | MessageFinished

F = TypeVar("F", bound=Told)


class Recorder:
    """A `relay.telemetry.events.Telemetry` that remembers."""

    def __init__(self) -> None:
        self.events: list[Told] = []
        self._told = asyncio.Event()

    def __call__(self, event: Told) -> None:
        """Take an event."""
        self.events += one_by_one(event)
        self._told.set()

    def of(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> list[F]:
        """Give the events of one kind, in their order."""
        return [event for event in self.events if isinstance(event, kind) and where(event)]

    def count(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> int:
        """Count the events of one kind."""
        return len(self.of(kind, where))

    async def wait_for(
        self,
        kind: type[F],
        where: Callable[[F], bool] = lambda _: True,
        *,
        count: int = 1,
        within: float = PATIENCE,
    ) -> F:
        """Wait until so many events of a kind have been told, since the start; give the last."""
        found: list[F] = []
        seen = 0
        async with asyncio.timeout(within):
            while True:
                new, seen = self.events[seen:], len(self.events)
                found += [event for event in new if isinstance(event, kind) and where(event)]
                if len(found) >= count:
                    return found[count - 1]
                self._told.clear()
                await self._told.wait()


def one_by_one(event: Told) -> Iterator[Told]:
    """Take apart what is told of many messages at once."""
    match event:
        case MessagesReceived(bot, messages):
            for each in messages:
                yield MessageReceived(bot, each.message_id, each.category, each.source)
        case AttemptsEnded(endpoint, attempted):
            for outcome in attempted:
                due_at = outcome.due_at if isinstance(outcome, Postponed) else None
                message_id = outcome.delivery.message.message_id
                yield AttemptEnded(endpoint, message_id, outcome.attempt, due_at)
        case DeliveriesSettled(endpoint, ended):
            for settled in ended:
                message, last = settled.delivery.message, settled.attempt
                yield DeliverySettled(
                    endpoint,
                    message.message_id,
                    isinstance(settled, Delivered),
                    last.number,
                    last.started_at + last.duration - message.received_at,
                    last.verdict.reason,
                    settled.delivery.replay is not None,
                )
        case MessagesFinished(bot, how, _, ids) if ids:
            for each_id in ids:
                yield MessageFinished(bot, each_id, how)
        case _:
            yield event


def confirmed_ids(event: ReceiptsConfirmed) -> Iterable[str]:
    """Name the messages of which Mixin has taken the receipt."""
    return event.message_ids


def until_all(ids: Iterable[str], named: Callable[[F], Iterable[str]]) -> Callable[[F], bool]:
    """Ask for the event with which each of these has been named once."""
    missing = set(ids)

    def last(event: F) -> bool:
        missing.difference_update(named(event))
        return not missing

    return last
