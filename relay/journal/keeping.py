"""The journal's transactions around a run: start, endpoints, samples, pruning."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from relay.journal import finishing
from relay.journal.rows import endpoint_of
from relay.journal.rules import REMOVED
from relay.journal.schema import (
    DEAD,
    PENDING,
    attempts,
    deliveries,
    endpoints,
    lanes,
    messages,
    notices,
    run,
    unreadable,
)
from relay.journal.writing import EndpointIds, Numbers
from relay.model import (
    DeliveryState,
    EndpointKey,
    EndpointNote,
    GateState,
    MessageOutcome,
    NoticeKind,
    ReceiptState,
    UnreadableFrame,
)

MAX_UNREADABLE = 1000
"""So many samples of a bot are kept, the last seen."""

_KEPT_NOTICES = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """What a run starts with."""

    clean: bool
    ids: EndpointIds
    numbers: Numbers


def start(connection: Connection, configured: Collection[EndpointKey], now: float) -> Run:
    """Begin a run."""
    clean = connection.scalar(select(run.c.clean).where(run.c.id == 1))
    connection.execute(delete(run))
    connection.execute(insert(run).values(id=1, clean=False))
    if clean is False:
        doubt = update(deliveries).where(PENDING, ~deliveries.c.doubtful)
        connection.execute(doubt.values(doubtful=True))
    ids = _adopt(connection, configured)
    _bury_removed(connection, now)
    revive(connection, (endpoints.c.configured, deliveries.c.ended_reason == REMOVED), now)
    return Run(clean is not False, ids, Numbers.read(connection))


def stop(connection: Connection) -> None:
    """End a run cleanly."""
    connection.execute(update(run).values(clean=True))


def _adopt(connection: Connection, configured: Collection[EndpointKey]) -> EndpointIds:
    connection.execute(update(endpoints).values(configured=False))
    for key in configured:
        values = {"bot": key.bot, "name": key.name, "state": GateState.CLOSED.value}
        row = upsert(endpoints).values(**values, configured=True, paused=False)
        names = [endpoints.c.bot, endpoints.c.name]
        connection.execute(
            row.on_conflict_do_update(index_elements=names, set_={"configured": True})
        )
    return {endpoint_of(row): row.id for row in connection.execute(select(endpoints))}


def _bury_removed(connection: Connection, now: float) -> None:
    """Make dead letters of what is owed to endpoints that are no longer configured."""
    gone = select(endpoints.c.id).where(~endpoints.c.configured)
    buried = (
        update(deliveries)
        .where(PENDING, deliveries.c.endpoint_id.in_(gone))
        .values(state=DeliveryState.DEAD.value, ended_at=now, ended_reason=REMOVED)
        .returning(deliveries.c.seq)
    )
    seqs = set(connection.scalars(buried))
    connection.execute(delete(lanes).where(lanes.c.endpoint_id.in_(gone)))
    for some in in_parts(seqs):
        finishing.finish(connection, some, now)


def revive(
    connection: Connection, conditions: Iterable[ColumnElement[bool]], now: float
) -> list[int]:
    """Make dead letters due again, their patience anew; answers with their ids."""
    dead = select(deliveries.c.id).join(endpoints).where(DEAD, *conditions)
    revived = (
        update(deliveries)
        .where(deliveries.c.id.in_(dead))
        .values(
            state=DeliveryState.PENDING.value,
            failures=0,
            rejections=0,
            first_attempt_at=None,
            ended_at=None,
            ended_reason=None,
        )
        .returning(deliveries.c.id, deliveries.c.seq, deliveries.c.endpoint_id, deliveries.c.lane)
    )
    rows = connection.execute(revived).all()
    for endpoint_id, lane in {(row.endpoint_id, row.lane) for row in rows}:
        row = upsert(lanes).values(endpoint_id=endpoint_id, lane=lane, due_at=now)
        names = [lanes.c.endpoint_id, lanes.c.lane]
        earlier = {"due_at": func.min(lanes.c.due_at, now)}
        connection.execute(row.on_conflict_do_update(index_elements=names, set_=earlier))
    for some in in_parts({row.seq for row in rows}):
        finishing.reopen(connection, some)
    return [row.id for row in rows]


def in_parts(numbers: Collection[int], size: int = 500) -> Iterable[list[int]]:
    """Cut many numbers into parts that fit into one statement."""
    ordered = sorted(numbers)
    return (ordered[start : start + size] for start in range(0, len(ordered), size))


def note_endpoint(connection: Connection, endpoint: EndpointKey, note: EndpointNote) -> None:
    """Write down how an endpoint fares."""
    connection.execute(
        update(endpoints)
        .where(endpoints.c.bot == endpoint.bot, endpoints.c.name == endpoint.name)
        .values(
            state=note.state.value,
            last_error=note.last_error,
            next_probe_at=note.next_probe_at,
            gone_since=note.gone_since,
        )
    )


def keep_unreadable(connection: Connection, bot: str, frame: UnreadableFrame, now: float) -> None:
    """Keep a sample of a frame, or count it again; forget what was not seen for longest."""
    row = upsert(unreadable).values(
        bot=bot,
        digest=frame.digest,
        why=frame.why,
        sample=frame.sample,
        times=1,
        first_at=now,
        last_at=now,
    )
    again = {"times": unreadable.c.times + 1, "last_at": now}
    names = [unreadable.c.bot, unreadable.c.digest]
    connection.execute(row.on_conflict_do_update(index_elements=names, set_=again))
    kept = (
        select(unreadable.c.digest)
        .where(unreadable.c.bot == bot)
        .order_by(unreadable.c.last_at.desc(), unreadable.c.digest)
        .limit(MAX_UNREADABLE)
    )
    connection.execute(
        delete(unreadable).where(unreadable.c.bot == bot, unreadable.c.digest.not_in(kept))
    )


def notify(connection: Connection, kind: NoticeKind, endpoint: EndpointKey, count: int = 0) -> None:
    """Leave a notice for the running relay."""
    values = {"kind": kind.value, "bot": endpoint.bot, "endpoint": endpoint.name}
    connection.execute(insert(notices).values(**values, count=count))


def prune(connection: Connection, before: float, limit: int) -> int:
    """Remove old finished messages with all that hangs on them, but no dead letter."""
    dead = select(deliveries.c.id).where(deliveries.c.seq == messages.c.seq, DEAD)
    old = (
        select(messages.c.seq)
        .where(messages.c.outcome.is_not(None), messages.c.finished_at < before)
        .where(messages.c.outcome != MessageOutcome.DEAD.value)
        .where(messages.c.receipt != ReceiptState.OWED.value)
        .where(~dead.exists())
        .order_by(messages.c.finished_at)
        .limit(limit)
    )
    seqs = list(connection.scalars(old))
    theirs = select(deliveries.c.id).where(deliveries.c.seq.in_(seqs))
    connection.execute(delete(attempts).where(attempts.c.delivery_id.in_(theirs)))
    connection.execute(delete(deliveries).where(deliveries.c.seq.in_(seqs)))
    connection.execute(delete(messages).where(messages.c.seq.in_(seqs)))
    newest = connection.scalar(select(func.max(notices.c.id))) or 0
    connection.execute(delete(notices).where(notices.c.id <= newest - _KEPT_NOTICES))
    return len(seqs)
