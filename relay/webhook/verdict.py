"""What an answer means for its delivery (docs/reference.md, Answers)."""

from collections.abc import Callable

from relay.model.messages import Gone, Reason, Rejected, Success, Transient, Verdict
from relay.model.times import read_retry_after
from relay.webhook.exchange import Answer, Failure, Sent

# Enough of the receiver's own words to find its mistake, little enough for one line.
MAX_DETAIL = 200

# Many times that: what is cut off in the middle of a secret is not what is kept of it.
_READ = 4096

PACKED = "(its words are packed, and nobody unpacks them)"

_FAILURES = {
    Failure.BLOCKED: Reason.BLOCKED_ADDRESS,
    Failure.DNS: Reason.DNS,
    Failure.CONNECT: Reason.CONNECT,
    Failure.TLS: Reason.TLS,
    Failure.CONNECT_TIMEOUT: Reason.TIMEOUT,
    Failure.TIMEOUT: Reason.TIMEOUT,
    Failure.RESET: Reason.RESET,
    Failure.PROTOCOL: Reason.PROTOCOL,
    Failure.CLIENT: Reason.OTHER,
}

_CLASS_OF_SUCCESS = 2
_GONE = 410
_TOO_MANY = 429
_UNAVAILABLE = 503
_TROUBLE_4XX = {
    408: Reason.HTTP_4XX,
    409: Reason.HTTP_4XX,
    425: Reason.HTTP_4XX,
    _TOO_MANY: Reason.HTTP_429,
}


Mask = Callable[[str], str]
"""Takes out of a text what must not be kept."""


def judge(answer: Answer, now: float, mask: Mask = str) -> Verdict:
    """Judge an answer; `now` in Unix seconds. Total: any status, any failure, any header.

    `mask` sees the receiver's words before they are kept.
    """
    if answer.status is None:
        return _judge_failure(answer)
    return _judge_status(answer.status, answer, now, mask)


def _judge_failure(answer: Answer) -> Verdict:
    failure = answer.failure or Failure.CLIENT
    detail = _line(answer.detail) or failure.value
    return Transient(_FAILURES[failure], detail=detail, doubtful=answer.sent is not Sent.NO)


def _judge_status(status: int, answer: Answer, now: float, mask: Mask) -> Verdict:
    if status // 100 == _CLASS_OF_SUCCESS:
        return Success(status)
    detail = PACKED if answer.packed else _line(mask(answer.body[:_READ].decode(errors="replace")))
    if status == _GONE:
        return Gone(status, detail)
    if reason := _trouble(status):
        return Transient(reason, status, detail, _pause(status, answer, now))
    return Rejected(Reason.HTTP_4XX, status, detail)


def _trouble(status: int) -> Reason | None:
    """Say what a status tells of the endpoint; None if it is about this one message."""
    match status // 100:
        case 3:
            return Reason.REDIRECT
        case 4:
            return _TROUBLE_4XX.get(status)
        case 5:
            return Reason.HTTP_503 if status == _UNAVAILABLE else Reason.HTTP_5XX
        case _:
            return Reason.PROTOCOL


def _pause(status: int, answer: Answer, now: float) -> float | None:
    if answer.retry_after is None or status not in (_TOO_MANY, _UNAVAILABLE):
        return None
    return read_retry_after(answer.retry_after, now)


def _line(text: str) -> str:
    words = " ".join(text.split())[:MAX_DETAIL]
    return "".join(c if c.isprintable() else "\ufffd" for c in words)
