"""What happened to a message so far. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from relay.admin.explain.again import why_again
from relay.admin.explain.filters import left_out
from relay.admin.explain.words import CANCELLED, REMOVED, both, error_of, name_of
from relay.delivery.routing import Route
from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory
from relay.model.messages import DeliveryState, ReceiptState, Source
from relay.model.replays import ReplayRecord
from relay.model.times import moment

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
    """Tell what happened; `routes` and `replays` as in `Circumstances`."""
    summary = history.summary
    category = summary.category or "no category"
    yield f"It came {moment(summary.received_at, now)}, {_SOURCES[summary.source]} ({category})."
    if history.damage:
        yield f"It can't be posted: {history.damage}."
    yield from _owed(history, routes)
    for delivery in history.deliveries:
        yield from why_again(delivery, replays, now)
        yield from _story(delivery, now)
    yield from _receipt(history, now)
    if summary.outcome is not None:
        yield f"It was finished as {summary.outcome} {moment(summary.finished_at, now)}."


def _owed(history: MessageHistory, routes: Sequence[Route] | None) -> Iterator[str]:
    first = [each for each in history.deliveries if each.replay is None]
    owed = [f"{d.endpoint}{'' if d.required else ' (optional)'}" for d in first]
    yield f"It is owed to {both(owed)}." if owed else "It is owed to nobody."
    if routes is None:
        yield f"The settings have no bot {history.summary.bot} any more."
    known = {delivery.endpoint for delivery in history.deliveries}
    for route in routes or ():
        if route.endpoint not in known:
            yield left_out(route, history.summary)


def _story(delivery: DeliveryRecord, now: float) -> Iterator[str]:
    where, last = name_of(delivery), delivery.attempts[-1] if delivery.attempts else None
    match delivery.state:
        case DeliveryState.PENDING if last is None:
            yield f"{where} was not attempted yet."
        case DeliveryState.PENDING:
            yield f"{where} did not take it: {_failed(delivery, now)}."
        case DeliveryState.DELIVERED:
            number = f", at attempt {last.number}" if last and last.number > 1 else ""
            yield f"{where} took it {moment(delivery.ended_at, now)}{number}{_status(last)}."
        case DeliveryState.DEAD:
            since = moment(delivery.ended_at, now)
            yield f"{where} did not take it; a dead letter since {since}: {_why(delivery)}."
        case DeliveryState.DISCARDED if delivery.ended_reason == CANCELLED:
            yield f"{where} was cancelled {moment(delivery.ended_at, now)}."
        case DeliveryState.DISCARDED | DeliveryState.WAIVED if delivery.replay is not None:
            died = f"died {moment(delivery.ended_at, now)} ({_why(delivery)})"
            yield f"{where}: its delivery {died}; an operator discarded it since."
        case DeliveryState.DISCARDED | DeliveryState.WAIVED:
            died = f"died {moment(delivery.ended_at, now)} ({_why(delivery)})"
            told = "it no longer holds READ back"
            left = told if delivery.state is DeliveryState.WAIVED else "it stays unread"
            yield f"{where}: its delivery {died}; an operator discarded it since, and {left}."
    if delivery.doubtful and delivery.state is DeliveryState.PENDING:
        yield (
            f"{where} may have taken it all the same: the answer to an attempt never came, so the "
            "next one says relay-prior-outcome: unknown."
        )


def _failed(delivery: DeliveryRecord, now: float) -> str:
    last, count = delivery.attempts[-1], len(delivery.attempts)
    times = "1 attempt failed" if count == 1 else f"{count} attempts failed, the last"
    return f"{times} {moment(last.started_at, now)} with {error_of(last)}"


def _status(attempt: AttemptRecord | None) -> str:
    return f" (status {attempt.status})" if attempt is not None and attempt.status else ""


def _why(delivery: DeliveryRecord) -> str:
    if delivery.ended_reason == REMOVED:
        return "its endpoint is in the settings no more (removed)"
    if not delivery.attempts:
        return delivery.ended_reason or "no reason is known"
    count = len(delivery.attempts)
    return f"{error_of(delivery.attempts[-1])}, after {count} attempt{'' if count == 1 else 's'}"


def _receipt(history: MessageHistory, now: float) -> Iterator[str]:
    match history.summary.receipt:
        case ReceiptState.CONFIRMED:
            yield f"Mixin has it as READ since {moment(history.receipt_at, now)}."
        case ReceiptState.REFUSED:
            at = moment(history.receipt_at, now)
            yield f"Mixin refused READ for good {at}: it knows the message no more, or not as ours."
        case ReceiptState.OWED | ReceiptState.NONE:
            pass
