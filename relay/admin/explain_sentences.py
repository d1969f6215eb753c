"""The sentences of an explanation. Pure.

What happened to a message so far; what keeps deliveries and endpoints waiting, until when, and
which command helps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay.delivery.routing import Route
from relay.model.admin import (
    AttemptRecord,
    DeliveryRecord,
    EndpointRecord,
    MessageHistory,
    MessageSummary,
)
from relay.model.messages import BreakerState, DeliveryState, EndpointKey, ReceiptState, Source
from relay.model.replays import ReplayRecord
from relay.model.times import age, moment

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


NO_RELAY = "No relay runs on this journal: nothing is sent to anybody until one is started."

_LATE = 60.0
"""Seconds; whoever takes what comes has nothing older than that."""


def troubles(records: Sequence[EndpointRecord], now: float, *, relayed: bool) -> Iterator[str]:
    """Describe in a line each what is out of order; nothing if all is well.

    `relayed` says whether a relay runs, without which nothing happens.
    """
    if not relayed:
        yield NO_RELAY
    for record in records:
        if trouble := _trouble(record, now):
            yield trouble
        if dead := record.dead_letters:
            many = "1 dead letter" if dead == 1 else f"{dead} dead letters"
            where = record.endpoint
            yield f"{where} has {many}: relay dead-letters list --endpoint {where}"


def _trouble(record: EndpointRecord, now: float) -> str:  # noqa: PLR0911 - one for each trouble
    where, note = record.endpoint, record.note
    until = note.next_probe_at if note.next_probe_at and note.next_probe_at > now else None
    if not record.configured:
        return f"{where} is in the settings no more, and gets nothing."
    match note.state:
        case BreakerState.PAUSED:
            return f"{where} is paused by an operator, and gets nothing until: {_resume(where)}"
        case BreakerState.GONE:
            since = f" since {moment(note.gone_since, now)}" if note.gone_since else ""
            gone = f"{where} answers 410{since}: it is gone"
            return f"{gone}, and gets nothing until: {_resume(where)}"
        case BreakerState.OPEN | BreakerState.PROBING:
            when = "now" if until is None else f"in {age(until - now)}"
            why = f"{where} is down: it failed too often in a row (its circuit is open)"
            return f"{why}, and is tried again {when}. At once: {_resume(where)}"
        case BreakerState.CLOSED if until is not None:
            return f"{where} asked to be left alone until {moment(until, now)} (Retry-After)."
        case BreakerState.CLOSED if record.oldest_at is not None and now - record.oldest_at > _LATE:
            look = f"relay messages list --endpoint {where} --state failing"
            waited = age(now - record.oldest_at)
            return f"{where} works, but its oldest message has waited for {waited}: {look}"
        case BreakerState.CLOSED:
            return ""


def _resume(where: EndpointKey) -> str:
    return f"relay endpoints resume {where}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why it waits, what comes next, and the commands that may help."""

    why: tuple[str, ...]
    next: tuple[str, ...]
    commands: tuple[str, ...] = ()


def waiting(
    delivery: DeliveryRecord,
    record: EndpointRecord | None,
    leader: DeliveryRecord | None,
    now: float,
) -> Waiting:
    """Explain what a pending delivery waits for: its endpoint first, then its turn, then its time.

    `leader` is the delivery that goes first in its lane, if another does.
    """
    held = _held_by_endpoint(delivery, record, now)
    if delivery.ahead is not None or delivery.waits:
        turn = _behind(delivery, leader, now)
    elif delivery.due_at is not None and delivery.due_at > now:
        turn = _until_retry(delivery, now)
    elif held is None:
        turn = _in_line(delivery, record)
    else:
        turn = Waiting((), ())
    if held is None:
        return turn
    on_its_own = delivery.circuit in (BreakerState.OPEN, BreakerState.PROBING, BreakerState.CLOSED)
    if not on_its_own or not (record is None or record.configured):
        return Waiting((*held.why, *turn.why), held.next, held.commands)
    commands = (*held.commands, *turn.commands)
    return Waiting((*held.why, *turn.why), (*held.next, *turn.next), commands)


def _held_by_endpoint(
    delivery: DeliveryRecord, record: EndpointRecord | None, now: float
) -> Waiting | None:
    """Explain how the endpoint holds everything back; None if it does not."""
    where = delivery.endpoint
    if record is not None and not record.configured:
        why = f"{where} is in the settings no more, so nothing is attempted there."
        return Waiting((why,), (f"{where}: nothing, until it is configured again.",))
    error = f" (last error: {record.note.last_error})" if record and record.note.last_error else ""
    probe_at = record.note.next_probe_at if record else None
    match delivery.circuit:
        case BreakerState.PAUSED:
            why = f"{where} is paused by an operator, and keeps everything."
            return _until_resumed(why, where)
        case BreakerState.GONE:
            since = record and record.note.gone_since
            from_when = f" since {moment(since, now)}" if since else ""
            why = f"{where} is gone: it answers 410{from_when}. Everything is kept."
            return _until_resumed(why, where)
        case BreakerState.OPEN | BreakerState.PROBING:
            when = moment(probe_at, now) if probe_at is not None and probe_at > now else "now"
            failed = f"{where} failed too often in a row"
            why = f"{failed}, so it is only probed: its circuit is open{error}."
            then = (
                f"{where}: a single probe, with the oldest delivery that is due, is made {when}; "
                "once one succeeds, everything goes on."
            )
            return Waiting((why,), (then,), (_resume(where),))
        case BreakerState.CLOSED if probe_at is not None and probe_at > now:
            until = moment(probe_at, now)
            why = f"{where} asked to be left alone until {until} (Retry-After){error}."
            return Waiting((why,), (f"{where} is attempted again then.",))
        case BreakerState.CLOSED:
            return None


def _until_resumed(why: str, where: EndpointKey) -> Waiting:
    then = f"{where}: nothing, until an operator resumes it."
    return Waiting((why,), (then,), (_resume(where),))


def _behind(delivery: DeliveryRecord, leader: DeliveryRecord | None, now: float) -> Waiting:
    where, ahead = name_of(delivery), delivery.ahead
    if ahead is None:
        return Waiting((f"{where}: an earlier message of its conversation goes first.",), ())
    many = "" if ahead.count == 1 else f", the first of {ahead.count} that go before it"
    why = f"{where}: the earlier message {ahead.message_id} of its conversation goes first{many}."
    its = f" {_leader(leader, now)}" if leader is not None else ""
    then = f"{where}: its turn comes when that one is taken or becomes a dead letter.{its}"
    return Waiting((why,), (then,), (f"relay explain {ahead.message_id}",))


def _leader(leader: DeliveryRecord, now: float) -> str:
    number = len(leader.attempts) + 1
    failed = f" It failed with {error_of(leader.attempts[-1])}." if leader.attempts else ""
    due = leader.due_at
    when = "" if due is None or due <= now else f" {moment(due, now)}"
    return f"That one's attempt {number} is due{when}.{failed}"


def _until_retry(delivery: DeliveryRecord, now: float) -> Waiting:
    number, at, where = len(delivery.attempts) + 1, moment(delivery.due_at, now), name_of(delivery)
    why = f"{where}: the wait before its next attempt."
    return Waiting((why,), (f"{where}: attempt {number} is due {at}.",))


def _in_line(delivery: DeliveryRecord, record: EndpointRecord | None) -> Waiting:
    where, number = name_of(delivery), len(delivery.attempts) + 1
    if delivery.replay is not None:
        why = f"{where}: its turn; what is new goes before it, and what is older of the replay."
        return Waiting((why,), (f"{where}: attempt {number} is made when there is room.",))
    others = f" among {record.pending} pending" if record and record.pending > 1 else ""
    why = f"{where}: its turn{others}; nothing holds it back, or its request is under way."
    then = f"{where}: attempt {number} is made at once when a relay runs and there is room."
    return Waiting((why,), (then,))
