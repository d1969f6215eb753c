"""What marks a message READ, and what finishes it: the rules in SQL, as a table and at random."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.journal.counts import count_anew
from relay.journal.incoming import ADD_DELIVERIES
from relay.journal.rules import on_arrival
from relay.journal.statements import Connection
from relay.model.messages import DeliveryState, MessageOutcome, ReceiptState
from tests.journal.inline import InlineMemory, at_once, open_in_memory
from tests.journal.model.rules import finished, read_owed
from tests.journal.samples import CRM, NOW

PENDING, DELIVERED, DEAD, DISCARDED, WAIVED = DeliveryState
NONE, OWED, CONFIRMED, REFUSED = ReceiptState
STATES = st.lists(st.sampled_from(DeliveryState), max_size=5)
ANSWERED = st.sampled_from([NONE, CONFIRMED, REFUSED])

Judgement = tuple[ReceiptState, MessageOutcome | None]

_MESSAGE = """
  INSERT INTO messages (seq, bot, message_id, conversation_id, user_id, category, source,
    received_at, receipt, size, frame)
  VALUES (1, 'bot', 'm', 'c', 'u', 'PLAIN_TEXT', 'live', 0, :receipt, 0, x'')
"""


@pytest.fixture(scope="module")
def database() -> Iterator[InlineMemory]:
    """Open a journal with an endpoint, and nothing else in it."""
    database, opened = open_in_memory()
    at_once(opened.journal.start([CRM], NOW))
    yield database
    database.dispose()


def judge(
    database: InlineMemory,
    required: Sequence[DeliveryState],
    optional: Sequence[DeliveryState],
    receipt: ReceiptState,
) -> Judgement:
    """Let the journal judge a message with such deliveries."""

    def stage(connection: Connection) -> Judgement:
        connection.run("DELETE FROM deliveries")
        connection.run("DELETE FROM messages")
        connection.run(_MESSAGE, receipt=receipt.value)
        states = [*((state, True) for state in required), *((state, False) for state in optional)]
        for number, (state, holds) in enumerate(states, start=1):
            connection.many(ADD_DELIVERIES, [(number, 1, 1, "c", holds, None)])
            connection.run("UPDATE deliveries SET state = :s WHERE id = :n", s=state, n=number)
        count_anew(connection, {1}, 0.0)
        row = connection.row("SELECT receipt, outcome FROM messages")
        return ReceiptState(row.receipt), row.outcome and MessageOutcome(row.outcome)

    return at_once(database.write(stage))


@pytest.mark.parametrize(
    ("required", "optional", "receipt", "judgement"),
    [
        ([PENDING], [], NONE, (NONE, None)),
        ([DELIVERED], [], NONE, (OWED, None)),
        ([DELIVERED], [], CONFIRMED, (CONFIRMED, MessageOutcome.READ)),
        ([DELIVERED], [], REFUSED, (REFUSED, MessageOutcome.READ)),
        ([DELIVERED, PENDING], [], NONE, (NONE, None)),
        ([DELIVERED], [PENDING], NONE, (OWED, None)),
        ([DELIVERED], [PENDING], CONFIRMED, (CONFIRMED, None)),
        ([DELIVERED], [DEAD], CONFIRMED, (CONFIRMED, MessageOutcome.READ)),
        ([], [DEAD], CONFIRMED, (CONFIRMED, MessageOutcome.READ)),
        ([DELIVERED, DEAD], [], NONE, (NONE, MessageOutcome.DEAD)),
        ([DELIVERED, DISCARDED], [], NONE, (NONE, MessageOutcome.DISCARDED)),
        ([DEAD, DISCARDED], [], NONE, (NONE, MessageOutcome.DEAD)),
        ([DEAD, PENDING], [], NONE, (NONE, None)),
        ([DELIVERED, WAIVED], [], NONE, (OWED, None)),
        ([DELIVERED, WAIVED], [], CONFIRMED, (CONFIRMED, MessageOutcome.DISCARDED)),
        ([DEAD, WAIVED], [], NONE, (NONE, MessageOutcome.DEAD)),
    ],
)
def test_how_a_message_stands(
    database: InlineMemory,
    required: list[DeliveryState],
    optional: list[DeliveryState],
    receipt: ReceiptState,
    judgement: Judgement,
) -> None:
    """READ is owed once all that is required was taken or waived; all ended makes an outcome."""
    assert judgement == judge(database, required, optional, receipt)


@given(STATES, STATES, ANSWERED)
def test_the_rules_are_those_of_the_model(
    database: InlineMemory,
    required: list[DeliveryState],
    optional: list[DeliveryState],
    receipt: ReceiptState,
) -> None:
    """Whatever has become of its deliveries, a message stands as plain functions of them say."""
    if required or optional:
        now = OWED if receipt is NONE and read_owed(required) else receipt
        expected = now, finished([*required, *optional], required, now)
        assert expected == judge(database, required, optional, receipt)


@pytest.mark.parametrize(
    ("owed", "required", "unwanted_read", "stands"),
    [
        (2, 1, True, ("none", None, "read")),
        (2, 0, True, ("owed", None, "read")),
        (1, 0, False, ("owed", None, "read")),
        (0, 0, True, ("owed", None, "unwanted")),
        (0, 0, False, ("none", "unwanted", "unwanted")),
    ],
)
def test_how_a_message_arrives(
    owed: int, required: int, *, unwanted_read: bool, stands: tuple[str, str | None, str]
) -> None:
    """What nobody requires is owed READ at once; what nobody wants, if the settings say so."""
    assert stands == on_arrival(owed=owed, required=required, unwanted_read=unwanted_read)
