"""Makes dead letters due again."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from relay.journal import finishing
from relay.journal.lane_terms import FIRST_IN_LANE, LIKE_LANE_OF_THESE
from relay.journal.parameters import in_parts, is_in
from relay.journal.schema import deliveries, lanes
from relay.model.messages import DeliveryState

_THESE = is_in(deliveries.c.id, "ids")
_SEQS = select(deliveries.c.seq).where(_THESE, deliveries.c.replay.is_(None))
_REQUEUE = (
    update(deliveries)
    .where(_THESE)
    .values(
        state=DeliveryState.PENDING.value,
        failures=0,
        rejections=0,
        first_attempt_at=None,
        ended_at=None,
        ended_reason=None,
    )
)
_now: Any = bindparam("now")
_OPEN_LANES = (
    insert(lanes)
    .from_select(
        ["endpoint_id", "lane", "due_at"],
        select(deliveries.c.endpoint_id, deliveries.c.lane, _now).where(_THESE).distinct(),
    )
    .on_conflict_do_nothing()
)
_LEAD_LANES = (
    update(lanes)
    .where(LIKE_LANE_OF_THESE, is_in(FIRST_IN_LANE, "ids"))
    .values(due_at=func.min(lanes.c.due_at, _now))
)


def requeue(connection: Connection, dead: Collection[int], now: float) -> None:
    """Make dead letters due at once, their patience anew, and their messages unfinished."""
    for ids in in_parts(dead):
        connection.execute(_REQUEUE, {"ids": ids})
        connection.execute(_OPEN_LANES, {"ids": ids, "now": now})
        connection.execute(_LEAD_LANES, {"ids": ids, "now": now})
        finishing.reopen(connection, set(connection.scalars(_SEQS, {"ids": ids})))
