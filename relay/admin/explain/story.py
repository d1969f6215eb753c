"""What happened to a message so far, and the small words that every sentence is made of. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from relay.delivery.routing import Route
from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory, MessageSummary
from relay.model.messages import DeliveryState, ReceiptState, Source
from relay.model.replays import ReplayRecord
from relay.model.times import moment

REMOVED = "removed"
"""The reason of a dead letter whose endpoint is configured no more."""

CANCELLED = "cancelled"
"""The reason of a delivery whose replay an operator cancelled."""

_SOURCES = {
    Source.LIVE: "as it was written",
    Source.PENDING: "from Mixin's backlog: it was written before the socket was up",
}


def story(
    history: MessageHistory,
    routes: Sequence[Route] | None,
    replays: Mapping[int, ReplayRecord],
    now: float,
) -> Iterator[str]:
    """Describe what happened; `routes` and `replays` as in `Circumstances`."""
    message = history.message
    category = message.category or "no category"
    yield f"It came {moment(message.received_at, now)}, {_SOURCES[message.source]} ({category})."
    if history.damage:
        yield f"It can't be posted: {history.damage}."
    yield from _owed(history, routes)
    for delivery in history.deliveries:
        if delivery.replay is not None:
            yield _again(delivery, replays.get(delivery.replay), now)
        yield from _story(delivery, now)
    match message.receipt:
        case ReceiptState.CONFIRMED:
            yield f"Mixin has it as READ since {moment(history.receipt_at, now)}."
        case ReceiptState.REFUSED:
            at = moment(history.receipt_at, now)
            yield f"Mixin refused READ for good {at}: it knows the message no more, or not as ours."
        case ReceiptState.OWED | ReceiptState.NONE:
            pass
    if message.outcome is not None:
        yield f"It was finished as {message.outcome} {moment(message.finished_at, now)}."


def error_of(attempt: AttemptRecord) -> str:
    """Describe what went wrong, without a word of the receiver's own: it may quote the message."""
    said = f"status {attempt.status}" if attempt.status is not None else attempt.detail
    reason = attempt.reason or attempt.outcome
    return f"{reason} ({said})" if said else str(reason)


def name_of(delivery: DeliveryRecord) -> str:
    """Name a delivery in a sentence: by its endpoint, and by the replay that it is part of."""
    again = f" (replay {delivery.replay})" if delivery.replay is not None else ""
    return f"{delivery.endpoint}{again}"


def both(names: Iterable[str]) -> str:
    """Write names as a list in a sentence; there is one at least."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _owed(history: MessageHistory, routes: Sequence[Route] | None) -> Iterator[str]:
    first = [each for each in history.deliveries if each.replay is None]
    owed = [f"{d.endpoint}{'' if d.required else ' (optional)'}" for d in first]
    yield f"It is owed to {both(owed)}." if owed else "It is owed to nobody."
    if routes is None:
        yield f"The settings have no bot {history.message.bot} any more."
    known = {delivery.endpoint for delivery in history.deliveries}
    for route in routes or ():
        if route.endpoint not in known:
            yield _left_out(route, history.message)


def _left_out(route: Route, message: MessageSummary) -> str:
    """Explain why a configured endpoint has no delivery of a message: by today's filter, or not."""
    owed = f"{route.endpoint} is not owed it"
    if not route.wants_category(message.category):
        patterns = ", ".join(route.categories)
        return f"{owed}: {message.category} is none of its categories ({patterns})."
    if not route.wants_conversation(message.conversation_id):
        return f"{owed}: its filter leaves the conversation out."
    if not route.wants_user(message.user_id):
        return f"{owed}: its filter leaves the user {message.user_id} out."
    return (
        f"{owed}, although its filter would let it through: the endpoint or the filter came into "
        "the settings after the message."
    )


def _again(delivery: DeliveryRecord, replay: ReplayRecord | None, now: float) -> str:
    """Name the replay that a delivery is part of, and why there is one."""
    again = f"It is sent again to {delivery.endpoint}, by replay {delivery.replay}"
    if replay is None:
        return f"{again}."
    asked = moment(replay.asked_at, now)
    if replay.since <= 0.0:  # which no operator asks for
        why = f"the endpoint was new {asked}, and gets what the journal held (from: retained)"
        return f"{again}: {why}."
    until = f" to {moment(replay.until, now)}" if replay.until is not None else " on"
    of = f"what came or was delivered from {moment(replay.since, now)}{until}"
    return f"{again}: an operator asked {asked} for {of}."


def _story(delivery: DeliveryRecord, now: float) -> Iterator[str]:
    where, last = name_of(delivery), delivery.attempts[-1] if delivery.attempts else None
    at = moment(delivery.ended_at, now)
    match delivery.state:
        case DeliveryState.PENDING if last is None:
            yield f"{where} was not attempted yet."
        case DeliveryState.PENDING:
            yield f"{where} did not take it: {_failed(delivery, now)}."
        case DeliveryState.DELIVERED:
            number = f", at attempt {last.number}" if last and last.number > 1 else ""
            status = f" (status {last.status})" if last and last.status else ""
            yield f"{where} took it {at}{number}{status}."
        case DeliveryState.DEAD:
            yield f"{where} did not take it; a dead letter since {at}: {_why(delivery)}."
        case DeliveryState.DISCARDED if delivery.ended_reason == CANCELLED:
            yield f"{where} was cancelled {at}."
        case DeliveryState.DISCARDED | DeliveryState.WAIVED:
            waived = delivery.state is DeliveryState.WAIVED
            left = "it no longer holds READ back" if waived else "it stays unread"
            then = f", and {left}" if delivery.replay is None else ""
            died = f"its delivery died {at} ({_why(delivery)})"
            yield f"{where}: {died}; an operator discarded it since{then}."
    if delivery.doubtful and delivery.state is DeliveryState.PENDING:
        yield (
            f"{where} may have taken it all the same: the answer to an attempt never came, so the "
            "next one says relay-prior-outcome: unknown."
        )


def _failed(delivery: DeliveryRecord, now: float) -> str:
    last, count = delivery.attempts[-1], len(delivery.attempts)
    times = "1 attempt failed" if count == 1 else f"{count} attempts failed, the last"
    return f"{times} {moment(last.started_at, now)} with {error_of(last)}"


def _why(delivery: DeliveryRecord) -> str:
    if delivery.ended_reason == REMOVED:
        return "its endpoint is in the settings no more (removed)"
    if not delivery.attempts:
        return delivery.ended_reason or "no reason is known"
    count = len(delivery.attempts)
    return f"{error_of(delivery.attempts[-1])}, after {count} attempt{'' if count == 1 else 's'}"
