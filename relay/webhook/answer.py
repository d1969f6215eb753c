"""Reads one answer after the other off a connection. Pure: bytes in, what they say out.

The status line decides: once it has been read, nothing that follows takes the verdict back. llhttp
frames what follows it; what it can't frame ends the connection and nothing else.
"""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from relay.webhook.exchange import Answer, Sent

MAX_HEAD = 64 * 1024
"""Bytes of head that are read, those of interim answers included."""

MAX_BODY = 64 * 1024
"""Bytes of body that are read; a connection with more to say is not used again."""

MAX_INTERIM = 8
"""How many interim answers (1xx) may come before the final one."""

_MAX_FRAMED = 2 * MAX_BODY  # chunk extensions are mostly frame
_MAX_PIECES = 4096  # chunks of a byte each cost time, and nobody means them
_SWITCHING = 101
_FINAL = 200
_BEGIN = b"HTTP/1."
_EMPTY = (b"\r", b"\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_RETRY_AFTER = re.compile(rb"\nretry-after[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_PACKED = re.compile(rb"\ncontent-encoding[ \t]*:[ \t]*(?!identity\b)\w", re.IGNORECASE)
_KEEP_ALIVE = re.compile(
    rb"\nkeep-alive[ \t]*:[^\r\n]*?timeout[ \t]*=[ \t]*([0-9]{1,6})", re.IGNORECASE
)


class NoAnswerError(Exception):
    """What came is no answer of HTTP/1. The text holds nothing of it."""


class AnswerReader:
    """Reads the answers of one connection. `begin` before each request, then `feed` what comes."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the answer before."""
        self.status: int | None = None
        self.complete = False
        """Whether the whole answer is there, so that the connection may be used again."""
        self.cut = False
        """Whether nothing more is read: there is too much of it, or it can't be framed."""
        self._pending = b""
        self._interim = self._passed = 0
        self._read = 0
        self._head = b""
        self._in_head = True
        self._body = bytearray()
        self._pieces = 0
        self._keep_alive = False

    def feed(self, data: bytes) -> None:
        """Take what has come. Raises `NoAnswerError` while there is no status line."""
        if self.status is None:
            data = self._final(self._pending + data)
        if self.status is None:
            self._pending = data
        else:
            self._frame(data)

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.complete or self.cut

    @property
    def has_head(self) -> bool:
        """Whether the whole head has come, or can't come any more."""
        return self.cut or not self._in_head

    @property
    def has_body(self) -> bool:
        """Whether bytes have come behind the head."""
        return bool(self._body) or self.cut

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.complete and self._keep_alive and not self.cut

    def answer(self) -> Answer:
        """Tell of an answer whose status line has come."""
        found = self._search(_RETRY_AFTER)
        retry_after = None if found is None else found[1].strip().decode("latin-1")
        packed = self._search(_PACKED) is not None
        return Answer(
            self.status, retry_after, bytes(self._body[:MAX_BODY]), packed, None, Sent.YES
        )

    @property
    def idle_timeout(self) -> int | None:
        """After how many idle seconds the receiver closes, if `Keep-Alive: timeout=` says so."""
        found = self._search(_KEEP_ALIVE)
        return None if found is None else int(found[1])

    def _search(self, field: "re.Pattern[bytes]") -> "re.Match[bytes] | None":
        if self._in_head:  # of a head that breaks off nobody knows what was meant
            return None
        found = field.search(self._head)
        # What stands behind the empty line is body.
        if found is None or _END_OF_HEAD.search(self._head, 0, found.start() + 1):
            return None
        return found

    def _final(self, data: bytes) -> bytes:
        """Pass interim answers over, up to the final status line; gives what is left to read."""
        while True:
            if data.startswith(_EMPTY):
                empty = len(data) - len(data.lstrip(b"\r\n"))
                self._pass_over(empty)
                data = data[empty:]
            line = _STATUS_LINE.match(data)
            if line is None:
                if b"\n" in data or not data.startswith(_BEGIN[: len(data)]):
                    raise NoAnswerError("no status line of HTTP/1.0 or HTTP/1.1")
                break
            status = int(line[1])
            if status >= _FINAL:
                self.status = status
                return data
            if status == _SWITCHING:
                raise NoAnswerError("101 Switching Protocols, which nobody asked for")
            end = _END_OF_HEAD.search(data, line.end() - 1)
            if end is None:
                break
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise NoAnswerError(f"more than {MAX_INTERIM} interim answers")
            self._pass_over(end.end())
            data = data[end.end() :]
        self._pass_over(len(data))
        self._passed -= len(data)  # they are looked at again
        return data

    def _pass_over(self, length: int) -> None:
        self._passed += length
        if self._passed > MAX_HEAD:
            raise NoAnswerError("no final status line within 64 KiB")

    def _frame(self, data: bytes) -> None:
        self._read += len(data)
        if self._in_head:
            self._head += data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.cut = True
        most = MAX_HEAD if self._in_head else MAX_HEAD + _MAX_FRAMED
        if self._read > most:
            self.cut = True

    # --- what llhttp calls ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Take note of bytes behind the answer, which nobody asked for."""
        self.cut = self.cut or self.complete

    def on_headers_complete(self) -> None:
        """Keep the head, and none of the body behind it."""
        self._in_head = False

    def on_body(self, data: bytes) -> None:
        """Take a piece of body; an error ends the reading at once."""
        self._body += data
        self._pieces += 1
        if len(self._body) > MAX_BODY or self._pieces > _MAX_PIECES:
            raise OverflowError

    def on_message_complete(self) -> None:
        """Take note that the whole answer is there."""
        self.complete = True
        self._keep_alive = self._parser.should_keep_alive()
