"""The journal's one transaction for all that a running relay writes in passing."""

from sqlalchemy import Connection

from relay.journal import retention
from relay.journal.encryption.columns import Bodies
from relay.journal.incoming import EndpointIds, Numbers, record
from relay.journal.outcomes import defer, settle, settle_receipts
from relay.model.journal import Batch, Committed


def commit(
    connection: Connection, batch: Batch, ids: EndpointIds, numbers: Numbers, bodies: Bodies
) -> Committed:
    """Write a batch, in the order of its fields."""
    for bot, frame in batch.frames:
        retention.keep_unreadable(connection, bot, frame, batch.now, bodies)
    recorded = record(connection, batch.arrivals, ids, numbers, bodies) if batch.arrivals else ()
    settled = settle(connection, batch.outcomes, ids, batch.now, bodies) if batch.outcomes else ()
    if batch.deferred:
        defer(connection, batch.deferred)
    receipts = [
        settle_receipts(connection, each.bot, each.confirmed, each.refused, batch.now)
        for each in batch.receipts
    ]
    for endpoint, note in batch.notes:
        retention.note_endpoint(connection, endpoint, note, bodies)
    return Committed(recorded, settled, receipts)
