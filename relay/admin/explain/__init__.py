"""What becomes of a message, in plain words: what happened, what is waited for, what comes next.

Pure: from what the journal has of it, of its endpoints and of those that go before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from relay.admin.explain.again import commands_again, next_again
from relay.admin.explain.story import story
from relay.admin.explain.troubles import NO_RELAY, troubles
from relay.admin.explain.waiting import waiting
from relay.admin.explain.words import REMOVED, both, dead_of, pending_of
from relay.delivery.routing import Route
from relay.model.admin import DeliveryRecord, EndpointRecord, MessageHistory
from relay.model.messages import DeliveryState, EndpointKey, MessageOutcome, ReceiptState
from relay.model.replays import ReplayRecord
from relay.model.times import age, moment

__all__ = ["Circumstances", "Explanation", "explain", "troubles", "unknown"]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside a message's own history.

    `leaders` has the deliveries that go first in the lanes of those that wait, by endpoint;
    `routes` the bot's endpoints as they are configured now, None if the bot is not; `retention`
    in seconds; `receipt_trouble` why READ fails at the moment, empty if nobody knows; `replays`
    those that its deliveries are part of, by number; `relayed` whether a relay runs, without which
    nothing comes next.
    """

    endpoints: Mapping[EndpointKey, EndpointRecord] = field(default_factory=dict)
    leaders: Mapping[EndpointKey, DeliveryRecord] = field(default_factory=dict)
    routes: Sequence[Route] | None = ()
    retention: float = 0.0
    receipt_trouble: str = ""
    replays: Mapping[int, ReplayRecord] = field(default_factory=dict)
    relayed: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """One bot's message in sentences; `commands` are those that may help."""

    bot: str
    message_id: str
    happened: tuple[str, ...]
    waits_for: tuple[str, ...]
    next: tuple[str, ...]
    commands: tuple[str, ...]


def explain(history: MessageHistory, around: Circumstances, now: float) -> Explanation:
    """Explain one bot's message."""
    waits = [
        waiting(each, around.endpoints.get(each.endpoint), around.leaders.get(each.endpoint), now)
        for each in pending_of(history)
    ]
    idle = not around.relayed and _is_under_way(history)
    return Explanation(
        history.summary.bot,
        history.summary.message_id,
        tuple(story(history, around.routes, around.replays, now)),
        (
            *([NO_RELAY] if idle else []),
            *(line for each in waits for line in each.why),
            *_waits_for_mixin(history, around),
        ),
        (
            *(["Nothing of what follows, before a relay is started."] if idle else []),
            *(line for each in waits for line in each.next),
            *_next(history, around, now),
        ),
        tuple(
            dict.fromkeys(
                [
                    *(command for each in waits for command in each.commands),
                    *commands_again(history),
                    *_commands(history),
                ]
            )
        ),
    )


def _is_under_way(history: MessageHistory) -> bool:
    return bool(pending_of(history)) or history.summary.receipt is ReceiptState.OWED


def unknown(message_id: str, retention: float) -> str:
    """Explain why the journal may know nothing of a message."""
    return (
        f"the journal knows no message {message_id}: either it never came (what is unread Mixin "
        "pushes again for 7 days, at each connect), or it was finished more than "
        f"{age(retention)} ago and forgotten, or the id is another thing's"
    )


def _waits_for_mixin(history: MessageHistory, around: Circumstances) -> Iterator[str]:
    if history.summary.receipt is ReceiptState.OWED:
        trouble = f", which fails: {around.receipt_trouble}" if around.receipt_trouble else ""
        yield f"Mixin's answer to READ{trouble}."


def _next(history: MessageHistory, around: Circumstances, now: float) -> Iterator[str]:
    summary = history.summary
    pending = [str(d.endpoint) for d in pending_of(history) if d.required and d.replay is None]
    dead = [str(d.endpoint) for d in dead_of(history) if d.required and d.replay is None]
    given_up = [
        str(d.endpoint)
        for d in history.deliveries
        if d.required and d.replay is None and d.state is DeliveryState.DISCARDED
    ]
    if summary.receipt is ReceiptState.OWED:
        yield "READ is sent to Mixin, again and again with growing waits, until Mixin takes it."
    elif dead:
        yield f"It stays unread until an operator decides about the dead letter of {both(dead)}."
    elif given_up:
        yield f"It is never marked READ: an operator discarded what was owed to {both(given_up)}."
    elif pending and summary.receipt is ReceiptState.NONE:
        yield f"It is marked READ once {both(pending)} {_has(pending)} taken it."
    kept = [str(d.endpoint) for d in dead_of(history) if not d.required and d.replay is None]
    if kept:
        yield f"The dead letter of {both(kept)} (optional) is kept until an operator decides."
    yield from next_again(history)
    yield from _revival(history)
    again = any(each.replay is not None for each in pending_of(history))
    if summary.outcome is not None and not dead_of(history) and not again:
        yield _forgotten(history, around, now)


def _revival(history: MessageHistory) -> Iterator[str]:
    removed = [str(d.endpoint) for d in dead_of(history) if d.ended_reason == REMOVED]
    if removed:
        yield f"The dead letter revives by itself when the settings have {both(removed)} again."


def _forgotten(history: MessageHistory, around: Circumstances, now: float) -> str:
    left = " It is left unread at Mixin: nobody wants it (unwanted: leave)."
    summary = history.summary
    unwanted = summary.outcome is MessageOutcome.UNWANTED and summary.receipt is ReceiptState.NONE
    at = (summary.finished_at or now) + around.retention
    forgotten = f"the journal forgets it {moment(at, now)}" if at > now else "it is forgotten soon"
    return f"Nothing: it is finished, and {forgotten}.{left if unwanted else ''}"


def _commands(history: MessageHistory) -> Iterator[str]:
    message_id = history.summary.message_id
    for delivery in dead_of(history):
        which = f"{message_id} --endpoint {delivery.endpoint}"
        if delivery.ended_reason != REMOVED:  # nobody would attempt it
            yield f"relay dead-letters retry {which}"
        yield f"relay dead-letters discard {which} --yes"


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
