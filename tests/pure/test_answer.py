"""What is read off a connection means the same however it is cut, and never raises by surprise."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from relay.webhook.answer import AnswerReader, NoAnswerError

PIECES = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n",
    b"HTTP/1.0 404 None\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Keep-Alive: timeout=5\r\n",
    b"Content-Encoding: gzip\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\nretry-after: 9\r\n",
)
ANSWERS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=12).map(b"".join)
WHOLE = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nabc"


def told(*pieces: bytes) -> tuple[object, ...]:
    """Feed what comes, as long as it is wanted, and say what it was."""
    reader = AnswerReader()
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.ended:
                break
    except NoAnswerError as error:
        return "no answer", str(error)
    if reader.status is None:
        return ("nothing yet",)
    answer = reader.answer()
    return answer, reader.complete, reader.reusable, reader.idle_timeout


@given(ANSWERS, st.lists(st.integers(0, 200), max_size=6))
@example(WHOLE, [1, 17, 18, 30])
@example(PIECES[3] * 8 + WHOLE, [9, 26, 27])
def test_an_answer_is_the_same_however_it_is_cut(said: bytes, cuts: list[int]) -> None:
    """Segments are nobody's meaning; only what comes behind a whole answer may come too late."""
    places = sorted({0, len(said), *(min(cut, len(said)) for cut in cuts)})
    once, cut = told(said), told(*(said[a:b] for a, b in pairwise(places)))
    if once != cut:  # bytes behind the end, which came with it or after it
        assert (once[0], once[1]) == (cut[0], cut[1])
        assert (False, True) == (once[2], cut[2])


def test_what_is_told_of_an_answer() -> None:
    """Status, Retry-After, body and whether it is packed are those of the head, not of the body."""
    answer, complete, reusable, _ = told(WHOLE)
    assert (True, True) == (complete, reusable)
    assert (503, "7", b"abc") == (answer.status, answer.retry_after, answer.body)  # type: ignore[attr-defined]
    body = b"\nretry-after: 9\ncontent-encoding: gzip\nkeep-alive: timeout=2\n\n"
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer, _, _, idle_timeout = told(head + body)
    assert (None, False, None) == (answer.retry_after, answer.packed, idle_timeout)  # type: ignore[attr-defined]


def test_a_reader_reads_one_after_the_other() -> None:
    """Nothing of an answer is left for the next one."""
    reader = AnswerReader()
    for said, status in ((WHOLE, 503), (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200)):
        reader.begin()
        reader.feed(said)
        assert (status, True) == (reader.status, reader.reusable)
    assert (None, b"") == (reader.answer().retry_after, reader.answer().body)
