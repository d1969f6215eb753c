"""What becomes of a message, in plain words: what happened, what is waited for, what comes next.

Pure: from what the journal has of it, of its endpoints and of those that go before it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from relay.admin.explain_sentences import NO_RELAY, REMOVED, both, name_of, story, waiting
from relay.delivery.routing import Route
from relay.model.admin import AdminStore, DeliveryRecord, EndpointRecord, MessageHistory
from relay.model.messages import DeliveryState, EndpointKey, MessageOutcome, ReceiptState
from relay.model.replays import ReplayRecord
from relay.model.times import age, moment


@dataclass(frozen=True, slots=True)
class Explanation:
    """One bot's message in sentences; `commands` are those that may help."""

    bot: str
    message_id: str
    happened: tuple[str, ...]
    waits_for: tuple[str, ...]
    next: tuple[str, ...]
    commands: tuple[str, ...]


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
    replays: Mapping[int, ReplayRecord] = field(default_factory=dict)
    routes: Sequence[Route] | None = ()
    retention: float = 0.0
    receipt_trouble: str = ""
    relayed: bool = True


def explain(history: MessageHistory, around: Circumstances, now: float) -> Explanation:
    """Explain one bot's message."""
    message, pending = history.message, _of(history, DeliveryState.PENDING)
    waits = [
        waiting(each, around.endpoints.get(each.endpoint), around.leaders.get(each.endpoint), now)
        for each in pending
    ]
    owed = message.receipt is ReceiptState.OWED
    idle = not around.relayed and (bool(pending) or owed)
    trouble = f", which fails: {around.receipt_trouble}" if around.receipt_trouble else ""
    return Explanation(
        message.bot,
        message.message_id,
        tuple(story(history, around.routes, around.replays, now)),
        (
            *([NO_RELAY] if idle else []),
            *(line for each in waits for line in each.why),
            *([f"Mixin's answer to READ{trouble}."] if owed else []),
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
                    *_commands(history),
                ]
            )
        ),
    )


def unknown(message_id: str, retention: float) -> str:
    """Explain why the journal may know nothing of a message."""
    return (
        f"the journal knows no message {message_id}: either it never came (what is unread Mixin "
        "pushes again for 7 days, at each connect), or it was finished more than "
        f"{age(retention)} ago and forgotten, or the id is another thing's"
    )


def _next(history: MessageHistory, around: Circumstances, now: float) -> Iterator[str]:
    summary = history.message
    first = [each for each in history.deliveries if each.replay is None]
    pending, dead, given_up = (
        [str(each.endpoint) for each in first if each.required and each.state is state]
        for state in (DeliveryState.PENDING, DeliveryState.DEAD, DeliveryState.DISCARDED)
    )
    if summary.receipt is ReceiptState.OWED:
        yield "READ is sent to Mixin, again and again with growing waits, until Mixin takes it."
    elif dead:
        yield f"It stays unread until an operator decides about the dead letter of {both(dead)}."
    elif given_up:
        yield f"It is never marked READ: an operator discarded what was owed to {both(given_up)}."
    elif pending and summary.receipt is ReceiptState.NONE:
        has = "has" if len(pending) == 1 else "have"
        yield f"It is marked READ once {both(pending)} {has} taken it."
    all_dead = _of(history, DeliveryState.DEAD)
    kept = [str(each.endpoint) for each in all_dead if not each.required and each.replay is None]
    if kept:
        yield f"The dead letter of {both(kept)} (optional) is kept until an operator decides."
    yield from _next_of_replays(history)
    removed = [str(each.endpoint) for each in all_dead if each.ended_reason == REMOVED]
    if removed:
        yield f"The dead letter revives by itself when the settings have {both(removed)} again."
    again = any(each.replay is not None for each in _of(history, DeliveryState.PENDING))
    if summary.outcome is not None and not all_dead and not again:
        yield _forgotten(history, around, now)


def _next_of_replays(history: MessageHistory) -> Iterator[str]:
    """Describe what comes of replays that are not over."""
    if pending := _replayed(_of(history, DeliveryState.PENDING)):
        finished = history.message.outcome is not None
        kept = " It is finished, and kept until that has ended." if finished else ""
        yield f"READ does not depend on {both(map(name_of, pending))}.{kept}"
    if dead := _replayed(_of(history, DeliveryState.DEAD)):
        kept = "is kept until an operator decides"
        letter = f"The dead letter of {both(map(name_of, dead))}"
        yield f"{letter} {kept}; READ does not depend on it."


def _forgotten(history: MessageHistory, around: Circumstances, now: float) -> str:
    left = " It is left unread at Mixin: nobody wants it (unwanted: leave)."
    message = history.message
    unwanted = message.outcome is MessageOutcome.UNWANTED and message.receipt is ReceiptState.NONE
    at = (message.finished_at or now) + around.retention
    forgotten = f"the journal forgets it {moment(at, now)}" if at > now else "it is forgotten soon"
    return f"Nothing: it is finished, and {forgotten}.{left if unwanted else ''}"


def _commands(history: MessageHistory) -> Iterator[str]:
    replayed = _replayed(_of(history, DeliveryState.PENDING))
    if replayed:
        yield "relay replays list"
    for delivery in replayed:
        yield f"relay replays cancel {delivery.replay}"
    for delivery in _of(history, DeliveryState.DEAD):
        which = f"{history.message.message_id} --endpoint {delivery.endpoint}"
        if delivery.ended_reason != REMOVED:  # nobody would attempt it
            yield f"relay dead-letters retry {which}"
        yield f"relay dead-letters discard {which} --yes"


def _of(history: MessageHistory, state: DeliveryState) -> list[DeliveryRecord]:
    return [each for each in history.deliveries if each.state is state]


def _replayed(deliveries: Iterable[DeliveryRecord]) -> list[DeliveryRecord]:
    return [each for each in deliveries if each.replay is not None]


async def look_around(store: AdminStore, history: MessageHistory) -> Circumstances:
    """Look up what the journal knows beside a message's history."""
    again = any(delivery.replay is not None for delivery in history.deliveries)
    return Circumstances(
        {record.endpoint: record for record in await store.endpoints()},
        await _leaders(store, history),
        {replay.number: replay for replay in await store.replays()} if again else {},
    )


async def _leaders(
    store: AdminStore, history: MessageHistory
) -> Mapping[EndpointKey, DeliveryRecord]:
    """Look up what goes first in each lane in which the message waits."""
    leaders: dict[EndpointKey, DeliveryRecord] = {}
    for delivery in history.deliveries:
        if delivery.ahead is not None:
            earlier = await store.history(delivery.ahead.message_id)
            found = (each for one in earlier for each in one.deliveries)
            leaders |= {each.endpoint: each for each in found if _is_alike(each, delivery)}
    return leaders


def _is_alike(leader: DeliveryRecord, delivery: DeliveryRecord) -> bool:
    """Return whether both are in lanes of the same kind: a replay has lanes of its own."""
    again = leader.replay is not None, delivery.replay is not None
    return leader.endpoint == delivery.endpoint and again[0] == again[1]
