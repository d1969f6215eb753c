"""A webhook as a stranger would write it, which can also do everything wrong, by script."""

import asyncio
import json
import socket
import ssl
import struct
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from aiohttp import web
from standardwebhooks import Webhook

_NO_LINGER = struct.pack("ii", 1, 0)
_ELSEWHERE = "/elsewhere"


# --- What a receiver may do -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """It answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """It says nothing until it is released, and then gives the answer that it is released with."""


@dataclass(frozen=True, slots=True)
class Reset:
    """It cuts the connection instead of an answer."""


@dataclass(frozen=True, slots=True)
class SlowBody:
    """It says 200, and its body never ends."""


Behaviour = Answer | Hang | Reset | SlowBody

OK = Answer()
REDIRECT = Answer(302, {"Location": _ELSEWHERE})


def busy(status: int, retry_after: int) -> Answer:
    """Make the answer of one who wants to be left alone for so many seconds."""
    return Answer(status, {"Retry-After": str(retry_after)})


# --- What it remembers ----------------------------------------------------------------------------


@dataclass(slots=True)
class Post:
    """One request; `status` is None as long as it is not answered, and for ever if it is cut.

    Times are monotonic seconds.
    """

    at: float
    message_id: str
    attempt: int
    prior: str
    headers: Mapping[str, str]
    event: dict[str, Any]
    status: int | None = None
    ended_at: float | None = None
    cut: bool = False

    @property
    def taken(self) -> bool:
        """Whether the answer was a 2xx."""
        return self.status is not None and self.status // 100 == 2

    @property
    def replayed(self) -> bool:
        """Whether it says that it is part of a replay, which is nobody's READ."""
        return self.headers.get("relay-replay") == "true"


def hold_port() -> socket.socket:
    """Reserve a port of this machine without listening on it: it refuses, and stays ours."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port_of(held: socket.socket) -> int:
    """Tell which port is held."""
    port: int = held.getsockname()[1]
    return port


class Receiver:
    """One endpoint's receiver, at the same port whether it is up or down.

    What it does is decided by the script of the message, then by what is queued for the next
    requests, then by `default`. Nothing here asserts: `complaints` are for the test to judge.
    """

    def __init__(
        self,
        bot: str,
        name: str,
        *,
        secret: str,
        token: str | None,
        required: bool,
        changed: Callable[[], None],
    ) -> None:
        self.bot = bot
        self.name = name
        self.required = required
        self.default: Behaviour = OK
        self.secured: ssl.SSLContext | None = None
        self.posts: list[Post] = []
        self._posts_of: dict[str, list[Post]] = defaultdict(list)
        self.complaints: list[str] = []
        self.wants: Callable[[str], bool] = lambda _: True
        self._webhook = Webhook(secret)
        self.token = token
        self._changed = changed
        self._scripts: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._next: deque[Behaviour] = deque()
        self._held: list[asyncio.Future[Behaviour]] = []
        self._port = hold_port()
        self._runner: web.AppRunner | None = None

    # --- Up and down

    @property
    def url(self) -> str:
        """Where messages are to be POSTed."""
        scheme = "https" if self.secured else "http"
        return f"{scheme}://127.0.0.1:{port_of(self._port)}/hook"

    async def start(self) -> None:
        """Listen, with TLS where it is `secured`."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        port = port_of(self._port)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=self.secured).start()
        self._runner = runner

    async def stop(self) -> None:
        """Cut every connection and refuse new ones."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def close(self) -> None:
        """Stop, and give the port back."""
        await self.stop()
        self._port.close()

    # --- Scripts

    def script(self, message_id: str, *behaviours: Behaviour) -> None:
        """Queue what to do when this message comes."""
        self._scripts[message_id].extend(behaviours)

    def next(self, *behaviours: Behaviour) -> None:
        """Queue what to do at the next requests of whatever message."""
        self._next.extend(behaviours)

    def forget_scripts(self) -> None:
        """Do as by default again."""
        self._scripts.clear()
        self._next.clear()

    def forget_next(self) -> None:
        """Forget what is queued for the next requests, and keep the scripts of messages."""
        self._next.clear()

    def release(self, behaviour: Behaviour = OK) -> None:
        """Let every request that hangs have its end."""
        held, self._held = self._held, []
        for future in held:
            if not future.done():
                future.set_result(behaviour)

    # --- What it has seen

    @property
    def taken(self) -> list[str]:
        """The messages that were answered with a 2xx, in that order, each time that they were."""
        return [post.message_id for post in self.posts if post.taken]

    def has_taken(self, message_id: str) -> bool:
        """Tell whether a message was ever answered with a 2xx."""
        return any(post.taken for post in self.posts_of(message_id) if not post.replayed)

    def posts_of(self, message_id: str) -> list[Post]:
        """List the requests of one message."""
        return self._posts_of[message_id]

    @property
    def hanging(self) -> list[str]:
        """The messages whose request is neither answered nor cut."""
        return [p.message_id for p in self.posts if p.status is None and not p.cut]

    def unexplained(self) -> list[str]:
        """List what came again although nothing said that it might."""
        return [
            f"{self.name}: {message_id} came again as {post.prior}"
            for message_id, all_posts in self._posts_of.items()
            for replayed in (False, True)
            for posts in [[post for post in all_posts if post.replayed is replayed]]
            for number, post in enumerate(posts)
            if not fits(post, posts[:number])
        ]

    # --- Serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        event = self._checked(request, body)
        if event is None:
            return web.Response(status=400)
        headers = request.headers
        post = Post(
            time.monotonic(),
            headers["webhook-id"],
            int(headers["relay-attempt"]),
            headers["relay-prior-outcome"],
            headers,
            event,
        )
        self.posts.append(post)
        self._posts_of[post.message_id].append(post)
        self._changed()
        try:
            return await self._act(request, post, self._behaviour(post.message_id))
        finally:
            post.cut = post.status is None
            post.ended_at = time.monotonic()
            self._changed()

    def _checked(self, request: web.Request, body: bytes) -> dict[str, Any] | None:
        headers = request.headers
        try:
            self._webhook.verify(body, dict(headers))
            event: dict[str, Any] = json.loads(body)
            said = {
                "line": f"{request.method} {request.path}",
                "type": headers["content-type"],
                "authorization": headers.get("authorization"),
                "relay-bot": headers["relay-bot"],
                "relay-endpoint": headers["relay-endpoint"],
                "webhook-id": headers["webhook-id"],
            }
            expected = {
                "line": "POST /hook",
                "type": "application/json",
                "authorization": self.token and f"Bearer {self.token}",
                "relay-bot": self.bot,
                "relay-endpoint": self.name,
                "webhook-id": event["data"]["message_id"],
            }
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the test must know
            self.complaints.append(f"{request.method} {request.path}: {error!r}")
            return None
        if said != expected:
            self.complaints.append(f"{said}, expected {expected}")
        return event

    def _behaviour(self, message_id: str) -> Behaviour:
        if script := self._scripts.get(message_id):
            return script.popleft()
        return self._next.popleft() if self._next else self.default

    async def _act(
        self, request: web.Request, post: Post, behaviour: Behaviour
    ) -> web.StreamResponse:
        match behaviour:
            case Answer(status, headers):
                post.status = status
                return web.Response(status=status, headers=headers)
            case Hang():
                held: asyncio.Future[Behaviour] = asyncio.get_running_loop().create_future()
                self._held.append(held)
                return await self._act(request, post, await held)
            case Reset():
                return await _reset(request)
            case SlowBody():
                post.status = 200
                return await _drip(request)


def fits(post: Post, before: Sequence[Post]) -> bool:
    """Tell whether what a request says of those before it is true."""
    if any(one.taken or one.status is None for one in before):
        return post.prior == "unknown"
    return not before or post.prior != "none"


async def _reset(request: web.Request) -> NoReturn:
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    await asyncio.Event().wait()  # the loss of the connection cancels this
    raise AssertionError


async def _drip(request: web.Request) -> NoReturn:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a little")
    await asyncio.Event().wait()
    raise AssertionError
