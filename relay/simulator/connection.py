"""One Blaze socket that is up: reads requests and answers them (docs/protocol.md, Actions)."""

import asyncio
import time
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from relay.simulator import sends
from relay.simulator.acks import acknowledge
from relay.simulator.codec import Unreadable, pack, unpack
from relay.simulator.exchange import Exchange
from relay.simulator.faults import AppError, ErrorFrame, Hang, Late, Lie, Moment, Reset, SocketFault
from relay.simulator.journal import Connect, Kind, Transport
from relay.simulator.keystore import Bot
from relay.simulator.message import PENDING
from relay.simulator.pump import Pump
from relay.simulator.wire import Wire

_UNSUPPORTED_DATA: Final = 1003
_POLICY_VIOLATION: Final = 1008

Envelope = dict[str, Any]
Answer = dict[str, Any] | AppError | None
"""What a request comes to: the answer's data, an error, or an answer without data."""


class Connection:
    """Serves one client from its upgrade to its end."""

    def __init__(
        self,
        exchange: Exchange,
        bot: Bot,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        record: Connect,
    ) -> None:
        self.bot = bot
        self._exchange = exchange
        self._record = record
        self._wire = Wire(exchange, socket, transport, record)
        self._drop = exchange.faults.drops.take()
        self._pump = Pump(exchange, exchange.mailbox(bot), self._wire, record, self._drop)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until either side ends it."""
        if await self._exchange.seat(self):
            self._begin(self._pump.run())
            self._begin(self._wire.keep_pinging())
            self._begin(self._drop_in_time())
        else:
            await self.drop(_POLICY_VIOLATION)
        try:
            await self._contained(self._wire.read(self._take))
        finally:
            self._exchange.leave(self)
            self._exchange.mailbox(self.bot).leave(self._pump)
            await self._end_tasks()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be pushed."""
        return self._pump.idle

    async def drop(self, code: int | None) -> None:
        """End the socket with a close code, or without a close frame if there is none."""
        with suppress(ConnectionError):
            await self._wire.drop(code)

    async def refuse(self, error: ErrorFrame) -> None:
        """Send an ERROR frame in the middle of all."""
        with suppress(ConnectionError):
            await self._wire.refuse(error)

    # --- Tasks

    def _begin(self, job: Coroutine[Any, Any, None]) -> None:
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
            self._exchange.journal.violation(Kind.SIMULATOR_BUG, traceback.format_exc())

    async def _drop_in_time(self) -> None:
        if self._drop and self._drop.moment is Moment.AFTER_SECONDS:
            await asyncio.sleep(self._drop.after)
            await self._wire.drop(self._drop.code)

    # --- Reading

    async def _take(self, frame: bytes | str) -> None:
        journal = self._exchange.journal
        journal.frame(self._record.number, frame, incoming=True)
        try:
            request = unpack(frame)
        except Unreadable as error:
            journal.violation(Kind.BAD_FRAME, str(error))
            if self._exchange.faults.bad_frame_closes:
                await self._wire.drop(_UNSUPPORTED_DATA)
        else:
            await self._serve(request)

    async def _serve(self, request: Envelope) -> None:
        action = request.get("action")
        if action == PENDING:
            await self._list(request)
            return
        if self._record.listed_at is None:
            self._exchange.journal.violation(Kind.SENT_BEFORE_LIST, str(action))
        match action:
            case "ACKNOWLEDGE_MESSAGE_RECEIPT" | "ACKNOWLEDGE_MESSAGE_RECEIPTS":
                await self._carry_out(request, self._exchange.faults.socket_acks.take())
            case "CREATE_MESSAGE" | "CREATE_PLAIN_MESSAGES":
                await self._carry_out(request, self._exchange.faults.sends.take())
            case "PING":
                await self._answer(request, None)
            case _:
                await self._answer(request, AppError(404))

    async def _list(self, request: Envelope) -> None:
        if self._record.listed_at is not None:
            self._exchange.journal.violation(Kind.LISTED_TWICE, f"socket {self._record.number}")
        self._record.listed_at = time.monotonic()
        self._exchange.journal.changed()
        error = await self._pump.list_pending(str(request.get("id")), _params(request))
        if error:
            await self._answer(request, error)

    # --- Acks and messages of the bot's own

    async def _carry_out(self, request: Envelope, fault: SocketFault | None) -> None:
        match fault:
            case None:
                await self._answer(request, self._act(request, apply=True))
            case AppError(applied=applied):
                self._act(request, apply=applied)
                await self._answer(request, fault)
            case Hang(applied):
                self._act(request, apply=applied)
            case Reset(applied):
                self._act(request, apply=applied)
                self._wire.reset()
            case Lie():
                self._act(request, apply=False)
                await self._answer(request, None)
            case Late(seconds):
                self._begin(self._answer_late(request, seconds))

    async def _answer_late(self, request: Envelope, seconds: float) -> None:
        answer = self._act(request, apply=True)
        await asyncio.sleep(seconds)
        await self._answer(request, answer)

    def _act(self, request: Envelope, *, apply: bool) -> Answer:
        params = _params(request)
        match request.get("action"):
            case "ACKNOWLEDGE_MESSAGE_RECEIPT":
                return self._acknowledge([params], Transport.SOCKET, apply=apply)
            case "ACKNOWLEDGE_MESSAGE_RECEIPTS":
                items = params.get("messages")
                return self._acknowledge(items, Transport.SOCKET_BATCH, apply=apply)
            case "CREATE_MESSAGE":
                return sends.take(self._exchange, self.bot, params) if apply else None
            case _:
                return self._take_many(params.get("messages"), apply=apply)

    def _acknowledge(self, items: Any, transport: Transport, *, apply: bool) -> AppError | None:
        return acknowledge(self._exchange, self.bot, items, transport, apply=apply)

    def _take_many(self, messages: Any, *, apply: bool) -> Answer:
        if not isinstance(messages, list):
            return AppError(10002)
        for message in messages if apply else ():
            answer = sends.take(self._exchange, self.bot, message)
            if isinstance(answer, AppError):
                return answer
        return None

    async def _answer(self, request: Envelope, answer: Answer) -> None:
        envelope = {"id": request.get("id"), "action": request.get("action")}
        if isinstance(answer, AppError):
            envelope["error"] = answer.body()
        elif answer is not None:
            envelope["data"] = answer
        await self._wire.send(pack(envelope))


def _params(request: Envelope) -> dict[str, Any]:
    params = request.get("params")
    return params if isinstance(params, dict) else {}
