"""What one socket is pushed, and in which order."""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.simulator.codec import pack
from relay.simulator.exchange import Exchange
from relay.simulator.faults import AppError, Drop, Echo, Empty, Moment, Order, Place, Repeat
from relay.simulator.journal import Connect
from relay.simulator.mailbox import Item, Mailbox
from relay.simulator.message import LIVE, PENDING, Message, timestamp
from relay.simulator.wire import Wire

_BREATH: Final = 32
"""Frames after which others get a turn: sending into an empty buffer never waits by itself."""


@dataclass(frozen=True, slots=True)
class _EchoOf:
    """The answer to LIST_PENDING_MESSAGES, in its place among the pushes."""

    request_id: str


class Pump:
    """Pushes the backlog and then what arrives, one frame at a time, as fast as the client reads.

    Frames are made when their turn comes: a long backlog costs no more than its messages.
    """

    def __init__(
        self, exchange: Exchange, mailbox: Mailbox, wire: Wire, record: Connect, drop: Drop | None
    ) -> None:
        self._exchange = exchange
        self._mailbox = mailbox
        self._wire = wire
        self._record = record
        self._drop = drop
        self._backlog: deque[Item | _EchoOf] = deque()
        self._live: deque[Item] = deque()
        self._page: set[str] = set()
        self._live_turn = False
        self._wake = asyncio.Event()

    def offer(self, item: Item) -> None:
        """Take something live."""
        self._live.append(item)
        self._wake.set()

    def release(self, message_ids: Iterable[str]) -> None:
        """Make room on the page."""
        if self._page:
            self._page.difference_update(message_ids)
            self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether all is pushed that may be."""
        return not self._wake.is_set()

    async def list_pending(self, request_id: str, params: Mapping[str, Any]) -> AppError | None:
        """Begin with the backlog, or again; answers with the error that is to be sent instead."""
        fault = self._exchange.faults.lists.take()
        if isinstance(fault, AppError):
            return fault
        self._page.clear()
        self._backlog.clear()
        messages = [] if isinstance(fault, Empty) else self._pending(str(params.get("offset", "")))
        self._backlog.extend(messages)
        self._place_echo(_EchoOf(request_id), fault if isinstance(fault, Echo) else Echo())
        self._backlog.extend(self._exchange.poison)
        self._mailbox.listen(self)
        self._wake.set()
        return None

    async def run(self) -> None:
        """Push until the socket is gone."""
        sent = 0
        while True:
            await self._wake.wait()
            if not await self._step():
                self._wake.clear()
                self._exchange.journal.changed()
            sent += 1
            if sent % _BREATH == 0:
                await asyncio.sleep(0)

    # --- The order

    def _pending(self, offset: str) -> list[Message]:
        messages = self._mailbox.pending(self._exchange.clock.now())
        if offset and self._exchange.faults.honour_offset:
            messages = [one for one in messages if timestamp(one.created_at) > offset]
        match self._exchange.faults.order:
            case Order.OLDEST_FIRST:
                pass
            case Order.NEWEST_FIRST:
                messages.reverse()
            case Order.SHUFFLED:
                random.shuffle(messages)
        return messages

    def _place_echo(self, echo: _EchoOf, fault: Echo) -> None:
        if fault.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay, self._push_echo_late, echo)
            return
        match fault.place:
            case Place.FIRST:
                self._backlog.appendleft(echo)
            case Place.MIDDLE:
                self._backlog.insert(len(self._backlog) // 2, echo)
            case Place.LAST:
                self._backlog.append(echo)
            case Place.NEVER:
                pass

    def _push_echo_late(self, echo: _EchoOf) -> None:
        self._backlog.appendleft(echo)
        self._wake.set()

    async def _step(self) -> bool:
        """Push what is next; False if nothing may be pushed now."""
        if self._live_is_next():
            await self._send(self._live.popleft(), LIVE)
        elif self._backlog and not self._page_is_full():
            await self._step_backlog(self._backlog.popleft())
        else:
            return False
        return True

    def _live_is_next(self) -> bool:
        self._live_turn = not self._live_turn
        if not self._live or not self._backlog:
            return bool(self._live)
        return self._exchange.faults.mix_live and (self._live_turn or self._page_is_full())

    def _page_is_full(self) -> bool:
        limit = self._exchange.faults.page_limit
        return limit is not None and len(self._page) >= limit

    async def _step_backlog(self, item: Item | _EchoOf) -> None:
        if isinstance(item, Message):
            if not self._mailbox.is_pending(item.message_id):
                return
            if self._exchange.faults.page_limit is not None:
                self._page.add(item.message_id)
        await self._send(item, PENDING)

    # --- The sending

    async def _send(self, item: Item | _EchoOf, source: str) -> None:
        match item:
            case Message():
                await self._push(item, source)
            case _EchoOf(request_id):
                await self._echo(request_id)
            case bytes() | str():
                await self._wire.send(item)

    async def _echo(self, request_id: str) -> None:
        await self._drop_at(Moment.BEFORE_ECHO)
        await self._wire.send(pack({"id": request_id, "action": PENDING}))
        await self._drop_at(Moment.AFTER_ECHO)

    async def _push(self, message: Message, source: str) -> None:
        frame = self._frame(message, source)
        await self._push_frame(message, frame)
        repeat = self._exchange.faults.pushes.take()
        if repeat is not None:
            await self._repeat(message, source, frame, repeat)

    async def _repeat(self, message: Message, source: str, frame: bytes, repeat: Repeat) -> None:
        if repeat.content is not None:
            message = replace(message, payload=repeat.content)
        for _ in range(repeat.times):
            again = frame if repeat.same_frame else self._frame(message, source)
            await self._push_frame(message, again)

    def _frame(self, message: Message, source: str) -> bytes:
        return pack(message.push(self._exchange.new_id(), source))

    async def _push_frame(self, message: Message, frame: bytes) -> None:
        if not self._exchange.faults.half_open:
            self._exchange.journal.pushed[message.message_id] += 1
            self._record.pushes += 1
        await self._wire.send(frame)
        if self._drop and self._record.pushes >= self._drop.after:
            await self._drop_at(Moment.AFTER_PUSHES)

    async def _drop_at(self, moment: Moment) -> None:
        if self._drop and self._drop.moment is moment:
            await self._wire.drop(self._drop.code)
            raise ConnectionResetError("dropped as the fault says")
