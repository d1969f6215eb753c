"""A message's timeline."""

from dataclasses import replace

import pytest

from relay.commands.messages import timeline
from relay.model.admin import AttemptRecord, DeliveryRecord, MessageHistory, MessageSummary
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)

CRM = EndpointKey("support", "crm")
SUMMARY = MessageSummary(
    "support", "id", "c", "u", "PLAIN_TEXT", Source.PENDING, 10.0, None, None, ReceiptState.NONE
)
TIMEOUT = AttemptRecord(1, 11.0, 15.0, AttemptOutcome.TRANSIENT, None, Reason.TIMEOUT, "")
TAKEN = AttemptRecord(2, 30.0, 0.02, AttemptOutcome.SUCCESS, 200, None, "")
PENDING = DeliveryRecord(
    CRM,
    required=True,
    state=DeliveryState.PENDING,
    attempts=(TIMEOUT,),
    due_at=29.0,
    waits=False,
    doubtful=True,
    ended_at=None,
    ended_reason=None,
)


def _told(summary: MessageSummary, *deliveries: DeliveryRecord) -> list[tuple[float | None, str]]:
    history = MessageHistory(summary, deliveries, 32.0, b"{}")
    return [(event.at, event.what) for event in timeline(history)]


def test_what_comes_next_is_last() -> None:
    """A pending delivery tells its attempts, and when the next one is due."""
    assert [
        (10.0, "received (pending)"),
        (11.0, "attempt 1: transient (timeout) after 15.0s"),
        (29.0, "attempt 2 is due; an earlier one may have been taken"),
    ] == _told(SUMMARY, PENDING)


def test_a_delivery_that_waits() -> None:
    """One that waits for an earlier message of its conversation has no time yet."""
    waiting = replace(PENDING, attempts=(), waits=True, due_at=None, doubtful=False)
    assert (None, "waits for an earlier message of its conversation") == _told(SUMMARY, waiting)[-1]


@pytest.mark.parametrize("circuit", [BreakerState.PAUSED, BreakerState.GONE])
def test_a_delivery_whose_endpoint_stands_still(circuit: BreakerState) -> None:
    """Nothing is due at an endpoint that is paused or gone, whatever the lane's time is."""
    what = f"attempt 2 waits: its endpoint is {circuit} until it is resumed"
    still = replace(PENDING, circuit=circuit, doubtful=False)
    assert (None, what) == _told(SUMMARY, still)[-1]


def test_a_delivery_behind_an_open_gate() -> None:
    """What is due at an endpoint in trouble waits for a probe."""
    probed = replace(PENDING, circuit=BreakerState.OPEN, doubtful=False)
    what = "attempt 2 is due, when a probe of its endpoint is"
    assert (29.0, what) == _told(SUMMARY, probed)[-1]


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (DeliveryState.DEAD, "dead: timeout"),
        (DeliveryState.DISCARDED, "dead: timeout; discarded by an operator since, unread"),
        (DeliveryState.WAIVED, "dead: timeout; discarded by an operator since, to be marked READ"),
    ],
)
def test_how_a_dead_letter_fares(state: DeliveryState, what: str) -> None:
    """A dead letter's end keeps its time and its reason, whatever an operator decides later."""
    ended = replace(PENDING, state=state, due_at=None, ended_at=40.0, ended_reason="timeout")
    assert (40.0, what) == _told(SUMMARY, ended)[-1]


def test_a_happy_end() -> None:
    """The 2xx, the receipt and the end are told in their order."""
    summary = replace(
        SUMMARY,
        outcome=MessageOutcome.READ,
        finished_at=32.0,
        receipt=ReceiptState.CONFIRMED,
    )
    taken = replace(
        PENDING, state=DeliveryState.DELIVERED, attempts=(TIMEOUT, TAKEN), ended_at=31.0
    )
    assert [
        (10.0, "received (pending)"),
        (11.0, "attempt 1: transient (timeout) after 15.0s"),
        (30.0, "attempt 2: success 200 after 20ms"),
        (31.0, "delivered"),
        (32.0, "marked READ"),
        (32.0, "finished: read"),
    ] == _told(summary, taken)


@pytest.mark.parametrize(
    ("receipt", "event"),
    [
        (ReceiptState.OWED, (None, "READ is to be said to Mixin")),
        (ReceiptState.CONFIRMED, (32.0, "marked READ")),
        (ReceiptState.REFUSED, (32.0, "READ was refused by Mixin for good")),
    ],
)
def test_receipts(receipt: ReceiptState, event: tuple[float | None, str]) -> None:
    """Where the READ stands is told."""
    assert event == _told(replace(SUMMARY, receipt=receipt))[-1]
