"""What `relay explain` says, word for word, in each case."""

from dataclasses import replace
from typing import Any

import pytest

from relay.admin.explain import Circumstances, Explanation, explain, unknown
from relay.admin.explain_sentences import NO_RELAY
from relay.delivery.routing import Route
from relay.model.admin import (
    Ahead,
    AttemptRecord,
    DeliveryRecord,
    EndpointRecord,
    MessageHistory,
    MessageSummary,
)
from relay.model.journal import EndpointNote
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
from relay.model.replays import ReplayRecord

CRM = EndpointKey("support", "crm")
LOG = EndpointKey("support", "log")
ID = "5f3b1c9a-0e4b-4a53-9d4e-0c1d2e3f4a5b"
EARLIER = "00000000-0000-4000-8000-000000000001"
CAME = 1_700_000_000.0
NOW = CAME + 600
DAY = 86_400.0

IT_CAME = "It came 2023-11-14T22:13:20Z (10m ago), as it was written (PLAIN_TEXT)."
OWED = "It is owed to support/crm."
FAILED_ONCE = (
    "support/crm did not take it: 1 attempt failed 2023-11-14T22:13:21Z (9m ago) with http_5xx "
    "(status 500)."
)
READ_AFTER = "It is marked READ once support/crm has taken it."
RESUME = "relay endpoints resume support/crm"


def attempt(number: int = 1, **changes: Any) -> AttemptRecord:
    failed = AttemptRecord(
        number, CAME + number, 0.25, AttemptOutcome.TRANSIENT, 500, Reason.HTTP_5XX, "secret words"
    )
    return replace(failed, **changes)


def taken(number: int = 1) -> AttemptRecord:
    return attempt(number, outcome=AttemptOutcome.SUCCESS, status=204, reason=None, detail="")


def delivery(endpoint: EndpointKey = CRM, *attempts: AttemptRecord, **changes: Any) -> Any:
    pending = DeliveryRecord(
        endpoint,
        required=True,
        state=DeliveryState.PENDING,
        attempts=attempts,
        due_at=CAME,
        waits=False,
        doubtful=False,
        ended_at=None,
        ended_reason=None,
    )
    return replace(pending, **changes)


def ended(state: DeliveryState, *attempts: AttemptRecord, **changes: Any) -> Any:
    reason = "http_4xx" if state is not DeliveryState.DELIVERED else None
    end = {"state": state, "due_at": None, "ended_at": CAME + 60, "ended_reason": reason}
    return delivery(changes.pop("endpoint", CRM), *attempts, **(end | changes))


def dead(**changes: Any) -> Any:
    refused = attempt(2, outcome=AttemptOutcome.REJECTED, status=422, reason=Reason.HTTP_4XX)
    return ended(DeliveryState.DEAD, attempt(1), refused, **changes)


def history(*deliveries: DeliveryRecord, receipt_at: float | None = None, **changes: Any) -> Any:
    summary = MessageSummary(
        "support",
        ID,
        "c",
        "u",
        "PLAIN_TEXT",
        Source.LIVE,
        CAME,
        outcome=None,
        finished_at=None,
        receipt=ReceiptState.NONE,
    )
    return MessageHistory(replace(summary, **changes), deliveries, receipt_at, frame=b"")


def around(
    state: BreakerState = BreakerState.CLOSED,
    *,
    error: str | None = None,
    next_at: float | None = None,
    gone_since: float | None = None,
    configured: bool = True,
    pending: int = 1,
    **more: Any,
) -> Circumstances:
    note = EndpointNote(state, error, next_at, gone_since)
    record = EndpointRecord(CRM, note, pending, CAME, 0, configured)
    usual: dict[str, Any] = {"routes": [Route(CRM)], "retention": 8 * DAY}
    return Circumstances({CRM: record}, **(usual | more))


def told(of: MessageHistory, facts: Circumstances | None = None) -> Explanation:
    return explain(of, facts or around(), NOW)


def check(explanation: Explanation, **expected: list[str]) -> None:
    """Hold an explanation to what is expected of it, whole."""
    parts = ("happened", "waits_for", "next", "commands")
    found = {part: list(getattr(explanation, part)) for part in parts}
    assert {key: [] for key in parts} | expected == found


# --- What it waits for ----------------------------------------------------------------------------


def test_its_turn() -> None:
    """A new message waits for nothing but room."""
    check(
        told(history(delivery()), around(pending=7)),
        happened=[IT_CAME, OWED, "support/crm was not attempted yet."],
        waits_for=[
            (
                "support/crm: its turn among 7 pending; nothing holds it back, or its request is "
                "under way."
            )
        ],
        next=[
            "support/crm: attempt 1 is made at once when a relay runs and there is room.",
            READ_AFTER,
        ],
    )


def test_its_retry() -> None:
    """After a failure the next attempt has its time, and the receiver's words are left out."""
    explanation = told(history(delivery(CRM, attempt(), due_at=NOW + 300)))
    check(
        explanation,
        happened=[IT_CAME, OWED, FAILED_ONCE],
        waits_for=["support/crm: the wait before its next attempt."],
        next=["support/crm: attempt 2 is due 2023-11-14T22:28:20Z (in 5m).", READ_AFTER],
    )
    assert "secret words" not in str(explanation)


def test_several_failures_and_a_doubt() -> None:
    """The last of several attempts is told, with our own words for it; a doubt is explained."""
    broken = attempt(3, status=None, reason=Reason.TIMEOUT, detail="no answer in 15 s")
    explanation = told(
        history(delivery(CRM, attempt(1), attempt(2), broken, due_at=NOW + 1, doubtful=True))
    )
    assert (
        IT_CAME,
        OWED,
        (
            "support/crm did not take it: 3 attempts failed, the last 2023-11-14T22:13:23Z "
            "(9m ago) with timeout (no answer in 15 s)."
        ),
        (
            "support/crm may have taken it all the same: the answer to an attempt never came, so "
            "the next one says relay-prior-outcome: unknown."
        ),
    ) == explanation.happened


def test_an_earlier_message() -> None:
    """The message in front is named, with what that one waits for and how to ask about it."""
    leader = delivery(CRM, attempt(), due_at=NOW + 20)
    waits = delivery(due_at=None, waits=True, ahead=Ahead(EARLIER, 3))
    check(
        told(history(waits), around(leaders={CRM: leader})),
        happened=[IT_CAME, OWED, "support/crm was not attempted yet."],
        waits_for=[
            (
                f"support/crm: the earlier message {EARLIER} of its conversation goes first, the "
                "first of 3 that go before it."
            )
        ],
        next=[
            (
                "support/crm: its turn comes when that one is taken or becomes a dead letter. That "
                "one's attempt 2 is due 2023-11-14T22:23:40Z (in 20s). It failed with http_5xx "
                "(status 500)."
            ),
            READ_AFTER,
        ],
        commands=[f"relay explain {EARLIER}"],
    )


@pytest.mark.parametrize(
    ("leaders", "then"),
    [
        ({CRM: delivery()}, " That one's attempt 1 is due."),
        ({}, ""),
    ],
)
def test_an_earlier_message_that_is_due(
    leaders: dict[EndpointKey, DeliveryRecord], then: str
) -> None:
    """One that is due itself, or is gone meanwhile, has no time to name."""
    waits = delivery(due_at=None, waits=True, ahead=Ahead(EARLIER, 1))
    explanation = told(history(waits), around(leaders=leaders))
    its = f"support/crm: the earlier message {EARLIER} of its conversation goes first."
    assert (its,) == explanation.waits_for
    end = "its turn comes when that one is taken or becomes a dead letter."
    assert f"support/crm: {end}{then}" == explanation.next[0]


def test_a_lane_that_moved_on_meanwhile() -> None:
    """Where nothing is known of the message in front, it is said without a name."""
    explanation = told(history(delivery(due_at=None, waits=True)))
    assert ("support/crm: an earlier message of its conversation goes first.",) == (
        explanation.waits_for
    )


def test_the_next_probe_of_an_open_gate() -> None:
    """An open circuit says why, and when a probe decides; an operator can poke it."""
    waits = delivery(CRM, attempt(), circuit=BreakerState.OPEN, due_at=NOW + 30)
    check(
        told(
            history(waits),
            around(BreakerState.OPEN, error="http_5xx, status 500", next_at=NOW + 30),
        ),
        happened=[IT_CAME, OWED, FAILED_ONCE],
        waits_for=[
            (
                "support/crm failed too often in a row, so it is only probed: its circuit is open "
                "(last error: http_5xx, status 500)."
            ),
            "support/crm: the wait before its next attempt.",
        ],
        next=[
            (
                "support/crm: a single probe, with the oldest delivery that is due, is made "
                "2023-11-14T22:23:50Z (in 30s); once one succeeds, everything goes on."
            ),
            "support/crm: attempt 2 is due 2023-11-14T22:23:50Z (in 30s).",
            READ_AFTER,
        ],
        commands=[RESUME],
    )


def test_that_no_relay_runs() -> None:
    """Without a relay nothing is sent: said first, also where only READ is owed."""
    explanation = told(history(delivery()), Circumstances(relayed=False))
    assert NO_RELAY == explanation.waits_for[0]
    assert "Nothing of what follows, before a relay is started." == explanation.next[0]
    owed = told(
        history(ended(DeliveryState.DELIVERED), receipt=ReceiptState.OWED),
        Circumstances(relayed=False),
    )
    assert NO_RELAY == owed.waits_for[0]
    over = told(history(ended(DeliveryState.DEAD)), Circumstances(relayed=False))
    assert () == over.waits_for


def test_a_probe_that_is_due() -> None:
    """A probe whose time has come is made now."""
    waits = delivery(circuit=BreakerState.OPEN)
    explanation = told(history(waits), around(BreakerState.OPEN, next_at=NOW - 1))
    assert "is made now; once one succeeds" in explanation.next[0]


def test_a_paused_endpoint() -> None:
    """Nothing happens until an operator resumes it, whatever else the message waits for."""
    waits = delivery(circuit=BreakerState.PAUSED, waits=True, due_at=None, ahead=Ahead(EARLIER, 1))
    check(
        told(history(waits), around(BreakerState.PAUSED)),
        happened=[IT_CAME, OWED, "support/crm was not attempted yet."],
        waits_for=[
            "support/crm is paused by an operator, and keeps everything.",
            f"support/crm: the earlier message {EARLIER} of its conversation goes first.",
        ],
        next=["support/crm: nothing, until an operator resumes it.", READ_AFTER],
        commands=[RESUME],
    )


def test_a_gone_endpoint() -> None:
    """One that answers 410 is left alone, and everything is kept."""
    explanation = told(
        history(delivery(circuit=BreakerState.GONE)), around(BreakerState.GONE, gone_since=CAME)
    )
    assert (
        (
            "support/crm is gone: it answers 410 since 2023-11-14T22:13:20Z (10m ago). "
            "Everything is kept."
        ),
    ) == explanation.waits_for
    assert "support/crm: nothing, until an operator resumes it." == explanation.next[0]
    assert (RESUME,) == explanation.commands


def test_a_busy_receiver() -> None:
    """Retry-After holds the whole endpoint, also what was never attempted."""
    facts = around(error="http_503, status 503", next_at=NOW + 120)
    check(
        told(history(delivery()), facts),
        happened=[IT_CAME, OWED, "support/crm was not attempted yet."],
        waits_for=[
            (
                "support/crm asked to be left alone until 2023-11-14T22:25:20Z (in 2m) "
                "(Retry-After) (last error: http_503, status 503)."
            )
        ],
        next=["support/crm is attempted again then.", READ_AFTER],
    )


def test_a_receiver_that_was_busy_once() -> None:
    """A Retry-After that is over holds nothing."""
    explanation = told(history(delivery()), around(next_at=NOW))
    assert "its turn; nothing holds it back" in explanation.waits_for[0]


def test_an_endpoint_that_is_configured_no_more() -> None:
    """What is owed to it waits until it is back in the settings."""
    explanation = told(history(delivery()), around(configured=False))
    assert ("support/crm is in the settings no more, so nothing is attempted there.",) == (
        explanation.waits_for
    )
    assert "support/crm: nothing, until it is configured again." == explanation.next[0]


@pytest.mark.parametrize(
    ("trouble", "why"), [("", "."), ("status 500", ", which fails: status 500.")]
)
def test_a_receipt(trouble: str, why: str) -> None:
    """When everybody has taken it, READ is owed; why it fails is told if it is known."""
    owed = history(ended(DeliveryState.DELIVERED, taken()), receipt=ReceiptState.OWED)
    check(
        told(owed, around(receipt_trouble=trouble)),
        happened=[
            IT_CAME,
            OWED,
            "support/crm took it 2023-11-14T22:14:20Z (9m ago) (status 204).",
        ],
        waits_for=[f"Mixin's answer to READ{why}"],
        next=["READ is sent to Mixin, again and again with growing waits, until Mixin takes it."],
    )


# --- How it ended ---------------------------------------------------------------------------------


def test_a_message_that_is_read() -> None:
    """A finished one says when and how, and when it is forgotten."""
    done = history(
        ended(DeliveryState.DELIVERED, attempt(1), taken(2)),
        receipt=ReceiptState.CONFIRMED,
        receipt_at=CAME + 61,
        outcome=MessageOutcome.READ,
        finished_at=CAME + 61,
    )
    check(
        told(done),
        happened=[
            IT_CAME,
            OWED,
            "support/crm took it 2023-11-14T22:14:20Z (9m ago), at attempt 2 (status 204).",
            "Mixin has it as READ since 2023-11-14T22:14:21Z (8m ago).",
            "It was finished as read 2023-11-14T22:14:21Z (8m ago).",
        ],
        next=["Nothing: it is finished, and the journal forgets it 2023-11-22T22:14:21Z (in 7d)."],
    )


def test_a_read_that_was_refused() -> None:
    """A READ that Mixin never takes is told as such."""
    done = history(
        ended(DeliveryState.DELIVERED, taken()),
        receipt=ReceiptState.REFUSED,
        receipt_at=CAME + 61,
        outcome=MessageOutcome.READ,
        finished_at=CAME + 61,
    )
    assert (
        "Mixin refused READ for good 2023-11-14T22:14:21Z (8m ago): it knows the message no more, "
        "or not as ours."
    ) in told(done).happened


def test_a_dead_letter() -> None:
    """It says why, that READ is held back, and the two commands that help."""
    done = history(dead(), outcome=MessageOutcome.DEAD, finished_at=CAME + 60)
    check(
        told(done),
        happened=[
            IT_CAME,
            OWED,
            (
                "support/crm did not take it; a dead letter since 2023-11-14T22:14:20Z (9m ago): "
                "http_4xx (status 422), after 2 attempts."
            ),
            "It was finished as dead 2023-11-14T22:14:20Z (9m ago).",
        ],
        next=["It stays unread until an operator decides about the dead letter of support/crm."],
        commands=[
            f"relay dead-letters retry {ID} --endpoint support/crm",
            f"relay dead-letters discard {ID} --endpoint support/crm --yes",
        ],
    )


def test_a_dead_letter_of_an_endpoint_that_was_removed() -> None:
    """It revives by itself, and a retry is of no use."""
    gone = ended(DeliveryState.DEAD, ended_reason="removed")
    explanation = told(history(gone, outcome=MessageOutcome.DEAD, finished_at=CAME + 60))
    assert "its endpoint is in the settings no more (removed)." in explanation.happened[2]
    end = "The dead letter revives by itself when the settings have support/crm again."
    assert end == explanation.next[-1]
    assert (f"relay dead-letters discard {ID} --endpoint support/crm --yes",) == (
        explanation.commands
    )


def test_an_optional_dead_letter() -> None:
    """It does not hold READ back, and is kept all the same."""
    done = history(
        ended(DeliveryState.DELIVERED, taken()),
        dead(endpoint=LOG, required=False),
        receipt=ReceiptState.CONFIRMED,
        receipt_at=CAME + 61,
        outcome=MessageOutcome.READ,
        finished_at=CAME + 61,
    )
    explanation = told(done)
    assert "It is owed to support/crm and support/log (optional)." == explanation.happened[1]
    kept = "The dead letter of support/log (optional) is kept until an operator decides."
    assert (kept,) == explanation.next


@pytest.mark.parametrize(
    ("state", "words", "then"),
    [
        (
            DeliveryState.DISCARDED,
            "it stays unread",
            "It is never marked READ: an operator discarded what was owed to support/crm.",
        ),
        (
            DeliveryState.WAIVED,
            "it no longer holds READ back",
            "Nothing: it is finished, and the journal forgets it 2023-11-22T22:14:20Z (in 7d).",
        ),
    ],
)
def test_what_an_operator_discarded(state: DeliveryState, words: str, then: str) -> None:
    """An operator's decision is told, and what it means for READ."""
    given_up = ended(state, attempt())
    explanation = told(history(given_up, outcome=MessageOutcome.DISCARDED, finished_at=CAME + 60))
    assert (
        "support/crm: its delivery died 2023-11-14T22:14:20Z (9m ago) (http_5xx (status 500), "
        f"after 1 attempt); an operator discarded it since, and {words}."
    ) == explanation.happened[2]
    assert then == explanation.next[0]
    assert () == explanation.commands


def test_one_dead_and_one_on_its_way() -> None:
    """Each delivery is told for itself, and the dead one holds READ back."""
    explanation = told(history(dead(endpoint=LOG), delivery(CRM, attempt(), due_at=NOW + 300)))
    held = "It stays unread until an operator decides about the dead letter of support/log."
    assert held == explanation.next[-1]
    assert "support/crm: attempt 2 is due 2023-11-14T22:28:20Z (in 5m)." == explanation.next[0]


# --- To whom it is owed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (
            Route(LOG, categories=("PLAIN_POST", "SYSTEM_*")),
            "PLAIN_TEXT is none of its categories (PLAIN_POST, SYSTEM_*).",
        ),
        (Route(LOG, conversations=frozenset({"d"})), "its filter leaves the conversation out."),
        (Route(LOG, users=frozenset({"v"})), "its filter leaves the user u out."),
    ],
)
def test_a_filter(route: Route, why: str) -> None:
    """An endpoint whose filter excludes the message says by which."""
    explanation = told(history(delivery()), around(routes=[Route(CRM), route]))
    assert f"support/log is not owed it: {why}" == explanation.happened[2]


def test_an_endpoint_that_came_later() -> None:
    """One whose filter would let it through was configured after it came."""
    explanation = told(history(delivery()), around(routes=[Route(CRM), Route(LOG)]))
    assert (
        "support/log is not owed it, although its filter would let it through: the endpoint or "
        "the filter came into the settings after the message."
    ) == explanation.happened[2]


def test_a_bot_that_is_configured_no_more() -> None:
    """Without the bot nothing can be said of filters."""
    explanation = told(history(delivery()), around(routes=None))
    assert "The settings have no bot support any more." == explanation.happened[2]


@pytest.mark.parametrize(
    ("receipt", "end"),
    [
        (ReceiptState.CONFIRMED, "."),
        (
            ReceiptState.NONE,
            ". It is left unread at Mixin: nobody wants it (unwanted: leave).",
        ),
    ],
)
def test_a_message_that_nobody_wants(receipt: ReceiptState, end: str) -> None:
    """It is owed to nobody, and READ or left, as the settings say."""
    unwanted = history(
        outcome=MessageOutcome.UNWANTED, finished_at=CAME, receipt=receipt, receipt_at=CAME
    )
    explanation = told(unwanted, around(routes=[Route(CRM, categories=("PLAIN_POST",))]))
    assert (
        "It is owed to nobody.",
        "support/crm is not owed it: PLAIN_TEXT is none of its categories (PLAIN_POST).",
    ) == explanation.happened[1:3]
    forgotten = "Nothing: it is finished, and the journal forgets it 2023-11-22T22:13:20Z (in 7d)"
    assert (f"{forgotten}{end}",) == explanation.next


def test_a_message_that_cannot_be_opened() -> None:
    """A damaged copy is told before anything else."""
    damaged = replace(history(delivery()), damage="its copy in the journal can't be opened: x")
    second = told(damaged).happened[1]
    assert "It can't be posted: its copy in the journal can't be opened: x." == second


def test_a_message_that_came_with_the_backlog() -> None:
    """How it came is told, and a push without a category has none."""
    came = told(history(delivery(), source=Source.PENDING, category="")).happened[0]
    assert (
        "It came 2023-11-14T22:13:20Z (10m ago), from Mixin's backlog: it was written before the "
        "socket was up (no category)."
    ) == came


def test_an_unknown_message() -> None:
    """Why the journal may not know an id."""
    assert (
        f"the journal knows no message {ID}: either it never came (what is unread Mixin pushes "
        "again for 7 days, at each connect), or it was finished more than 8d ago and forgotten, "
        "or the id is another thing's"
    ) == unknown(ID, 8 * DAY)


# --- Replays --------------------------------------------------------------------------------------

TOOK_IT = "support/crm took it 2023-11-14T22:14:20Z (9m ago) (status 204)."
AGAIN = (
    "It is sent again to support/crm, by replay 3: an operator asked 2023-11-14T22:22:20Z (1m ago) "
    "for what came or was delivered from 2023-11-14T22:12:20Z (11m ago) on."
)
READ = "Mixin has it as READ since 2023-11-14T22:14:21Z (8m ago)."
FINISHED = "It was finished as read 2023-11-14T22:14:21Z (8m ago)."
KEPT = (
    "READ does not depend on support/crm (replay 3). It is finished, and kept until that has ended."
)
CANCEL = ["relay replays list", "relay replays cancel 3"]


def replay(**changes: Any) -> ReplayRecord:
    asked = ReplayRecord(3, CRM, CAME - 60, None, CAME + 540, None, False, 1.0, 9, 5, 4, 0)  # noqa: FBT003 - in the order of the record
    return replace(asked, **changes)


def again(*deliveries: DeliveryRecord) -> MessageHistory:
    """Make a message that was READ long ago, and is part of a replay."""
    first = ended(DeliveryState.DELIVERED, taken())
    finished: MessageHistory = history(
        first,
        *deliveries,
        receipt_at=CAME + 61,
        outcome=MessageOutcome.READ,
        finished_at=CAME + 61,
        receipt=ReceiptState.CONFIRMED,
    )
    return finished


def of_replay(*attempts: AttemptRecord, **changes: Any) -> DeliveryRecord:
    where = changes.pop("endpoint", CRM)
    made: DeliveryRecord = delivery(
        where, *attempts, **({"required": False, "replay": 3} | changes)
    )
    return made


def test_its_turn_in_a_replay() -> None:
    """Why it is sent again, what goes before it, and that it was READ long ago."""
    check(
        told(again(of_replay()), around(replays={3: replay()})),
        happened=[
            *(IT_CAME, OWED, TOOK_IT, AGAIN),
            "support/crm (replay 3) was not attempted yet.",
            *(READ, FINISHED),
        ],
        waits_for=[
            (
                "support/crm (replay 3): its turn; what is new goes before it, and what is older "
                "of the replay."
            )
        ],
        next=["support/crm (replay 3): attempt 1 is made when there is room.", KEPT],
        commands=CANCEL,
    )


def test_a_replay_waits_for_its_retry() -> None:
    """As any delivery does."""
    explanation = told(
        again(of_replay(attempt(), due_at=NOW + 60)), around(replays={3: replay(until=CAME + 1)})
    )
    assert ("support/crm (replay 3): the wait before its next attempt.",) == explanation.waits_for
    (retry, _) = explanation.next
    assert retry.startswith("support/crm (replay 3): attempt 2 is due ")
    assert any(line.endswith("to 2023-11-14T22:13:21Z (9m ago).") for line in explanation.happened)


def test_a_replay_waits_for_its_endpoint() -> None:
    """A pause holds it back like everything else."""
    paused = of_replay(circuit=BreakerState.PAUSED)
    explanation = told(again(paused), around(BreakerState.PAUSED, replays={3: replay()}))
    assert ("support/crm is paused by an operator, and keeps everything.",) == explanation.waits_for
    assert (RESUME, *CANCEL) == explanation.commands


def test_a_new_endpoint_gets_what_was_there() -> None:
    """With `from: retained` nobody asked: the settings did."""
    new = of_replay(endpoint=LOG)
    record = replay(endpoint=LOG, since=0.0)
    explanation = told(again(new), around(replays={3: record}))
    assert (
        "It is sent again to support/log, by replay 3: the endpoint was new 2023-11-14T22:22:20Z "
        "(1m ago), and gets what the journal held (from: retained)."
    ) in explanation.happened


def test_a_replay_that_nobody_knows_any_more() -> None:
    """Its number is all that is left."""
    assert "It is sent again to support/crm, by replay 3." in told(again(of_replay())).happened


def test_a_replay_that_its_receiver_refused() -> None:
    """A dead letter that names its replay, and holds no READ back."""
    explanation = told(again(dead(required=False, replay=3)), around(replays={3: replay()}))
    assert (
        (
            "The dead letter of support/crm (replay 3) is kept until an operator decides; READ "
            "does not depend on it."
        ),
    ) == explanation.next
    assert (
        f"relay dead-letters retry {ID} --endpoint support/crm",
        f"relay dead-letters discard {ID} --endpoint support/crm --yes",
    ) == explanation.commands


@pytest.mark.parametrize(
    ("of", "line"),
    [
        (
            ended(DeliveryState.DISCARDED, replay=3, required=False, ended_reason="cancelled"),
            "support/crm (replay 3) was cancelled 2023-11-14T22:14:20Z (9m ago).",
        ),
        (
            ended(DeliveryState.DISCARDED, replay=3, required=False),
            (
                "support/crm (replay 3): its delivery died 2023-11-14T22:14:20Z (9m ago) "
                "(http_4xx); an operator discarded it since."
            ),
        ),
        (
            ended(DeliveryState.DELIVERED, taken(), replay=3, required=False),
            "support/crm (replay 3) took it 2023-11-14T22:14:20Z (9m ago) (status 204).",
        ),
    ],
)
def test_a_replay_that_is_over(of: DeliveryRecord, line: str) -> None:
    """How it ended, and that the message is what it was: finished, to be forgotten."""
    explanation = told(again(of), around(replays={3: replay()}))
    assert line in explanation.happened
    assert explanation.next[0].startswith("Nothing: it is finished")
    assert not any("stays unread" in each for each in explanation.happened)


def test_a_message_may_be_unread_while_it_is_sent_again() -> None:
    """What READ waits for is the first delivery, and not the replay's."""
    other = delivery(LOG, attempt(), due_at=NOW + 60)
    explanation = told(history(other, of_replay()), around(replays={3: replay()}))
    assert "It is marked READ once support/log has taken it." in explanation.next
    assert "READ does not depend on support/crm (replay 3)." in explanation.next
