"""Outcomes for a caller that counts on a row of each lane with something unfinished."""

from dataclasses import replace

from relay.journal import lanes
from relay.journal.commit import commit
from relay.journal.connection import Connection
from relay.journal.incoming import Run
from relay.journal.parameters import is_in, numbers
from relay.model.journal import Batch, Settled
from relay.model.messages import Postponed

_GO_ON = f"""
  UPDATE lanes SET due_at = :now FROM (
    SELECT DISTINCT endpoint_id AS at, lane AS name FROM deliveries WHERE {is_in("id", "ids")}
  ) WHERE endpoint_id = at AND lane = name
"""
_THERE = f"SELECT id FROM deliveries WHERE {is_in('id', 'ids')}"


def settle(connection: Connection, batch: Batch, run: Run) -> list[Settled]:
    """Record outcomes, close the lanes that are empty, and let the others go on."""
    settled = commit(connection, batch, run).outcomes
    ended = [each.delivery.id for each in batch.outcomes if not isinstance(each, Postponed)]
    lanes.close_empty(connection, ended)
    connection.run(_GO_ON, ids=numbers(ended), now=batch.now)
    these = {(run.ids[each.delivery.endpoint], each.delivery.lane) for each in batch.outcomes}
    open_ = lanes.known(connection, these)
    there = set(connection.values(_THERE, ids=numbers(ended)))
    return [
        replace(
            answer,
            lane_continues=isinstance(each, Postponed)
            or each.delivery.id not in there
            or (run.ids[each.delivery.endpoint], each.delivery.lane) in open_,
        )
        for each, answer in zip(batch.outcomes, settled, strict=True)
    ]
