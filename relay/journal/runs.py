"""The journal's transactions that begin and end a run."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from relay.journal import finishing
from relay.journal.many import in_parts
from relay.journal.receiving import EndpointIds, Numbers
from relay.journal.reviving import revive
from relay.journal.rows import ENDPOINT_KEY, endpoint_of
from relay.journal.rules import LONGEST_WAIT, REMOVED, set_back
from relay.journal.schema import (
    DEAD,
    PENDING,
    attempts,
    deliveries,
    endpoints,
    lanes,
    messages,
    run,
)
from relay.model import DeliveryState, EndpointKey, GateState


@dataclass(frozen=True, slots=True)
class Run:
    """What a run starts with."""

    clean: bool
    ids: EndpointIds
    numbers: Numbers


def start(
    connection: Connection,
    configured: Collection[EndpointKey],
    now: float,
    seals_with: str | None,
) -> Run:
    """Begin a run; the key that seals is written down for those who seal beside it."""
    clean = connection.scalar(select(run.c.clean).where(run.c.id == 1))
    connection.execute(delete(run))
    connection.execute(insert(run).values(id=1, clean=False, seals_with=seals_with))
    if clean is False:
        doubt = update(deliveries).where(PENDING, ~deliveries.c.doubtful)
        connection.execute(doubt.values(doubtful=True))
    _mind_the_clock(connection, now)
    ids = _adopt(connection, configured)
    _bury_removed(connection, now)
    _revive_returned(connection, now)
    return Run(clean is not False, ids, Numbers.read(connection))


def _mind_the_clock(connection: Connection, now: float) -> None:
    """Let nothing wait for longer than it was told to, if the clock has been set back meanwhile."""
    later = update(lanes).where(lanes.c.due_at > now)
    if back := set_back(_last_seen(connection), now):
        connection.execute(later.values(due_at=func.max(now, lanes.c.due_at - back)))
    connection.execute(update(lanes).where(lanes.c.due_at > now + LONGEST_WAIT).values(due_at=now))


def _last_seen(connection: Connection) -> float | None:
    """Tell the time that the last thing happened at which the journal knows of."""
    ended = attempts.c.started_at + attempts.c.duration
    newest = (
        select(messages.c.received_at).order_by(messages.c.seq.desc()).limit(1),
        select(ended).order_by(attempts.c.id.desc()).limit(1),
    )
    times = [connection.scalar(each) for each in newest]
    return max((time for time in times if time is not None), default=None)


def stop(connection: Connection) -> None:
    """End a run cleanly."""
    connection.execute(update(run).values(clean=True))


def interrupt(connection: Connection) -> None:
    """Make it look as if the last run had not ended cleanly."""
    connection.execute(update(run).values(clean=False))


def _adopt(connection: Connection, configured: Collection[EndpointKey]) -> EndpointIds:
    connection.execute(update(endpoints).values(configured=False))
    for key in configured:
        values = {"bot": key.bot, "name": key.name, "state": GateState.CLOSED.value}
        row = upsert(endpoints).values(**values, configured=True, paused=False)
        names = [endpoints.c.bot, endpoints.c.name]
        connection.execute(
            row.on_conflict_do_update(index_elements=names, set_={"configured": True})
        )
    return {endpoint_of(row): row.id for row in connection.execute(select(*ENDPOINT_KEY))}


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


def _revive_returned(connection: Connection, now: float) -> None:
    """Make due again what is owed to endpoints that are configured again."""
    back = select(endpoints.c.id).where(endpoints.c.configured)
    removed = (DEAD, deliveries.c.ended_reason == REMOVED, deliveries.c.endpoint_id.in_(back))
    revive(connection, connection.scalars(select(deliveries.c.id).where(*removed)).all(), now)
