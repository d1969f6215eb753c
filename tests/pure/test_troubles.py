"""What `relay endpoints list` says under its table, word for word."""

import pytest

from relay.admin.explain_sentences import NO_RELAY, troubles
from relay.model.admin import EndpointRecord
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey

CRM = EndpointKey("support", "crm")
NOW = 1_700_000_000.0
RESUME = "relay endpoints resume support/crm"
CLOSED = EndpointNote(BreakerState.CLOSED)


def told(note: EndpointNote, *, configured: bool = True, dead: int = 0, waited: float = 0) -> str:
    record = EndpointRecord(CRM, note, 1, NOW - waited, dead, configured=configured)
    return "\n".join(troubles([record], NOW, relayed=True))


def test_all_is_well() -> None:
    """There is nothing to say of an endpoint that takes what comes."""
    assert "" == told(CLOSED, waited=60)
    assert "" == told(EndpointNote(BreakerState.CLOSED, "http_5xx, status 500", NOW))
    assert "" == told(EndpointNote(BreakerState.CLOSED), waited=-5)


def test_no_relay_runs() -> None:
    """Without a relay nothing else matters, so it is said first."""
    record = EndpointRecord(CRM, CLOSED, 0, None, 0, configured=True)
    assert [NO_RELAY] == list(troubles([record], NOW, relayed=False))


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (
            EndpointNote(BreakerState.OPEN, "dns", NOW + 20),
            (
                "support/crm is down: it failed too often in a row (its circuit is open), and is "
                f"tried again in 20s. At once: {RESUME}"
            ),
        ),
        (
            EndpointNote(BreakerState.PROBING, "dns", NOW - 20),
            (
                "support/crm is down: it failed too often in a row (its circuit is open), and is "
                f"tried again now. At once: {RESUME}"
            ),
        ),
        (
            EndpointNote(BreakerState.PAUSED, next_probe_at=NOW + 5),
            f"support/crm is paused by an operator, and gets nothing until: {RESUME}",
        ),
        (
            EndpointNote(BreakerState.GONE, gone_since=NOW - 120),
            (
                "support/crm answers 410 since 2023-11-14T22:11:20Z (2m ago): it is gone, and gets "
                f"nothing until: {RESUME}"
            ),
        ),
        (
            EndpointNote(BreakerState.CLOSED, "http_429", NOW + 60),
            "support/crm asked to be left alone until 2023-11-14T22:14:20Z (in 1m) (Retry-After).",
        ),
    ],
)
def test_what_holds_an_endpoint(note: EndpointNote, line: str) -> None:
    """Why it gets nothing, until when, and what ends that."""
    assert line == told(note)


def test_one_conversation_that_is_late() -> None:
    """An endpoint that works may still have one message that it doesn't take."""
    assert (
        "support/crm works, but its oldest message has waited for 2m: "
        "relay messages list --endpoint support/crm --state failing"
    ) == told(CLOSED, waited=150)


def test_one_that_is_configured_no_more() -> None:
    """Whatever state it was left in, it gets nothing."""
    expected = "support/crm is in the settings no more, and gets nothing."
    assert expected == told(EndpointNote(BreakerState.OPEN), configured=False)


@pytest.mark.parametrize(("dead", "words"), [(1, "1 dead letter"), (2, "2 dead letters")])
def test_dead_letters(dead: int, words: str) -> None:
    """They wait for a decision, and the command that shows them is named."""
    line = f"support/crm has {words}: relay dead-letters list --endpoint support/crm"
    assert line == told(CLOSED, dead=dead)
