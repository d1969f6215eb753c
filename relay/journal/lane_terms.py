"""What statements say of lanes: the deliveries of one endpoint that go one after the other."""

from sqlalchemy import delete, exists, func, select

from relay.journal.parameters import is_in
from relay.journal.schema import PENDING, deliveries, lanes

IN_LANE = (deliveries.c.endpoint_id == lanes.c.endpoint_id) & (deliveries.c.lane == lanes.c.lane)

FIRST_IN_LANE = (
    select(func.min(deliveries.c.id)).where(IN_LANE, PENDING).correlate(lanes).scalar_subquery()
)
"""The delivery that goes next."""

_THESE = is_in(deliveries.c.id, "ids")

IN_LANE_OF_THESE = IN_LANE & _THESE
"""The lane has one of the deliveries whose numbers are the parameter `ids`."""

LIKE_LANE_OF_THESE = lanes.c.endpoint_id.in_(
    select(deliveries.c.endpoint_id).where(_THESE)
) & lanes.c.lane.in_(select(deliveries.c.lane).where(_THESE))
"""The same, or it has one's name at another's endpoint: what a subquery can look for by key."""

CLOSE_EMPTY_LANES = delete(lanes).where(LIKE_LANE_OF_THESE, ~exists().where(IN_LANE, PENDING))
"""Forget the lanes of the deliveries `ids` in which nothing waits any more."""
