"""The journal's transactions by which endpoints come and go, at a start and in between."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from relay.journal import finishing
from relay.journal.incoming import EndpointIds
from relay.journal.lane_terms import CLOSE_EMPTY_LANES
from relay.journal.parameters import in_parts, is_in
from relay.journal.reviving import requeue
from relay.journal.rows import ENDPOINT_KEY, endpoint_of
from relay.journal.rules import REMOVED
from relay.journal.schema import DEAD, PENDING, deliveries, endpoints, lanes, messages
from relay.model.journal import Discarded
from relay.model.messages import BreakerState, DeliveryState, EndpointKey

_AT_THESE = is_in(deliveries.c.endpoint_id, "at")
_COUNT_OWED = (
    select(deliveries.c.endpoint_id, func.count().label("owed"))
    .where(PENDING, _AT_THESE)
    .group_by(deliveries.c.endpoint_id)
)
_SOME_OWED: Select[Any] = (
    select(deliveries.c.id).where(PENDING, _AT_THESE).limit(bindparam("limit"))
)
_GIVE_UP = (
    update(deliveries)
    .where(is_in(deliveries.c.id, "ids"))
    .values(state=DeliveryState.DISCARDED.value, ended_at=bindparam("now"), ended_reason=REMOVED)
    .returning(deliveries.c.seq)
)

_BOTS = select(messages.c.seq, messages.c.bot).where(is_in(messages.c.seq, "seqs"))


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """What removed endpoints are owed, and every endpoint's number."""

    owed: dict[EndpointKey, int]
    ids: EndpointIds


def reconfigure(
    connection: Connection,
    added: Collection[EndpointKey],
    removed: Collection[EndpointKey],
    now: float,
) -> Reconfigured:
    """Configure endpoints, and others no longer, unless those are still owed anything."""
    ids = endpoint_ids(connection)
    gone = {ids[key]: key for key in removed}
    rows = connection.execute(_COUNT_OWED, {"at": list(gone)}).all()
    if rows:
        return Reconfigured({gone[row.endpoint_id]: row.owed for row in rows}, ids)
    these = update(endpoints).where(is_in(endpoints.c.id, "at"))
    connection.execute(these.values(configured=False), {"at": list(gone)})
    adopt(connection, added)
    requeue_returned(connection, now)
    return Reconfigured({}, endpoint_ids(connection))


def discard_owed(
    connection: Connection, these: Collection[EndpointKey], now: float, limit: int
) -> Discarded:
    """Give up unfinished deliveries of these endpoints."""
    ids = endpoint_ids(connection)
    asked = {"at": [ids[key] for key in these], "limit": limit}
    given_up = {"ids": connection.scalars(_SOME_OWED, asked).all()}
    seqs = set(connection.scalars(_GIVE_UP, {**given_up, "now": now}))
    connection.execute(CLOSE_EMPTY_LANES, given_up)
    finished = finishing.finish(connection, seqs, now)
    outcomes = [(bot, finished[seq].outcome) for seq, bot in _bots(connection, set(finished))]
    return Discarded(len(given_up["ids"]), Counter(outcomes))


def _bots(connection: Connection, seqs: Collection[int]) -> list[tuple[int, str]]:
    rows = connection.execute(_BOTS, {"seqs": seqs})
    return [(row.seq, row.bot) for row in rows]


def endpoint_ids(connection: Connection) -> EndpointIds:
    """Tell the number of each endpoint, configured or not."""
    return {endpoint_of(row): row.id for row in connection.execute(select(*ENDPOINT_KEY))}


def adopt(connection: Connection, configured: Collection[EndpointKey]) -> None:
    """Configure endpoints, known or new."""
    for key in configured:
        values = {"bot": key.bot, "name": key.name, "state": BreakerState.CLOSED.value}
        row = upsert(endpoints).values(**values, configured=True, paused=False)
        names = [endpoints.c.bot, endpoints.c.name]
        connection.execute(
            row.on_conflict_do_update(index_elements=names, set_={"configured": True})
        )


def dead_letter_removed(connection: Connection, now: float) -> None:
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


def requeue_returned(connection: Connection, now: float) -> None:
    """Make due again what is owed to endpoints that are configured again."""
    back = select(endpoints.c.id).where(endpoints.c.configured)
    removed = (DEAD, deliveries.c.ended_reason == REMOVED, deliveries.c.endpoint_id.in_(back))
    requeue(connection, connection.scalars(select(deliveries.c.id).where(*removed)).all(), now)
