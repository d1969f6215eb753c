"""What verdicts promise: each line of docs/reference.md, Answers, and no answer without one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.messages import Gone, Reason, Rejected, Success, Transient, Verdict
from relay.webhook.exchange import Answer, Failure, Sent
from relay.webhook.verdict import MAX_DETAIL, judge

NOW = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC).timestamp()
PAUSING = {429, 503}


def answered(status: int, retry_after: str | None = None, body: bytes = b"") -> Verdict:
    return judge(Answer(status, retry_after, body, sent=Sent.YES), NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_any_2xx_is_success(status: int) -> None:
    """The status line decides, whatever follows it."""
    assert Success(status) == answered(status, "60", b"no, really not")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_is_trouble(status: int) -> None:
    """It is not followed, and not success."""
    assert Transient(Reason.REDIRECT, status) == answered(status)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, Reason.HTTP_4XX),
        (409, Reason.HTTP_4XX),
        (425, Reason.HTTP_4XX),
        (429, Reason.HTTP_429),
        (500, Reason.HTTP_5XX),
        (502, Reason.HTTP_5XX),
        (503, Reason.HTTP_503),
        (504, Reason.HTTP_5XX),
        (599, Reason.HTTP_5XX),
    ],
)
def test_trouble_is_transient(status: int, reason: Reason) -> None:
    """What says something of the endpoint is tried again for long."""
    assert Transient(reason, status) == answered(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 413, 415, 418, 422, 451, 499])
def test_the_other_4xx_reject_the_message(status: int) -> None:
    """What says something of the message is tried again for minutes."""
    assert Rejected(Reason.HTTP_4XX, status) == answered(status)


def test_410_is_gone() -> None:
    """The receiver says that there is nobody any more."""
    assert Gone() == answered(410)


@given(st.integers(), st.none() | st.text(), st.binary(max_size=4 * MAX_DETAIL))
def test_every_status_has_a_verdict(status: int, retry_after: str | None, body: bytes) -> None:
    """Only 2xx is success, only 410 gone, only 429 and 503 pause; an answer leaves no doubt."""
    verdict = answered(status, retry_after, body)
    assert (200 <= status < 300) == isinstance(verdict, Success)
    assert (status == 410) == isinstance(verdict, Gone)
    assert status == verdict.status
    if isinstance(verdict, Transient):
        assert status in PAUSING or verdict.pause is None
        assert not verdict.doubtful


def test_the_whole_range_is_judged() -> None:
    """Each class of statuses has its own verdicts, without a gap."""
    kinds: dict[int, set[type]] = {}
    for status in range(100, 600):
        kinds.setdefault(status // 100, set()).add(type(answered(status)))
    expected = {
        1: {Transient},
        2: {Success},
        3: {Transient},
        4: {Rejected, Transient, Gone},
        5: {Transient},
    }
    assert expected == kinds


@pytest.mark.parametrize("status", [-1, 0, 99, 101, 199, 600, 999])
def test_strange_statuses_are_a_breach_of_protocol(status: int) -> None:
    """A receiver that answers so is broken, and nothing is concluded from it."""
    assert Transient(Reason.PROTOCOL, status) == answered(status)


# --- Failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Failure.BLOCKED, Reason.BLOCKED_ADDRESS),
        (Failure.DNS, Reason.DNS),
        (Failure.CONNECT, Reason.CONNECT),
        (Failure.TLS, Reason.TLS),
        (Failure.CONNECT_TIMEOUT, Reason.TIMEOUT),
        (Failure.TIMEOUT, Reason.TIMEOUT),
        (Failure.RESET, Reason.RESET),
        (Failure.PROTOCOL, Reason.PROTOCOL),
        (Failure.CLIENT, Reason.OTHER),
    ],
)
def test_failures_are_transient(failure: Failure, reason: Reason) -> None:
    """Without an answer nothing is final: names move, machines come back, bugs are fixed."""
    expected = Transient(reason, detail="why")
    assert expected == judge(Answer(failure=failure, detail="why"), NOW)


@pytest.mark.parametrize("failure", [*Failure, None])
@pytest.mark.parametrize("sent", Sent)
def test_a_request_that_may_have_arrived_is_doubtful(failure: Failure | None, sent: Sent) -> None:
    """Every failure has a verdict, and only what never left is without doubt."""
    verdict = judge(Answer(failure=failure, sent=sent), NOW)
    assert isinstance(verdict, Transient)
    assert (sent in {Sent.MAYBE, Sent.YES}) == verdict.doubtful


# --- Retry-After --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(PAUSING))
def test_busy_receivers_pause_the_endpoint(status: int) -> None:
    """429 and 503 say for how long; without it there is no pause but the backoff."""
    assert isinstance(paused := answered(status, "30"), Transient)
    assert 30.0 == paused.pause
    assert isinstance(unpaused := answered(status, "never"), Transient)
    assert unpaused.pause is None


@pytest.mark.parametrize("status", [302, 408, 500, 502])
def test_nobody_else_pauses_it(status: int) -> None:
    """A Retry-After elsewhere says nothing."""
    assert isinstance(verdict := answered(status, "30"), Transient)
    assert verdict.pause is None


# --- Detail -------------------------------------------------------------------------------------


def test_the_detail_quotes_the_receiver() -> None:
    """Its own words find its mistake, on one line and not at length."""
    verdict = answered(500, body=b"  Traceback:\n\n\x1b[31m no\xff such table\0 " + b"x" * 9999)
    expected = "Traceback: \ufffd[31m no\ufffd such table\ufffd "
    assert expected == verdict.detail[: len(expected)]
    assert MAX_DETAIL == len(verdict.detail)


@given(st.binary())
def test_details_are_one_short_printable_line(body: bytes) -> None:
    """Whatever a receiver says, it can't forge a line of the log."""
    failure = judge(Answer(failure=Failure.PROTOCOL, detail=body.decode("latin-1")), NOW)
    for detail in (answered(500, body=body).detail, failure.detail):
        assert len(detail) <= MAX_DETAIL
        assert detail.isprintable()


def test_a_failure_without_words_is_named() -> None:
    """There is always something to show."""
    assert "timeout" == judge(Answer(failure=Failure.TIMEOUT), NOW).detail


def test_packed_words_are_told_as_such() -> None:
    """Nobody unpacks them, and nobody shows what they look like."""
    packed = Answer(500, body=b"\x1f\x8b\x08", packed=True, sent=Sent.YES)
    assert "(its words are packed, and nobody unpacks them)" == judge(packed, 0.0).detail


def test_words_are_masked_before_they_are_cut() -> None:
    """Half a secret looks like none."""
    answer = Answer(500, body=b"x" * 190 + b"s3cret-of-the-receiver", sent=Sent.YES)
    verdict = judge(answer, 0.0, lambda text: text.replace("s3cret-of-the-receiver", "***"))
    assert "x" * 190 + "***" == verdict.detail
