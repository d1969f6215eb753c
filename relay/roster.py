"""One bot's endpoints in service, and how they are changed while messages come and go.

Each message is routed by the settings before or by those after, never by both: no group is being
committed while they are exchanged, and nothing waits in between.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.dispatcher import Dispatcher
from relay.delivery.intake import Intake
from relay.delivery.routing import Routing
from relay.delivery.terms import Terms
from relay.model.journal import EndpointNote
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, Journal

Make = Callable[[EndpointNote], Dispatcher]
"""Makes a dispatcher that goes on from what the journal has of its endpoint."""


class StillOwed(Exception):  # noqa: N818 - a state of the journal, which the operator decides about
    """Endpoints that are to go are owed deliveries; nothing was changed."""

    def __init__(self, owed: Mapping[EndpointKey, int]) -> None:
        super().__init__(", ".join(map(str, owed)))
        self.owed = owed


@dataclass(frozen=True, slots=True)
class NewTerms:
    """What an endpoint goes by from now on; `elsewhere` if its receiver is another one."""

    terms: Terms
    policy: BreakerPolicy
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one bot's endpoints."""

    routing: Routing
    added: Mapping[EndpointKey, Make] = field(default_factory=dict)
    changed: Mapping[EndpointKey, NewTerms] = field(default_factory=dict)
    removed: Collection[EndpointKey] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """One bot's endpoints in service; `hire` starts the loop of a dispatcher that is new."""

    intake: Intake
    dispatchers: dict[EndpointKey, Dispatcher]
    hire: Callable[[EndpointKey, Dispatcher], None]

    def take(self, change: Change, made: Mapping[EndpointKey, Dispatcher]) -> list[Dispatcher]:
        """Go by a change, all at once; answers with the dispatchers that end by it."""
        self.intake.reroute(change.routing)
        for key, new in change.changed.items():
            self.dispatchers[key].change(new.terms, new.policy, elsewhere=new.elsewhere)
        for key in change.added:
            self.dispatchers[key] = made[key]
            self.hire(key, made[key])
        leaving = [self.dispatchers.pop(key) for key in change.removed]
        for dispatcher in leaving:
            dispatcher.stop()
        return leaving


async def swap(
    changes: Sequence[tuple[Roster, Change]],
    journal: Journal,
    clock: Clock,
    *,
    discard: bool,
    introduce: Callable[[], Awaitable[None]],
) -> list[Dispatcher]:
    """Let rosters go by their changes; answers with the dispatchers that end by it.

    With `discard` the journal keeps what they are owed until `farewell.Farewell` gives it up;
    without it, raises `StillOwed` if they are owed anything. That and `JournalUnavailable` leave
    everything as it was. `introduce` tells the journal of the endpoints that are new to it, before
    a message is routed to them.
    """
    removed = [key for _, change in changes for key in change.removed]
    added = [key for _, change in changes for key in change.added]
    async with AsyncExitStack() as holding:
        for roster, _ in changes:
            await holding.enter_async_context(roster.intake.held())
        notes = {key: await journal.endpoint_note(key) for key in added}
        making = {key: make for _, change in changes for key, make in change.added.items()}
        made = {key: make(notes[key]) for key, make in making.items()}
        going = () if discard else removed
        if owed := await journal.reconfigure(added=added, removed=going, now=clock()):
            raise StillOwed(owed)
        await introduce()
        # Nothing waits from here on, or a message could come in between.
        return [left for roster, change in changes for left in roster.take(change, made)]
