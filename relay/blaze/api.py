"""The part of Mixin's HTTP API that a relay needs, each request signed on its own."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from relay.blaze.keystore import Keystore, signed_headers
from relay.blaze.transport import Http, describe
from relay.blaze.wire import NotJson, read_json, read_number, read_text
from relay.model.ports import Clock
from relay.model.times import read_retry_after

# Longer than Mixin takes by far; whoever calls has time, and a fresh token next time.
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15.0, sock_connect=5.0)
# Answers are short; more is not from Mixin.
MAX_ANSWER_BYTES = 1024 * 1024

UNAUTHORIZED = 401

_MAX_DESCRIPTION = 256
_NANOSECONDS = 1e9


_OWN_FAILURES = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Answered:
    """Mixin answered without an error. `clock_skew` is our clock minus theirs, seconds."""

    value: Any
    clock_skew: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Mixin answered with an error (docs/protocol.md, The HTTP API's answers)."""

    code: int
    description: str
    retry_after: float | None = None
    clock_skew: float | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Whatever came was not from Mixin's API, if anything came; `status` is a proxy's."""

    detail: str
    status: int | None = None
    retry_after: float | None = None


Answer = Answered | Refused | Unanswered


class MixinApi:
    """One bot's signed requests to the first of several hosts that takes a connection."""

    def __init__(
        self,
        http: Http,
        base_urls: Sequence[str],
        keystore: Keystore,
        *,
        clock: Clock = time.time,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT,
    ) -> None:
        self._http = http
        self._hosts = [base_url.rstrip("/") for base_url in base_urls]
        self._host = 0
        self._keystore = keystore
        self._clock = clock
        self._new_id = new_id
        self._timeout = timeout

    async def me(self) -> Answer:
        """Ask for the bot's own profile, the cheapest check of its credentials."""
        return await self._request("GET", "/me")

    async def acknowledge(self, message_ids: Sequence[str]) -> Answer:
        """Mark at most 100 messages READ (docs/protocol.md, Receipts)."""
        receipts = [{"message_id": message_id, "status": "READ"} for message_id in message_ids]
        body = msgspec.json.encode(receipts)
        return await self._request("POST", "/acknowledgements", body)

    async def _request(self, method: str, uri: str, body: bytes = b"") -> Answer:
        trouble = ""
        for _ in self._hosts:
            url = URL(self._hosts[self._host] + uri)
            try:
                return await self._once(method, url, body)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as unreachable:
                trouble = describe(unreachable)
                self._host = (self._host + 1) % len(self._hosts)
            except aiohttp.ClientResponseError as refusal:
                return Unanswered(f"HTTP {refusal.status}: {refusal.message}", refusal.status)
            except (aiohttp.ClientError, OSError, TimeoutError) as cut:
                return Unanswered(describe(cut))
        return Unanswered(trouble)

    async def _once(self, method: str, url: URL, body: bytes) -> Answer:
        now, request_id = self._clock(), self._new_id()
        headers = signed_headers(
            self._keystore, method, url.raw_path_qs, body, now=now, request_id=request_id
        )
        headers["Content-Type"] = "application/json"
        async with self._http.request(
            method,
            url,
            data=body or None,
            headers=headers,
            allow_redirects=False,
            timeout=self._timeout,
        ) as response:
            text = await _read(response.content)
            return read_answer(response.status, response.headers, text, self._clock())


def read_answer(status: int, headers: Any, text: bytes, now: float) -> Answer:
    """Judge an answer by its body's error first and its status second (docs/protocol.md).

    Mixin's own errors come with 20x or 500, maybe with 401 or 429; any other status is a proxy's,
    whatever JSON it sends.
    """
    pause = read_retry_after(headers.get("Retry-After", ""), now)
    try:
        value = read_json(text)
    except NotJson:
        return Unanswered(f"HTTP {status} without JSON", status, pause)
    if not _is_mixins(status):
        return Unanswered(f"HTTP {status} from something before Mixin", status, pause)
    skew = _clock_skew(headers, now)
    error = value.get("error") if isinstance(value, dict) else None
    if not error and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answered(value, skew)
    fields = error if isinstance(error, dict) else {"description": error}
    return Refused(
        code=read_number(fields.get("code")) or status,
        description=read_text(fields.get("description"), _MAX_DESCRIPTION),
        retry_after=pause,
        clock_skew=skew,
    )


def _is_mixins(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status in _OWN_FAILURES


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read an answer to its end or to the bound; one that is cut off is no JSON."""
    text = b""
    while len(text) <= MAX_ANSWER_BYTES and (chunk := await content.readany()):
        text += chunk
    return text if len(text) <= MAX_ANSWER_BYTES else b""


def _clock_skew(headers: Any, now: float) -> float | None:
    """Compare the clocks by X-Server-Time, which is in nanoseconds."""
    text = headers.get("X-Server-Time", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return now - float(text) / _NANOSECONDS
