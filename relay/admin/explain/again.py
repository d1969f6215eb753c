"""What is sent again: by which replay, why, and that nothing of the message depends on it. Pure."""

from collections.abc import Iterator, Mapping

from relay.admin.explain.words import both, dead_of, name_of, pending_of
from relay.model.admin import DeliveryRecord, MessageHistory
from relay.model.replays import ReplayRecord
from relay.model.times import moment


def why_again(
    delivery: DeliveryRecord, replays: Mapping[int, ReplayRecord], now: float
) -> Iterator[str]:
    """Say by which replay a delivery is made, and why there is one; nothing of any other."""
    if delivery.replay is None:
        return
    number = delivery.replay
    record = replays.get(number)
    why = f": {_why(record, now)}" if record is not None else ""
    yield f"It is sent again to {delivery.endpoint}, by replay {number}{why}."


def _why(record: ReplayRecord, now: float) -> str:
    if record.since <= 0.0:  # which no operator asks for
        when = moment(record.asked_at, now)
        return f"the endpoint was new {when}, and gets what the journal held (from: retained)"
    until = f" to {moment(record.until, now)}" if record.until is not None else " on"
    of = f"what came or was delivered from {moment(record.since, now)}{until}"
    return f"an operator asked {moment(record.asked_at, now)} for {of}"


def next_again(history: MessageHistory) -> Iterator[str]:
    """Say what comes of replays that are not over."""
    pending = [name_of(each) for each in pending_of(history) if each.replay is not None]
    dead = [name_of(each) for each in dead_of(history) if each.replay is not None]
    if pending:
        finished = history.summary.outcome is not None
        kept = " It is finished, and kept until that has ended." if finished else ""
        yield f"READ does not depend on {both(pending)}.{kept}"
    if dead:
        kept = "is kept until an operator decides"
        yield f"The dead letter of {both(dead)} {kept}; READ does not depend on it."


def commands_again(history: MessageHistory) -> Iterator[str]:
    """Name what may help with replays that are not over."""
    numbers = [each.replay for each in pending_of(history) if each.replay is not None]
    if numbers:
        yield "relay replays list"
    for number in numbers:
        yield f"relay replays cancel {number}"
