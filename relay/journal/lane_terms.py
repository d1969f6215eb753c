"""What statements say of lanes: the deliveries of one endpoint that go one after the other."""

from sqlalchemy import func, select, tuple_

from relay.journal.many import among
from relay.journal.schema import PENDING, deliveries, lanes

IN_LANE = (deliveries.c.endpoint_id == lanes.c.endpoint_id) & (deliveries.c.lane == lanes.c.lane)

FIRST_IN_LANE = (
    select(func.min(deliveries.c.id)).where(IN_LANE, PENDING).correlate(lanes).scalar_subquery()
)
"""The delivery that goes next."""

LANE_OF_THESE = tuple_(lanes.c.endpoint_id, lanes.c.lane).in_(
    select(deliveries.c.endpoint_id, deliveries.c.lane).where(among(deliveries.c.id, "ids"))
)
"""The lane has one of the deliveries whose numbers are the parameter `ids`."""
