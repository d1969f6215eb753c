"""What keeps endpoints from taking what they are owed, and which command helps. Pure."""

from collections.abc import Iterator, Sequence

from relay.model.admin import EndpointRecord
from relay.model.messages import BreakerState
from relay.model.times import age, moment

NO_RELAY = "No relay runs on this journal: nothing is sent to anybody until one is started."

_LATE = 60.0
"""Seconds; whoever takes what comes has nothing older than that."""


def troubles(records: Sequence[EndpointRecord], now: float, *, relayed: bool) -> Iterator[str]:
    """Say in a line each what is out of order; nothing if all is well.

    `relayed` says whether a relay runs, without which nothing happens.
    """
    if not relayed:
        yield NO_RELAY
    for record in records:
        yield from _held(record, now)
        if record.dead_letters:
            many = (
                "1 dead letter"
                if record.dead_letters == 1
                else f"{record.dead_letters} dead letters"
            )
            where = record.endpoint
            yield f"{where} has {many}: relay dead-letters list --endpoint {where}"


def _held(record: EndpointRecord, now: float) -> Iterator[str]:
    where, note = record.endpoint, record.note
    resume = f"relay endpoints resume {where}"
    later = note.next_probe_at is not None and note.next_probe_at > now
    match note.state:
        case _ if not record.configured:
            yield f"{where} is in the settings no more, and gets nothing."
        case BreakerState.PAUSED:
            yield f"{where} is paused by an operator, and gets nothing until: {resume}"
        case BreakerState.GONE:
            since = f" since {moment(note.gone_since, now)}" if note.gone_since else ""
            yield f"{where} answers 410{since}: it is gone, and gets nothing until: {resume}"
        case BreakerState.OPEN | BreakerState.PROBING:
            when = f"in {age(note.next_probe_at - now)}" if later and note.next_probe_at else "now"
            why = f"{where} is down: it failed too often in a row (its gate is open)"
            yield f"{why}, and is tried again {when}. At once: {resume}"
        case BreakerState.CLOSED if later:
            until = moment(note.next_probe_at, now)
            yield f"{where} asked to be left alone until {until} (Retry-After)."
        case BreakerState.CLOSED if record.oldest_at is not None and now - record.oldest_at > _LATE:
            look = f"relay messages list --endpoint {where} --state failing"
            waited = age(now - record.oldest_at)
            yield f"{where} works, but its oldest message has waited for {waited}: {look}"
        case BreakerState.CLOSED:
            pass
