"""The simulator with everything that can go wrong, scripted at `faults`.

simulator.faults.upgrades.next(throttle("2"), Answer(503), times=2)
simulator.faults.acks.always(AppError(7001, applied=True))
simulator.faults.acks.off()
simulator.faults.drops.next(Drop(Moment.AFTER_PUSHES, after=3))
simulator.faults.half_open = True
simulator.clock.advance(360)
"""

import asyncio
import json
import random
import socket
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, NoReturn

from aiohttp import WSMessage, web

from relay.simulator import Bot, Journal, Transport
from relay.simulator import Simulator as GoodSimulator
from relay.simulator.api import Api
from relay.simulator.bots import Check, Refusal, Signed
from relay.simulator.connection import Answer as SocketAnswer
from relay.simulator.connection import Connection, Envelope, transport_of
from relay.simulator.frames import (
    LARGEST_FRAME,
    LIVE,
    PENDING,
    RECEIPT,
    ApiError,
    Message,
    Unreadable,
    pack,
    receipt,
    timestamp,
    unpack,
)
from relay.simulator.journal import PATIENCE
from relay.simulator.pump import Echo as EchoOf
from relay.simulator.pump import Pump
from relay.simulator.state import Item, Mailbox, Socket, State
from tests.support.simulator.faults import (
    Answer,
    AppError,
    Drop,
    Echo,
    Empty,
    ErrorFrame,
    Faults,
    Hang,
    HttpFault,
    Late,
    Lie,
    Moment,
    Order,
    Place,
    Repeat,
    Reset,
    Sessions,
    Unechoed,
)
from tests.support.simulator.operations import ALL_OPERATIONS

_FINAL_BINARY, _FINAL_TEXT = 0x82, 0x81
_SHORT, _MEDIUM = 125, 0xFFFF
_NO_LINGER = struct.pack("ii", 1, 0)
_UNSUPPORTED_DATA = 1003
_GZIP = 16 + zlib.MAX_WBITS


class _Absent(Enum):
    """A marker that is not a value of JSON."""

    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""As a value in `changes`: the field is left out."""


@dataclass(frozen=True, slots=True)
class OddMessage(Message):
    """A message that may be pushed by another action, or with fields replaced or ABSENT.

    `changes` are those of the push; what the server itself knows stays.
    """

    action: str = LIVE
    changes: Mapping[str, Any] | None = None

    def push(self, envelope_id: str, source: str) -> dict[str, Any]:
        """Write the envelope of a push."""
        return {"id": envelope_id, "action": self.action, "data": self.data(source)}

    def data(self, source: str) -> dict[str, Any]:
        """Write what the envelope holds."""
        data = Message.data(self, source)
        if not self.changes:
            return data
        changed = {**data, **self.changes}
        return {name: value for name, value in changed.items() if value is not ABSENT}


FRAMES_KEPT: Final = 20_000
"""Frames that stay in memory."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One data frame; `incoming` says that the client sent it."""

    at: float
    connection: int
    incoming: bool
    raw: bytes | str

    @property
    def decoded(self) -> dict[str, Any] | None:
        """The envelope, None if the bytes are none."""
        try:
            return unpack(self.raw)
        except Unreadable:
            return None


class FullJournal(Journal):
    """Keeps frames, too, in order, each before its answer."""

    def __init__(self, patience: float = PATIENCE) -> None:
        super().__init__(patience)
        self.frames: deque[Frame] = deque(maxlen=FRAMES_KEPT)

    def frame(self, connection: int, raw: bytes | str, *, incoming: bool) -> None:
        """Write down a frame."""
        self.frames.append(Frame(time.monotonic(), connection, incoming, raw))
        self.changed()

    def kinds(self) -> Counter[str]:
        """Count the violations."""
        return Counter(str(violation.kind) for violation in self.violations)


class FaultyMailbox(Mailbox):
    """Splits what is live among the sockets, if that is asked for, and knows what was read."""

    split = False
    _turn = 0

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Message] = {}

    def add(self, message: Message) -> None:
        """Keep a message for good."""
        self._known[message.message_id] = message
        super().add(message)

    def find(self, message_id: str) -> Message | None:
        """Look a message up, acknowledged or not."""
        return self._known.get(message_id)

    def offer(self, item: Item) -> None:
        """Push something to each listener, or to one in turn if pushes are split."""
        if not self.split or not self._listeners:
            super().offer(item)
            return
        self._turn += 1
        self._listeners[self._turn % len(self._listeners)].offer(item)


class FaultyState(State):
    """Also knows what goes wrong, which sessions are revoked, and what raw frames held."""

    journal: FullJournal
    mailbox_class = FaultyMailbox

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.faults = Faults()
        self.poison: list[bytes | str] = []
        self.raw_ids: set[str] = set()
        self.revoked: set[str] = set()

    def check(self, token: str, signed: Signed) -> Check:
        """Check a token; a revoked session's is refused."""
        check = super().check(token, signed)
        if check.bot and check.refusal is None and check.bot.session_id in self.revoked:
            return Check(Refusal.REVOKED, check.bot, check.claims)
        return check

    async def seat(self, socket: Socket) -> bool:
        """Take a new socket in as the policy says; False if it is refused."""
        policy, mailbox = self.faults.sessions, self.mailbox(socket.bot)
        assert isinstance(mailbox, FaultyMailbox)
        mailbox.split = policy is Sessions.SPLIT
        others = [one for one in self.sockets if one.bot == socket.bot]
        if others and policy is Sessions.NEWEST_REFUSED:
            return False
        await super().seat(socket)
        if policy is Sessions.NEWEST_WINS:
            for other in others:
                await other.drop(1000)
        return True

    def judge_acks(self, message_ids: list[str]) -> ApiError | None:
        """Tell what is wrong with a batch; one bad id spoils it."""
        if error := super().judge_acks(message_ids):
            return error
        for message_id in message_ids:
            if message_id in self.faults.bad_ids:
                return ApiError(self.faults.bad_ids[message_id])
            if self.faults.unknown_ids is not None and not self.was_pushed(message_id):
                return ApiError(self.faults.unknown_ids)
        return None

    def was_pushed(self, message_id: str) -> bool:
        """Tell whether a client may know of a message, by a raw frame too."""
        return super().was_pushed(message_id) or message_id in self.raw_ids

    def taken(self, bot: Bot, message_id: str) -> None:
        """Push the statuses of a message that the bot sent."""
        for status in self.faults.receipts:
            self.push_receipt(bot, message_id, status)

    def push_receipt(self, bot: Bot, message_id: str, status: str) -> None:
        """Push what became of a message to the bot that sent it."""
        data = receipt(message_id, status, self.clock.now())
        frame = pack({"id": self.new_id(), "action": RECEIPT, "data": data})
        self.mailbox(bot).offer(frame)

    def remember_raw(self, frames: Iterable[bytes | str]) -> None:
        """Note the messages in raw frames: whoever can read them may acknowledge them."""
        for frame in frames:
            data = (peek(frame) or {}).get("data")
            if isinstance(data, dict):
                self.raw_ids.add(str(data.get("message_id")))


class FaultyPump(Pump):
    """Pushes in another order, in pages, twice, and until the socket is dropped."""

    state: FaultyState
    drop: Drop | None = None
    abandon: Callable[[int | None], Any]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._page: set[str] = set()
        self._live_turn = False

    def release(self, message_ids: Iterable[str]) -> None:
        """Make room on the page."""
        if self._page:
            self._page.difference_update(message_ids)
            self.wake.set()

    async def list_pending(self, request_id: str, params: Mapping[str, Any]) -> ApiError | None:
        """Begin with the backlog, or again; answers with the error that is to be sent instead."""
        fault = self.state.faults.lists.take()
        if isinstance(fault, AppError):
            return fault
        self._page.clear()
        offset = str(params.get("offset", ""))
        self.begin([] if isinstance(fault, Empty) else self._pending(offset))
        self._place_echo(EchoOf(request_id), fault if isinstance(fault, Echo) else Echo())
        self.backlog.extend(self.state.poison)
        return None

    def _pending(self, offset: str) -> list[Message]:
        faults = self.state.faults
        messages = self.mailbox.pending(self.state.clock.now())
        if offset and faults.honour_offset:
            messages = [one for one in messages if timestamp(one.created_at) > offset]
        match faults.order:
            case Order.OLDEST_FIRST:
                pass
            case Order.NEWEST_FIRST:
                messages.reverse()
            case Order.SHUFFLED:
                random.shuffle(messages)
        return messages

    def _place_echo(self, echo: EchoOf, fault: Echo) -> None:
        if fault.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay, self._push_echo_late, echo)
            return
        match fault.place:
            case Place.FIRST:
                self.backlog.appendleft(echo)
            case Place.MIDDLE:
                self.backlog.insert(len(self.backlog) // 2, echo)
            case Place.LAST:
                self.backlog.append(echo)
            case Place.NEVER:
                pass

    def _push_echo_late(self, echo: EchoOf) -> None:
        self.backlog.appendleft(echo)
        self.wake.set()

    def choose(self) -> tuple[Item | EchoOf, str] | None:
        """Choose what is pushed next: live messages may be mixed in, and the page may be full."""
        if self._live_is_next():
            return self.live.popleft(), LIVE
        if not self.backlog or self._page_is_full():
            return None
        return self.backlog.popleft(), PENDING

    def _live_is_next(self) -> bool:
        self._live_turn = not self._live_turn
        if not self.live or not self.backlog:
            return bool(self.live)
        return self.state.faults.mix_live and (self._live_turn or self._page_is_full())

    def _page_is_full(self) -> bool:
        limit = self.state.faults.page_limit
        return limit is not None and len(self._page) >= limit

    async def push(self, item: Item | EchoOf, source: str) -> None:
        """Push one thing; around an echo the socket may be dropped."""
        match item:
            case EchoOf():
                await self._drop_at(Moment.BEFORE_ECHO)
                await super().push(item, source)
                await self._drop_at(Moment.AFTER_ECHO)
            case _:
                await super().push(item, source)

    async def push_message(self, message: Message, source: str) -> None:
        """Push a message, and perhaps again."""
        if source == PENDING and self.state.faults.page_limit is not None:
            self._page.add(message.message_id)
        frame = self._frame(message, source)
        await self.push_frame(message, frame)
        if (repeat := self.state.faults.pushes.take()) is not None:
            await self._repeat(message, source, frame, repeat)

    async def _repeat(self, message: Message, source: str, frame: bytes, repeat: Repeat) -> None:
        if repeat.content is not None:
            message = replace(message, payload=repeat.content)
        for _ in range(repeat.times):
            again = frame if repeat.same_frame else self._frame(message, source)
            await self.push_frame(message, again)

    def _frame(self, message: Message, source: str) -> bytes:
        return pack(message.push(self.state.new_id(), source))

    async def push_frame(self, message: Message, frame: bytes) -> None:
        """Push a message's frame; a half-open socket takes it, and pushes nothing."""
        if self.state.faults.half_open:
            return
        await super().push_frame(message, frame)
        if self.drop and self.record.pushes >= self.drop.after:
            await self._drop_at(Moment.AFTER_PUSHES)

    async def _drop_at(self, moment: Moment) -> None:
        if self.drop and self.drop.moment is moment:
            await self.abandon(self.drop.code)
            raise ConnectionResetError("dropped as the fault says")


class FaultyConnection(Connection):
    """A socket on a bad line, at a server that errs."""

    state: FaultyState
    pump: FaultyPump
    pump_class = FaultyPump

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.state.faults

    # --- The handshake

    async def open(self, check: Check) -> web.StreamResponse:
        """Shake hands as the script says."""
        fault = self.faults.upgrades.take()
        match fault:
            case Hang():
                self.note_refusal("hang")
                await hang()
            case Reset():
                self.note_refusal("reset")
                reset_connection(self.transport)
                await hang()
            case Late(seconds):
                await asyncio.sleep(seconds)
            case None | Unechoed() | Answer() | ErrorFrame():
                pass
        refusal = self.faults.bad_token if check.refusal else None
        match fault if isinstance(fault, Answer | ErrorFrame) else refusal:
            case Answer() as answer:
                self.note_refusal(f"HTTP {answer.status}")
                return plain(answer, self.state)
            case ErrorFrame(code, close):
                return await self.turn_away(code, close=close)
            case None:
                assert check.bot is not None
                return await self.welcome(check.bot, echo=fault != Unechoed())

    def begin_pushing(self) -> None:
        """Push until the socket is dropped, if it is to be."""
        self.pump.drop = self.faults.drops.take()
        self.pump.abandon = self.drop
        super().begin_pushing()
        self.begin(self._drop_in_time())

    async def _drop_in_time(self) -> None:
        drop = self.pump.drop
        if drop and drop.moment is Moment.AFTER_SECONDS:
            await asyncio.sleep(drop.after)
            await self.drop(drop.code)

    # --- Frames

    async def send(self, frame: bytes | str) -> None:
        """Send a frame; a half-open socket sends nothing."""
        if not self.faults.half_open:
            if not self.is_closing:
                self.state.journal.frame(self.record.number, frame, incoming=False)
            await super().send(frame)

    async def hear(self, frame: bytes | str) -> None:
        """Take a frame of the client."""
        self.state.journal.frame(self.record.number, frame, incoming=True)
        await super().hear(frame)

    async def write(self, frame: bytes | str) -> None:
        """Write a frame, byte by byte if the line drips."""
        if (pause := self.faults.drip) is None:
            await super().write(frame)
            return
        for byte in _framed(frame):
            if self.transport.is_closing():
                raise ConnectionResetError("the client is gone")
            self.transport.write(bytes((byte,)))
            await asyncio.sleep(pause)

    async def receive(self) -> WSMessage:
        """Wait for what the client sends next, or leave it where it is."""
        if self.faults.stop_reading:
            self.transport.pause_reading()
        return await super().receive()

    async def keep_pinging(self) -> None:
        """Ping for as long as the socket lives, if that is asked for."""
        while (pause := self.faults.ping_every) is not None:
            await asyncio.sleep(pause)
            if not self.faults.half_open:
                await self.ping()

    async def pong(self, payload: bytes) -> None:
        """Answer a ping, unless the server is to be dead."""
        if self.faults.answer_pings and not self.faults.half_open:
            await super().pong(payload)

    async def heard_nonsense(self) -> None:
        """End the socket for a frame that is none, if that is asked for."""
        if self.faults.bad_frame_closes:
            await self.drop(_UNSUPPORTED_DATA)

    # --- Requests

    async def carry_out(self, request: Envelope) -> None:
        """Do what is asked and answer, or only one of the two."""
        acks = str(request.get("action")).startswith(RECEIPT)
        match (self.faults.socket_acks if acks else self.faults.sends).take():
            case None:
                await super().carry_out(request)
            case AppError(applied=applied) as fault:
                self.act(request, apply=applied)
                await self.answer(request, fault)
            case Hang(applied):
                self.act(request, apply=applied)
            case Reset(applied):
                self.act(request, apply=applied)
                reset_connection(self.transport)
            case Lie():
                self.act(request, apply=False)
                await self.answer(request, None)
            case Late(seconds):
                self.begin(self._answer_late(request, self.act(request), seconds))

    async def _answer_late(self, request: Envelope, answer: SocketAnswer, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.answer(request, answer)


class FaultyApi(Api):
    """More of Mixin's HTTP API, behind a bad proxy."""

    state: FaultyState

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.operations = dict(ALL_OPERATIONS)

    async def respond(self, request: web.Request, body: bytes, check: Check) -> web.Response:
        """Do what is asked and answer, or only one of the two."""

        def act(*, apply: bool = True) -> Any:
            return self._act(request, body, check, apply=apply)

        answer: Any
        match self._fault(request.path):
            case None:
                answer = act()
            case Late(seconds):
                answer = act()
                await asyncio.sleep(seconds)
            case Lie():
                act(apply=False)
                answer = {}
            case AppError(applied=applied) as answer:
                act(apply=applied)
            case Answer(applied=applied) as fault:
                act(apply=applied)
                return plain(fault, self.state)
            case Hang(applied):
                act(apply=applied)
                await hang()
            case Reset(applied):
                act(apply=applied)
                reset_connection(transport_of(request))
                await hang()
        return self.envelope(request, answer)

    def _fault(self, path: str) -> HttpFault | None:
        faults = self.state.faults
        return {"/acknowledgements": faults.acks, "/me": faults.me}.get(path, faults.api).take()

    def _act(self, request: web.Request, body: bytes, check: Check, *, apply: bool) -> Any:
        """Do what is asked; without `apply`, acks are written down and nothing else happens."""
        acks = request.path == "/acknowledgements"
        if apply:
            answer = super().act(request, body, check)
            array = acks and answer == {} and self.state.faults.ack_answers_array
            return json.loads(body) if array else answer
        if acks and check.bot and not check.refusal:
            with suppress(ValueError):
                items = json.loads(body)
                self.state.acknowledge(check.bot, items, Transport.HTTP, apply=False)
        return {}


class Simulator(GoodSimulator):
    """A simulator whose faults tests switch on, and that waits for whatever a test wants to see."""

    journal: FullJournal
    state: FaultyState
    journal_class = FullJournal
    state_class = FaultyState
    connection_class = FaultyConnection
    api_class = FaultyApi
    message_class = OddMessage

    @property
    def faults(self) -> Faults:
        """What goes wrong; see `tests.support.simulator.faults`."""
        return self.state.faults

    async def revoke(self, bot: Bot | None = None, *, close: bool = True) -> None:
        """Revoke a bot's session: an ERROR frame on its sockets, and 401 from now on."""
        self.state.revoked.add((bot or self.bot).session_id)
        await self.send_error(ErrorFrame(401, close), bot)

    def restore(self, bot: Bot | None = None) -> None:
        """Take a revocation back."""
        self.state.revoked.discard((bot or self.bot).session_id)

    async def send_error(self, error: ErrorFrame, bot: Bot | None = None) -> None:
        """Send an ERROR frame on the sockets that are up."""
        for one in self.sockets(bot):
            await one.refuse(error.code, close=error.close)

    # --- Pushes

    def push_again(self, message_id: str, *, bot: Bot | None = None, **fields: Any) -> None:
        """Push a known message once more as if it were live, acknowledged or not.

        `fields` of `OddMessage` change it for this once, such as `payload` or `changes`. Raises
        LookupError for a message that the server never had.
        """
        mailbox = self.state.mailbox(bot or self.bot)
        assert isinstance(mailbox, FaultyMailbox)
        message = mailbox.find(message_id)
        if message is None:
            raise LookupError(message_id)
        mailbox.offer(replace(message, **fields))

    def push_frame(
        self, frame: bytes | str, *, bot: Bot | None = None, always: bool = False
    ) -> None:
        """Push a frame as it is, a str as a text frame, to the sockets that have listed.

        With `always` every later socket gets it too, after its backlog: poison comes back.
        """
        self.state.remember_raw([frame])
        if always:
            self.state.poison.append(frame)
        self.state.mailbox(bot or self.bot).offer(frame)

    def push_receipt(self, message_id: str, status: str, bot: Bot | None = None) -> None:
        """Push the status of a message that the bot sent, or never sent."""
        self.state.push_receipt(bot or self.bot, message_id, status)

    # --- Waiting for facts

    async def connected(self, times: int = 1) -> None:
        """Wait until so many sockets have come up since the start."""
        await self.until(lambda: len(self.journal.accepted) >= times, f"{times} connects")

    async def attempted(self, times: int = 1) -> None:
        """Wait until so many upgrades were tried, whatever became of them."""
        await self.until(lambda: len(self.journal.connects) >= times, f"{times} upgrades")

    async def listed(self, times: int = 1) -> None:
        """Wait until LIST_PENDING_MESSAGES has come on so many sockets."""
        await self.until(
            lambda: sum(one.listed_at is not None for one in self.journal.accepted) >= times,
            f"LIST_PENDING_MESSAGES on {times} sockets",
        )

    async def disconnected(self, times: int = 1) -> None:
        """Wait until so many sockets have come to their end."""
        await self.until(
            lambda: sum(one.closed_at is not None for one in self.journal.accepted) >= times,
            f"{times} sockets closed",
        )

    async def requested(self, path: str, times: int = 1) -> None:
        """Wait until so many HTTP requests for that path have come."""
        await self.until(
            lambda: sum(one.path == path for one in self.journal.requests) >= times,
            f"{times} requests for {path}",
        )

    async def pushed(self, message_id: str, times: int = 1) -> None:
        """Wait until a message was pushed so many times."""
        await self.until(
            lambda: self.journal.pushed[message_id] >= times, f"{times} pushes of {message_id}"
        )

    async def all_acknowledged(self, bot: Bot | None = None) -> None:
        """Wait until nothing is pending."""
        mailbox = self.state.mailbox(bot or self.bot)
        await self.until(lambda: len(mailbox) == 0, "every message acknowledged")

    async def flushed(self) -> None:
        """Wait until the sockets that are up have been sent all that there is to push."""

        def pushed() -> bool:
            pumps = (one.pump for one in self.sockets() if isinstance(one, FaultyConnection))
            return not any(pump.wake.is_set() for pump in pumps)

        await self.until(pushed, "everything pushed")


def plain(answer: Answer, state: State) -> web.Response:
    """Write a proxy's answer."""
    return web.Response(
        status=answer.status,
        text=answer.body,
        content_type=answer.content_type,
        headers={"X-Server-Time": state.clock.header(), **answer.headers},
    )


def reset_connection(transport: asyncio.Transport) -> None:
    """End a connection by a RST: nothing lingers, what is unsent is lost."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def hang() -> NoReturn:
    """Do nothing until the client gives up or the server stops, either of which cancels this."""
    while True:
        await asyncio.Event().wait()


def peek(frame: bytes | str) -> dict[str, Any] | None:
    """Read whatever a lenient reader might make of a frame, None if that is nothing."""
    try:
        unpacker = zlib.decompressobj(_GZIP)
        content = frame if isinstance(frame, str) else unpacker.decompress(frame, LARGEST_FRAME)
        envelope = json.loads(content)
    except (zlib.error, ValueError, RecursionError):
        return None
    return envelope if isinstance(envelope, dict) else None


def _framed(frame: bytes | str) -> bytes:
    content = frame.encode() if isinstance(frame, str) else frame
    opcode = _FINAL_TEXT if isinstance(frame, str) else _FINAL_BINARY
    size = len(content)
    if size <= _SHORT:
        return bytes((opcode, size)) + content
    if size <= _MEDIUM:
        return bytes((opcode, _SHORT + 1)) + size.to_bytes(2, "big") + content
    return bytes((opcode, _SHORT + 2)) + size.to_bytes(8, "big") + content
