"""The journal's transactions that begin and end a run."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from relay.journal import endpoints as removing
from relay.journal.incoming import EndpointIds, Numbers
from relay.journal.rules import LONGEST_WAIT, set_back
from relay.journal.schema import PENDING, attempts, deliveries, endpoints, lanes, messages, run
from relay.model.messages import EndpointKey


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
    connection.execute(update(endpoints).values(configured=False))
    removing.adopt(connection, configured)
    removing.dead_letter_removed(connection, now)
    removing.requeue_returned(connection, now)
    return Run(clean is not False, removing.endpoint_ids(connection), Numbers.read(connection))


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
