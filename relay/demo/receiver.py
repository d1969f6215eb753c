"""A sample receiver: verifies as a stranger would, takes each message once, is busy now and then.

What an operator's own webhook has to do is all here: read the body, verify, deduplicate, answer.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

PATH: Final = "/hooks/mixin"

RETRY_AFTER: Final = 1
"""Seconds that a busy receiver asks for: the fewest that the header can say."""

_EVERY: Final = 20
_MOST_REFUSALS: Final = 10
"""Each costs the run about `RETRY_AFTER`, however long it is."""

MOST_CHARACTERS: Final = 48
"""Of a content in a line; more would leave no room for the rest."""

_SHUTDOWN: Final = 1.0
"""Seconds that requests under way get at the end; they need none."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request with a good signature.

    `number` counts the messages in the order in which they first came, from 1, and `attempt` how
    often this one has come; `taken` says that it was answered 2xx, now or before.
    """

    message_id: str
    number: int
    attempt: int
    data: dict[str, Any]
    taken: bool


Refuses = Callable[[Visit], bool]
"""Says whether the receiver is too busy for a message that it has not taken yet."""


def now_and_then(messages: int) -> Refuses:
    """Be busy for one message in 20, at its first attempt: 10 times in `messages` at most."""
    return one_in(max(_EVERY, -(-messages // _MOST_REFUSALS)))


def one_in(every: int) -> Refuses:
    """Be busy for one message in so many, at its first attempt."""
    return lambda visit: visit.attempt == 1 and visit.number % every == every // 2


class Receiver:
    """Serves one webhook while it is entered; port 0 stands for any that is free.

    `taken` holds the ids of what it has answered 2xx; the rest are counts of requests. Entering
    raises OSError if the address can't be listened on.
    """

    def __init__(
        self,
        secret: str,
        *,
        refuses: Refuses,
        on_visit: Callable[[Visit], None],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._webhook = Webhook(secret)
        self._refuses = refuses
        self._on_visit = on_visit
        self._waiting: dict[str, tuple[int, int]] = {}
        self._host, self._port = host, port
        self.taken: set[str] = set()
        self.verified = self.forged = self.refused = self.duplicates = 0
        app = web.Application()
        app.router.add_post(PATH, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)

    @property
    def url(self) -> str:
        """The webhook's URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{PATH}"

    def has_taken(self, message_id: str) -> bool:
        """Say whether a message was answered 2xx."""
        return message_id in self.taken

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        envelope = self._verified(await request.read(), dict(request.headers))
        if envelope is None:
            self.forged += 1
            return web.Response(status=401, text="the signature does not hold")
        self.verified += 1
        return self._receive(request.headers["webhook-id"], envelope["data"])

    def _verified(self, body: bytes, headers: dict[str, str]) -> Any:
        try:
            return self._webhook.verify(body, headers)
        except (WebhookVerificationError, ValueError):  # the package lets malformed headers raise
            return None

    def _receive(self, message_id: str, data: dict[str, Any]) -> web.Response:
        if message_id in self.taken:
            self.duplicates += 1
            return web.Response(status=204)
        new = (len(self.taken) + len(self._waiting) + 1, 0)
        number, attempts = self._waiting.pop(message_id, new)
        visit = Visit(message_id, number, attempts + 1, data, taken=False)
        if self._refuses(visit):
            self.refused += 1
            self._waiting[message_id] = (number, visit.attempt)
            self._on_visit(visit)
            return web.Response(status=503, headers={"retry-after": str(RETRY_AFTER)})
        self.taken.add(message_id)
        self._on_visit(replace(visit, taken=True))
        return web.Response(status=204)


# --- What it prints ------------------------------------------------------------------------------


def preview(content: Any) -> str:
    """Say in a few words what a webhook's `content` says."""
    return one_line(_in_words(content))


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """Cut a text to one line; what could move a cursor or turn a line around becomes a space."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _in_words(content: Any) -> str:
    match content:
        case None:
            return "-"
        case {"sticker_id": str() as sticker}:
            return f"sticker {sticker[:8]}"
        case {"amount": str() as amount, "asset_id": str() as asset}:
            return f"transfer of {amount}, asset {asset[:8]}"
        case {"mime_type": str() as kind, "size": int() as size}:
            return f"{content.get('name') or kind}, {size} bytes"
        case Mapping():
            return ", ".join(f"{key} {_plain(value)}" for key, value in content.items())
        case _:
            return _plain(content)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
