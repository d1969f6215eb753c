"""What goes again, told apart from any journal."""

import pytest

from relay.model.messages import DeliveryState, EndpointKey
from relay.model.replays import PriorDelivery, ReplayOrder, Survey

ORDER = ReplayOrder(EndpointKey("bot", "crm"), 100.0, 200.0)
LOST = PriorDelivery(DeliveryState.DELIVERED, 150.0, again=False)


@pytest.mark.parametrize(
    ("received_at", "made", "goes"),
    [
        (100.0, [], True),
        (200.0, [], True),
        (99.9, [], False),
        (200.1, [], False),
        (1.0, [LOST], True),
        (300.0, [LOST], True),
        (1.0, [PriorDelivery(DeliveryState.DELIVERED, 99.0, again=False)], False),
        (1.0, [PriorDelivery(DeliveryState.DELIVERED, 99.0, again=False), LOST], True),
        (150.0, [PriorDelivery(DeliveryState.PENDING, None, again=False)], False),
        (150.0, [PriorDelivery(DeliveryState.DEAD, 150.0, again=False)], False),
        (150.0, [PriorDelivery(DeliveryState.DISCARDED, 150.0, again=False)], False),
        (150.0, [PriorDelivery(DeliveryState.WAIVED, 150.0, again=False)], False),
        (150.0, [LOST, PriorDelivery(DeliveryState.PENDING, None, again=True)], False),
        (150.0, [LOST, PriorDelivery(DeliveryState.DEAD, 150.0, again=True)], False),
        (150.0, [LOST, PriorDelivery(DeliveryState.DISCARDED, 150.0, again=True)], True),
        (1.0, [PriorDelivery(DeliveryState.DISCARDED, 150.0, again=True)], False),
    ],
)
def test_what_goes(received_at: float, made: list[PriorDelivery], *, goes: bool) -> None:
    """What came or was delivered in that time, unless it is still owed or was given up."""
    assert goes is ORDER.covers(received_at, made)


def test_without_an_end() -> None:
    """All that came since."""
    assert ReplayOrder(ORDER.endpoint, 100.0).covers(1e12, [])


def test_a_survey_is_whole_at_its_end() -> None:
    """And not before it knows where that is."""
    assert [False, False, True] == [
        Survey().whole,
        Survey(position=4, upto=5).whole,
        Survey(position=5, upto=5).whole,
    ]
