"""One Blaze socket, from its handshake to its end: frames in and out, requests and answers."""

import asyncio
import struct
import time
import traceback
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from relay.simulator.bots import Bot, Check, Signed
from relay.simulator.frames import (
    LARGEST_FRAME,
    PENDING,
    ApiError,
    Unreadable,
    error_frame,
    pack,
    unpack,
)
from relay.simulator.journal import Connect, Kind, Transport
from relay.simulator.pump import Pump
from relay.simulator.state import State

SUBPROTOCOL: Final = "Mixin-Blaze-1"

CLOSE_WAIT: Final = 2.0
"""Seconds that a client gets to answer a close frame."""

PING_EVERY: Final = 20.0
"""Seconds between two pings of the server."""

_POLICY_VIOLATION: Final = 1008

Envelope = dict[str, Any]
Answer = dict[str, Any] | ApiError | None
"""What a request comes to: the answer's data, an error, or an answer without data."""


class Connection:
    """Serves one client. Raises ConnectionError inside once the client is gone."""

    bot: Bot
    socket: web.WebSocketResponse
    pump: Pump
    pump_class: type[Pump] = Pump

    def __init__(self, state: State, request: web.Request) -> None:
        self.state = state
        self.request = request
        connects = state.journal.connects
        self.record = Connect(
            len(connects), time.monotonic(), request.raw_path, headers_of(request)
        )
        connects.append(self.record)
        state.journal.changed()
        self.transport = transport_of(request)
        self.is_closing = False
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> web.StreamResponse:
        """Serve from the handshake to the end."""
        check = self._authenticate()
        self.record.claims = check.claims
        self.record.app_id = check.bot.app_id if check.bot else None
        try:
            return await self.open(check)
        finally:
            self.record.closed_at = time.monotonic()
            self.state.journal.tell(self.record)

    def _authenticate(self) -> Check:
        if token := bearer(self.request):
            return self.state.authenticate(token, Signed("GET", self.request.raw_path))
        # A browser can't set headers; its token is signed for the path without the query.
        token = self.request.query.get("access_token", "")
        return self.state.authenticate(token, Signed("GET", self.request.path))

    async def open(self, check: Check) -> web.StreamResponse:
        """Serve who has a good token; others are let in, too, to be told of the error."""
        if check.refusal or check.bot is None:
            return await self.turn_away(401)
        return await self.welcome(check.bot)

    # --- The handshake

    async def handshake(self, *, echo: bool = True) -> None:
        """Upgrade the connection; `echo` says whether to agree to the subprotocol."""
        offered = SUBPROTOCOL in self.request.headers.get("Sec-WebSocket-Protocol", "")
        self.socket = web.WebSocketResponse(
            timeout=CLOSE_WAIT,
            autoping=False,
            autoclose=False,
            compress=False,
            protocols=(SUBPROTOCOL,) if echo and offered else (),
            max_msg_size=LARGEST_FRAME,
        )
        self.socket.headers["X-Server-Time"] = self.state.clock.header()
        await self.socket.prepare(self.request)

    async def turn_away(self, code: int, *, close: bool = True) -> web.StreamResponse:
        """Let the upgrade succeed, and send an ERROR frame at once."""
        self.note_refusal(f"ERROR {code}")
        await self.handshake()
        with suppress(ConnectionError):
            await self.refuse(code, close=close)
            await self._read()
        return self.socket

    def note_refusal(self, why: str) -> None:
        """Write down that this comes to nothing."""
        self.record.refused = why
        self.state.journal.tell(self.record)

    async def welcome(self, bot: Bot, *, echo: bool = True) -> web.StreamResponse:
        """Serve a bot until either side ends it."""
        await self.handshake(echo=echo)
        self.bot = bot
        mailbox = self.state.mailbox(bot)
        self.pump = self.pump_class(self.state, mailbox, self.record, self.send)
        self.record.accepted_at = time.monotonic()
        self.state.journal.tell(self.record)
        try:
            await self._serve_bot()
        finally:
            self.state.leave(self)
            mailbox.leave(self.pump)
            self.record.close_code = self.record.close_code or self.socket.close_code
            await self._end_tasks()
        return self.socket

    async def _serve_bot(self) -> None:
        if await self.state.seat(self):
            self.begin_pushing()
        else:
            await self.drop(_POLICY_VIOLATION)
        await self._contained(self._read())

    def begin_pushing(self) -> None:
        """Push, and ping, until the socket ends."""
        self.begin(self.pump.run())
        self.begin(self.keep_pinging())

    # --- Tasks

    def begin(self, job: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until the socket ends."""
        task = asyncio.create_task(self._contained(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _contained(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except ConnectionError:
            return
        except Exception:  # noqa: BLE001 - a bug in here must show in the test, not in a log
            self.state.journal.violation(Kind.SIMULATOR_BUG, traceback.format_exc())

    # --- Frames out

    async def send(self, frame: bytes | str) -> None:
        """Send a frame."""
        if self.is_closing:
            raise ConnectionResetError("the socket is closing")
        async with self._lock:
            await self.write(frame)

    async def write(self, frame: bytes | str) -> None:
        """Write a frame."""
        if isinstance(frame, str):
            await self.socket.send_str(frame)
        else:
            await self.socket.send_bytes(frame)

    async def refuse(self, code: int, *, close: bool) -> None:
        """Send an ERROR frame, and close if that is asked for; nothing if the client is gone."""
        with suppress(ConnectionError):
            await self.send(error_frame(code))
            if close:
                await self.drop(1000)

    async def drop(self, code: int | None) -> None:
        """End the socket with a close code, or without a close frame if there is none."""
        self.record.close_code = self.record.close_code or code
        if code is None:
            self.transport.abort()
        elif not self.is_closing:
            self.is_closing = True
            asyncio.get_running_loop().call_later(CLOSE_WAIT, self.transport.abort)
            with suppress(ConnectionError):
                await self.socket.send_frame(struct.pack("!H", code), WSMsgType.CLOSE)

    async def keep_pinging(self) -> None:
        """Ping for as long as the socket lives."""
        while True:
            await asyncio.sleep(PING_EVERY)
            await self.ping()

    async def ping(self) -> None:
        """Ping once."""
        if not self.is_closing:
            async with self._lock:
                await self.socket.ping()

    async def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        if not self.is_closing:
            async with self._lock:
                await self.socket.pong(payload)

    # --- Frames in

    async def receive(self) -> WSMessage:
        """Wait for what the client sends next."""
        return await self.socket.receive()

    async def _read(self) -> None:
        """Take frames and answer pings until the client is gone; one refused is not heard."""
        while True:
            received = await self.receive()
            match received.type:
                case WSMsgType.BINARY | WSMsgType.TEXT:
                    if self.record.refused is None:
                        await self.hear(received.data)
                case WSMsgType.PING:
                    await self.pong(received.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    break
        if self.is_closing:
            # The client has answered our close frame; aiohttp would send another one.
            self.transport.close()

    async def hear(self, frame: bytes | str) -> None:
        """Take a frame of the client."""
        try:
            request = unpack(frame)
        except Unreadable as error:
            self.state.journal.violation(Kind.BAD_FRAME, str(error))
            await self.heard_nonsense()
        else:
            await self._serve_request(request)

    async def heard_nonsense(self) -> None:
        """Pass over a frame that is none."""

    async def _serve_request(self, request: Envelope) -> None:
        action = request.get("action")
        if action == PENDING:
            await self._list(request)
            return
        if self.record.listed_at is None:
            self.state.journal.violation(Kind.SENT_BEFORE_LIST, str(action))
        match action:
            case "PING":
                await self.answer(request, None)
            case "ACKNOWLEDGE_MESSAGE_RECEIPT" | "ACKNOWLEDGE_MESSAGE_RECEIPTS":
                await self.carry_out(request)
            case "CREATE_MESSAGE" | "CREATE_PLAIN_MESSAGES":
                await self.carry_out(request)
            case _:
                await self.answer(request, ApiError(404))

    async def _list(self, request: Envelope) -> None:
        if self.record.listed_at is not None:
            self.state.journal.violation(Kind.LISTED_TWICE, f"socket {self.record.number}")
        self.record.listed_at = time.monotonic()
        self.state.journal.changed()
        error = await self.pump.list_pending(str(request.get("id")), _params(request))
        if error:
            await self.answer(request, error)

    # --- Acks and messages of the bot's own

    async def carry_out(self, request: Envelope) -> None:
        """Do what is asked, and answer."""
        await self.answer(request, self.act(request))

    def act(self, request: Envelope, *, apply: bool = True) -> Answer:
        """Do what is asked; without `apply`, acks are written down and nothing else happens."""
        params, state = _params(request), self.state
        match request.get("action"):
            case "ACKNOWLEDGE_MESSAGE_RECEIPT":
                return state.acknowledge(self.bot, [params], Transport.SOCKET, apply=apply)
            case "ACKNOWLEDGE_MESSAGE_RECEIPTS":
                acks = params.get("messages")
                return state.acknowledge(self.bot, acks, Transport.SOCKET_BATCH, apply=apply)
            case "CREATE_MESSAGE":
                return state.take(self.bot, params) if apply else None
            case _:
                return self._take_many(params.get("messages")) if apply else None

    def _take_many(self, messages: Any) -> Answer:
        if not isinstance(messages, list):
            return ApiError(10002)
        answers = (self.state.take(self.bot, message) for message in messages)
        return next((answer for answer in answers if isinstance(answer, ApiError)), None)

    async def answer(self, request: Envelope, answer: Answer) -> None:
        """Answer a request."""
        envelope = {"id": request.get("id"), "action": request.get("action")}
        if isinstance(answer, ApiError):
            envelope["error"] = answer.body()
        elif answer is not None:
            envelope["data"] = answer
        await self.send(pack(envelope))


def _params(request: Envelope) -> dict[str, Any]:
    params = request.get("params")
    return params if isinstance(params, dict) else {}


def bearer(request: web.Request) -> str:
    """Read the token from the header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def headers_of(request: web.Request) -> Mapping[str, str]:
    """Copy the headers for the journal, without the token: its claims are there."""
    headers = request.headers.copy()
    headers.popall("Authorization", None)
    return headers


def transport_of(request: web.Request) -> asyncio.Transport:
    """Find the connection under a request; raises ConnectionResetError if it is gone."""
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    return request.transport
