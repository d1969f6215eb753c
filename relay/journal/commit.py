"""The one transaction for all that a running relay writes in passing."""

from relay.journal import endpoints, lanes, unreadable
from relay.journal.connection import Connection
from relay.journal.counts import Tallies
from relay.journal.incoming import Run, take_in
from relay.journal.outcomes import defer, settle
from relay.journal.receipts import settle_receipts
from relay.model.journal import Batch, Committed


def commit(connection: Connection, batch: Batch, run: Run) -> Committed:
    """Write a batch, in the order of its fields."""
    ids, now, tallies = run.ids, batch.now, Tallies()
    lanes.close_whole(
        connection, [(ids[each.endpoint], each.lane, each.upto) for each in batch.whole]
    )
    lanes.make_again(connection, {ids[each] for each in batch.dropped}, now)
    for bot, frame in batch.frames:
        unreadable.keep(connection, bot, frame, now, run.cipher)
    recorded = take_in(connection, batch.arrivals, run, tallies) if batch.arrivals else []
    settled = settle(connection, batch.outcomes, run.cipher, now, tallies) if batch.outcomes else []
    if batch.deferred:
        defer(connection, batch.deferred)
    receipts = [settle_receipts(connection, each, now, tallies) for each in batch.receipts]
    for endpoint, note in batch.notes:
        endpoints.write_note(connection, endpoint, note, run.cipher)
    tallies.write(connection)
    return Committed(recorded, settled, receipts)
