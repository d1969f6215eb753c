"""What marks a message READ, and what finishes it, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.journal.rules import finished, read_owed
from relay.model.messages import DeliveryState, MessageOutcome, ReceiptState

PENDING, DELIVERED, DEAD, DISCARDED, WAIVED = DeliveryState
NONE, OWED, CONFIRMED, REFUSED = ReceiptState
STATES = st.lists(st.sampled_from(DeliveryState), max_size=5)
RECEIPTS = st.sampled_from(ReceiptState)


@given(STATES)
def test_read_waits_for_every_required_delivery(required: list[DeliveryState]) -> None:
    """READ may be said exactly when each has been taken, or waived by an operator."""
    assert read_owed(required) is all(state in (DELIVERED, WAIVED) for state in required)


@pytest.mark.parametrize("state", [PENDING, DEAD, DISCARDED])
def test_one_that_is_not_taken_holds_read_back(state: DeliveryState) -> None:
    """However many others have taken the message."""
    assert not read_owed([DELIVERED, state, DELIVERED])


@given(STATES, STATES, RECEIPTS)
def test_nothing_finishes_while_a_delivery_is_under_way(
    required: list[DeliveryState], optional: list[DeliveryState], receipt: ReceiptState
) -> None:
    """Not even with a dead letter beside it, and not for an optional one either."""
    assert finished([*required, *optional, PENDING], required, receipt) is None


@given(STATES, STATES)
def test_nothing_that_may_be_read_finishes_before_its_receipt(
    required: list[DeliveryState], optional: list[DeliveryState]
) -> None:
    """As long as READ is owed, and nothing holds it back, the message is not finished."""
    if read_owed(required):
        assert finished([*required, *optional], required, OWED) is None


@pytest.mark.parametrize(
    ("required", "optional", "receipt", "outcome"),
    [
        ([], [], NONE, MessageOutcome.UNWANTED),
        ([], [], OWED, None),
        ([], [], CONFIRMED, MessageOutcome.UNWANTED),
        ([DELIVERED], [], OWED, None),
        ([DELIVERED], [], CONFIRMED, MessageOutcome.READ),
        ([DELIVERED], [], REFUSED, MessageOutcome.READ),
        ([DELIVERED], [PENDING], CONFIRMED, None),
        ([DELIVERED], [DEAD], CONFIRMED, MessageOutcome.READ),
        ([], [DEAD], CONFIRMED, MessageOutcome.READ),
        ([DELIVERED, DEAD], [], NONE, MessageOutcome.DEAD),
        ([DELIVERED, DISCARDED], [], NONE, MessageOutcome.DISCARDED),
        ([DEAD, DISCARDED], [], NONE, MessageOutcome.DEAD),
        ([DELIVERED, WAIVED], [], OWED, None),
        ([DELIVERED, WAIVED], [], CONFIRMED, MessageOutcome.DISCARDED),
        ([DEAD, WAIVED], [], NONE, MessageOutcome.DEAD),
    ],
)
def test_how_a_message_finishes(
    required: list[DeliveryState],
    optional: list[DeliveryState],
    receipt: ReceiptState,
    outcome: MessageOutcome | None,
) -> None:
    """Each state of affairs has one outcome, or none yet."""
    assert outcome is finished([*required, *optional], required, receipt)


@given(STATES, STATES, RECEIPTS)
def test_a_message_is_read_only_if_all_has_been_taken(
    required: list[DeliveryState], optional: list[DeliveryState], receipt: ReceiptState
) -> None:
    """No outcome says READ while a required endpoint has not taken the message."""
    if finished([*required, *optional], required, receipt) is MessageOutcome.READ:
        assert set(required) <= {DELIVERED}
