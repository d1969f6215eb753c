"""Takes new messages in: insert or ignore is the deduplication."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.journal import lanes
from relay.journal.counts import Tallies
from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Kind
from relay.journal.lanes import LaneKey
from relay.journal.rules import RECEIPTED, on_arrival
from relay.journal.statements import Connection
from relay.model.journal import Arrival, Duplicate, Fresh, Recorded
from relay.model.messages import Delivery, EndpointKey, MessageOutcome

EndpointIds = dict[EndpointKey, int]
Values = tuple[Any, ...]

_ADD_MESSAGES = """
  INSERT INTO messages (
    seq, bot, message_id, conversation_id, user_id, category, source, received_at, receipt,
    outcome, finished_at, size, frame, sealed_by, open, holding, ends_as
  ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (message_id, bot) DO NOTHING
"""
_ADDED = "SELECT seq FROM messages WHERE seq BETWEEN :first AND :last"
_KNOWN = "SELECT seq, receipt FROM messages WHERE message_id = :message_id AND bot = :bot"
_OWE_AGAIN = "UPDATE messages SET receipt = 'owed' WHERE seq = :seq"
ADD_DELIVERIES = """
  INSERT INTO deliveries (
    id, seq, endpoint_id, lane, required, replay, state, attempts, failures, rejections, doubtful
  ) VALUES (?, ?, ?, ?, ?, ?, 'pending', 0, 0, 0, FALSE)
"""
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM messages"
_LAST_LOOKED_AT = "SELECT coalesce(max(upto), 0) FROM replays"
_LAST_DELIVERY = "SELECT coalesce(max(id), 0) FROM deliveries"


@dataclass(slots=True)
class Run:
    """What a run knows: its cipher, endpoints' numbers, the last ones of messages and deliveries.

    One relay at a time gives out new numbers. Duplicates and a group that fails leave gaps: nothing
    depends on there being none.
    """

    cipher: ColumnCipher
    ids: EndpointIds
    message: int = 0
    delivery: int = 0

    @classmethod
    def read(cls, connection: Connection, cipher: ColumnCipher, ids: EndpointIds) -> "Run":
        """Go on from what is there."""
        # A replay must not take what comes for what had come when it was asked.
        last = max(connection.value(LAST_SEQ), connection.value(_LAST_LOOKED_AT))
        return cls(cipher, ids, last, connection.value(_LAST_DELIVERY))


@dataclass(slots=True)
class _Group:
    """The deliveries that a group of arrivals adds, and the lanes that have something to load."""

    run: Run
    waiting: set[LaneKey]
    deliveries: list[Values] = field(default_factory=list)
    to_load: list[tuple[int, str, float]] = field(default_factory=list)

    def add(self, seq: int, arrival: Arrival) -> Fresh:
        """Make deliveries of a message that is new."""
        made, leading = [], []
        message, run, number = arrival.message, self.run, self.run.delivery
        for owed in arrival.owed:
            number += 1
            lane = (run.ids[owed.endpoint], owed.lane)
            self.deliveries.append((number, seq, *lane, owed.required, None))
            if lane not in self.waiting:
                self.waiting.add(lane)
                leading.append(number)
            if not owed.in_window:
                self.to_load.append((*lane, message.received_at))
            made.append(
                Delivery(number, owed.endpoint, owed.lane, message, seq=seq, required=owed.required)
            )
        run.delivery = number
        _, receipt, outcome, _ = _standing(arrival)
        finished = None if outcome is None else MessageOutcome(outcome)
        return Fresh(tuple(made), frozenset(leading), receipt == "owed", finished, seq)


def take_in(
    connection: Connection, arrivals: Sequence[Arrival], run: Run, tallies: Tallies
) -> list[Recorded]:
    """Insert what is new with its deliveries, and owe again the receipts of what is known."""
    first = run.message + 1
    run.message += len(arrivals)
    added = _insert(connection, first, arrivals, run.cipher)
    group = _Group(run, lanes.known(connection, _lanes_of(arrivals, run.ids)))
    answers: list[Recorded] = []
    for seq, arrival in enumerate(arrivals, first):
        if seq not in added:
            answers.append(_repeat(connection, arrival))
            continue
        fresh = group.add(seq, arrival)
        answers.append(fresh)
        tallies.received[arrival.message.bot] += 1
        if fresh.finished is not None:
            tallies.finished[arrival.message.bot] += 1
    if group.deliveries:
        connection.many(ADD_DELIVERIES, group.deliveries)
    lanes.open_lanes(connection, group.to_load)
    return answers


def _insert(
    connection: Connection, first: int, arrivals: Sequence[Arrival], cipher: ColumnCipher
) -> Collection[int]:
    """Insert messages, numbered from `first`; answers with the numbers of those that are new."""
    rows = [_values(seq, arrival, cipher) for seq, arrival in enumerate(arrivals, first)]
    if connection.many(_ADD_MESSAGES, rows) == len(rows):
        return range(first, first + len(rows))
    return set(connection.values(_ADDED, first=first, last=first + len(rows)))


def _values(seq: int, arrival: Arrival, cipher: ColumnCipher) -> Values:
    message = arrival.message
    required, receipt, outcome, ends_as = _standing(arrival)
    frame, sealed_by = cipher.seal(Kind.FRAME, (message.bot, message.message_id), message.frame)
    return (
        seq,
        message.bot,
        message.message_id,
        message.conversation_id,
        message.user_id,
        message.category,
        message.source.value,
        message.received_at,
        receipt,
        outcome,
        outcome and message.received_at,
        len(message.frame),
        frame,
        sealed_by,
        len(arrival.owed),
        required,
        ends_as,
    )


def _standing(arrival: Arrival) -> tuple[int, str, str | None, str]:
    """Say how many deliveries READ waits for, and how the message stands."""
    required = 0
    for owed in arrival.owed:
        required += owed.required
    return required, *on_arrival(len(arrival.owed), required, arrival.unwanted_read)


def _lanes_of(arrivals: Sequence[Arrival], ids: EndpointIds) -> set[LaneKey]:
    return {(ids[owed.endpoint], owed.lane) for arrival in arrivals for owed in arrival.owed}


def _repeat(connection: Connection, arrival: Arrival) -> Duplicate:
    message = arrival.message
    seq, receipt = connection.row(_KNOWN, message_id=message.message_id, bot=message.bot)
    again = receipt in RECEIPTED
    if again:
        connection.run(_OWE_AGAIN, seq=seq)
    return Duplicate(receipt_owed=again, seq=seq)
