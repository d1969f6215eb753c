"""What is said of webhooks."""

import pytest

from relay.model.messages import (
    Attempt,
    BreakerState,
    DeadLettered,
    Delivered,
    Delivery,
    Gone,
    MessageOutcome,
    Outcome,
    Postponed,
    Reason,
    Rejected,
    Success,
    Transient,
    Verdict,
)
from relay.telemetry.events import (
    AttemptCrashed,
    AttemptDeferred,
    AttemptsEnded,
    BreakerMoved,
    DeliveriesSettled,
    EndpointServed,
    MessageDamaged,
    MessagesDiscarded,
    MessagesFinished,
)
from relay.telemetry.logs import BURST, PERIOD
from tests.telemetry.listening import BOT, CRM, Listening, message

OK = Success(200)
DOWN = Transient(Reason.HTTP_5XX, 500)
SLOW = Transient(Reason.TIMEOUT)
BAD = Rejected(Reason.HTTP_4XX, 422)


def outcome(
    verdict: Verdict, message_id: str = "m1", *, dead: bool = False, replay: int | None = None
) -> Outcome:
    """Conclude an attempt that ends 3.5 s after its message came."""
    delivery = Delivery(1, CRM, "c1", message(message_id), replay=replay)
    attempt = Attempt(2, 1002.25, 0.25, verdict)
    if isinstance(verdict, Success):
        return Delivered(delivery, attempt)
    return DeadLettered(delivery, attempt) if dead else Postponed(delivery, attempt, 1060.0)


def ended(*verdicts: Verdict) -> AttemptsEnded:
    return AttemptsEnded(CRM, [outcome(verdict) for verdict in verdicts])


def settled(*outcomes: Outcome) -> DeliveriesSettled:
    return DeliveriesSettled(CRM, [each for each in outcomes if not isinstance(each, Postponed)])


def gate(state: BreakerState, limit: int = 16) -> BreakerMoved:
    return BreakerMoved(CRM, state, limit)


@pytest.mark.parametrize(
    ("verdict", "outcome", "reason"),
    [
        (OK, "success", None),
        (SLOW, "transient", "timeout"),
        (BAD, "rejected", "http_4xx"),
        (Gone(), "gone", "http_410"),
    ],
)
def test_attempts_count_by_outcome_and_reason(
    listening: Listening, verdict: Verdict, outcome: str, reason: str | None
) -> None:
    """An attempt counts once by outcome, once by reason if it failed, and its time is observed."""
    listening.tell(ended(verdict))

    assert 1.0 == listening.of_crm("relay_attempts_total", outcome=outcome)
    assert 0.25 == listening.of_crm("relay_attempt_duration_seconds_sum")
    failures = {str(r): listening.of_crm("relay_attempt_failures_total", reason=r) for r in Reason}
    assert {str(r): float(r == reason) for r in Reason} == failures


def test_requests_in_flight_are_asked_for(listening: Listening) -> None:
    """The gauge shows what the dispatcher counts when it is read."""
    under_way = ["m1", "m2"]
    listening.tell(EndpointServed(CRM, lambda: len(under_way)))
    assert 2.0 == listening.of_crm("relay_endpoint_in_flight")

    under_way.clear()
    assert 0.0 == listening.of_crm("relay_endpoint_in_flight")


def test_a_group_of_attempts_counts_as_each_of_them(listening: Listening) -> None:
    """What is told once for a whole commit is counted, and told at length, one by one."""
    listening.tell(AttemptsEnded(CRM, [outcome(OK, "m1"), outcome(DOWN, "m2"), outcome(OK, "m3")]))

    assert 2.0 == listening.of_crm("relay_attempts_total", outcome="success")
    assert 1.0 == listening.of_crm("relay_attempt_failures_total", reason="http_5xx")
    assert 0.75 == listening.of_crm("relay_attempt_duration_seconds_sum")
    assert [("warning", "endpoint.failed"), ("info", "endpoint.recovered")] == listening.loud
    assert [("m1", None), ("m2", "1970-01-01T00:17:40.000Z"), ("m3", None)] == [
        (line["message_id"], line["due_at"]) for line in listening.lines("attempt.ended")
    ]


def test_a_group_of_deliveries_counts_as_each_of_them(listening: Listening) -> None:
    """Delivered with their delay since reception, dead letters as warnings, replays apart."""
    listening.tell(
        settled(
            outcome(OK, "m1"),
            outcome(BAD, "m2", dead=True),
            outcome(OK, "m3", replay=1),
            outcome(OK, "m4"),
        )
    )

    assert 2.0 == listening.of_crm("relay_deliveries_total", outcome="delivered")
    assert 1.0 == listening.of_crm("relay_deliveries_total", outcome="dead")
    assert 1.0 == listening.of_crm("relay_replayed_total", outcome="delivered")
    assert 7.0 == listening.of_crm("relay_delivery_delay_seconds_sum")
    assert [("warning", "delivery.dead_lettered")] == listening.loud
    lines = listening.lines("delivery.settled")
    assert [("m1", 2, 3.5), ("m3", 2, 3.5), ("m4", 2, 3.5)] == [
        (line["message_id"], line["attempts"], line["delay"]) for line in lines
    ]


def test_an_error_is_loud_when_it_changes(listening: Listening) -> None:
    """The same failure again is for debugging; another one, and the recovery, are told."""
    listening.tell(ended(OK, DOWN, DOWN, DOWN, SLOW, SLOW, OK, OK, DOWN))

    assert [
        ("warning", "endpoint.failed"),
        ("warning", "endpoint.failed"),
        ("info", "endpoint.recovered"),
        ("warning", "endpoint.failed"),
    ] == listening.loud
    assert 9 == len(listening.lines("attempt.ended"))
    assert ["http_5xx", "timeout", "http_5xx"] == [
        line["reason"] for line in listening.lines("endpoint.failed")
    ]


def test_an_endpoint_that_flaps_does_not_flood_the_log(listening: Listening) -> None:
    """Success and failure in turn are a burst of lines, then a few in a minute."""
    listening.tell(*[ended(DOWN, OK)] * 100)

    assert BURST == len(listening.loud)


def test_what_could_not_be_told_is_told_later(listening: Listening) -> None:
    """The last word about an endpoint is the true one, however often it changed before."""
    listening.tell(*[ended(DOWN, OK)] * (BURST // 2), ended(DOWN))
    assert ("info", "endpoint.recovered") == listening.loud[-1]

    listening.now += PERIOD
    listening.tell(ended(DOWN))

    assert ("warning", "endpoint.failed") == listening.loud[-1]


def test_a_rejected_message_says_nothing_about_the_endpoint(listening: Listening) -> None:
    """A poison message is a warning once, without any talk of recovery among the successes."""
    listening.tell(ended(OK, BAD, BAD, OK))

    assert [("warning", "delivery.rejected")] == listening.loud


def test_a_rejection_does_not_end_an_endpoints_trouble(listening: Listening) -> None:
    """Only a 2xx is a recovery."""
    listening.tell(ended(DOWN, BAD, OK))

    assert [
        ("warning", "endpoint.failed"),
        ("warning", "delivery.rejected"),
        ("info", "endpoint.recovered"),
    ] == listening.loud


def test_a_crash_shows_its_trace(listening: Listening) -> None:
    """A bug of ours is an error with its trace; the attempt it ends as is what is counted."""
    listening.tell(AttemptCrashed(CRM, "m1", "Traceback …"))

    assert [("error", "attempt.crashed")] == listening.loud
    assert "Traceback …" == listening.lines("attempt.crashed")[0]["exception"]
    assert 0.0 == listening.of_crm("relay_attempts_total", outcome="transient")


def test_a_crash_at_every_message_does_not_flood_the_log(listening: Listening) -> None:
    """Traces are long, and the tenth says what the first did."""
    listening.tell(*[AttemptCrashed(CRM, "m1", "Traceback …")] * 100)

    assert BURST == len(listening.loud)


def test_a_damaged_message_is_an_error(listening: Listening) -> None:
    """What the journal can't give back is told with its id and why, and does not flood the log."""
    listening.tell(*[MessageDamaged(CRM, f"m{i}", "can't be opened") for i in range(100)])

    assert [("error", "message.damaged")] * BURST == listening.loud
    line = listening.lines("message.damaged")[0]
    assert ("m0", "can't be opened") == (line["message_id"], line["detail"])


def test_replays_are_counted_apart(listening: Listening) -> None:
    """What is sent again is no delivery that was owed, and its delay is none; it is loud dead."""
    listening.tell(settled(outcome(OK, replay=1), outcome(BAD, dead=True, replay=1)))

    assert 1.0 == listening.of_crm("relay_replayed_total", outcome="delivered")
    assert 1.0 == listening.of_crm("relay_replayed_total", outcome="dead")
    assert 0.0 == listening.of_crm("relay_deliveries_total", outcome="delivered")
    assert 0.0 == listening.of_crm("relay_deliveries_total", outcome="dead")
    assert 0.0 == listening.of_crm("relay_delivery_delay_seconds_count")
    assert [True, True] == [line["replay"] for line in listening.lines("delivery.settled")] + [
        line["replay"] for line in listening.lines("delivery.dead_lettered")
    ]


def test_every_dead_letter_is_a_warning(listening: Listening) -> None:
    """A dead letter is told with id and reason, counted, and has no delay."""
    tls = Transient(Reason.TLS)

    listening.tell(settled(*[outcome(tls, f"m{i}", dead=True) for i in range(2 * BURST)]))

    assert [("warning", "delivery.dead_lettered")] * 2 * BURST == listening.loud
    line = listening.lines("delivery.dead_lettered")[0]
    assert ("m0", "tls") == (line["message_id"], line["reason"])
    assert 2.0 * BURST == listening.of_crm("relay_deliveries_total", outcome="dead")
    assert 0.0 == listening.of_crm("relay_delivery_delay_seconds_count")


def test_finished_messages_count_by_outcome(listening: Listening) -> None:
    """What finishes in the relay and what operators discard is one series."""
    listening.tell(
        MessagesFinished(BOT, MessageOutcome.READ, 3, ("m1", "m2", "m3")),
        MessagesFinished(BOT, MessageOutcome.DEAD, 1, ("m4",)),
        MessagesDiscarded(BOT, 3),
    )

    counted = {
        str(o): listening.of_bot("relay_messages_finished_total", outcome=o) for o in MessageOutcome
    }
    assert {"read": 3.0, "unwanted": 0.0, "dead": 1.0, "discarded": 3.0} == counted
    assert ["m1", "m2", "m3", "m4"] == [
        line["message_id"] for line in listening.lines("message.finished")
    ]
    assert [("info", "messages.discarded")] == listening.loud


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (BreakerState.CLOSED, 0.0),
        (BreakerState.PROBING, 1.0),
        (BreakerState.OPEN, 2.0),
        (BreakerState.PAUSED, 3.0),
        (BreakerState.GONE, 4.0),
    ],
)
def test_the_gate_is_a_gauge(listening: Listening, state: BreakerState, value: float) -> None:
    """State and limit are what the gate says."""
    listening.tell(gate(state, limit=7))

    assert value == listening.of_crm("relay_circuit_state")
    assert value == listening.of_crm("relay_endpoint_state")
    assert 7.0 == listening.of_crm("relay_endpoint_concurrency_limit")


def test_a_gate_is_loud_when_it_moves(listening: Listening) -> None:
    """Open and gone are warnings, closed again is good news; probes and limits are no news."""
    states = [
        *(BreakerState.CLOSED, BreakerState.OPEN, BreakerState.PROBING, BreakerState.OPEN),
        *(
            BreakerState.PROBING,
            BreakerState.CLOSED,
            BreakerState.GONE,
            BreakerState.PAUSED,
            BreakerState.CLOSED,
        ),
    ]

    listening.tell(gate(BreakerState.CLOSED, limit=3), *map(gate, states))
    assert "gate.opened" == listening.lines("circuit.opened")[0]["formerly"]

    assert [
        ("warning", "circuit.opened"),
        ("info", "circuit.closed"),
        ("warning", "endpoint.gone"),
        ("info", "circuit.paused"),
        ("info", "circuit.closed"),
    ] == listening.loud


def test_nothing_is_said_of_single_messages_at_info() -> None:
    """A message that goes through well leaves no line at the default level."""
    quiet = Listening("info")

    quiet.tell(
        ended(OK),
        settled(outcome(OK)),
        MessagesFinished(BOT, MessageOutcome.READ, 1, ("m1",)),
        AttemptDeferred(CRM, "m2"),
    )

    assert [] == quiet.entries
    assert 1.0 == quiet.of_crm("relay_attempts_total", outcome="success")
