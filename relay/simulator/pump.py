"""What one socket is pushed: the backlog once it asks for it, and then what arrives."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.simulator.frames import LIVE, PENDING, ApiError, Message, pack
from relay.simulator.journal import Connect
from relay.simulator.state import Item, Mailbox, State

_BREATH: Final = 32
"""Frames after which others get a turn: sending into an empty buffer never waits by itself."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The answer to LIST_PENDING_MESSAGES, in its place among the pushes."""

    request_id: str


class Pump:
    """Pushes one frame at a time, as fast as the client reads.

    Frames are made when their turn comes: a long backlog costs no more than its messages.
    """

    def __init__(
        self,
        state: State,
        mailbox: Mailbox,
        record: Connect,
        send: Callable[[bytes | str], Awaitable[None]],
    ) -> None:
        self.state = state
        self.mailbox = mailbox
        self.record = record
        self.send = send
        self.backlog: deque[Item | Echo] = deque()
        self.live: deque[Item] = deque()
        self.wake = asyncio.Event()

    def offer(self, item: Item) -> None:
        """Take something live."""
        self.live.append(item)
        self.wake.set()

    def release(self, message_ids: Iterable[str]) -> None:
        """Learn that messages were acknowledged; what is pending is looked up at each push."""

    async def list_pending(self, request_id: str, params: Mapping[str, Any]) -> ApiError | None:  # noqa: ARG002 - Mixin looks at none of them
        """Begin with the backlog, or again; answers with the error that is to be sent instead."""
        pending = self.mailbox.pending(self.state.clock.now())
        self.begin([Echo(request_id), *pending])
        return None

    def begin(self, backlog: Iterable[Item | Echo]) -> None:
        """Push a backlog from its start, and what is live behind it."""
        self.backlog.clear()
        self.backlog.extend(backlog)
        self.mailbox.listen(self)
        self.wake.set()

    async def run(self) -> None:
        """Push until the socket is gone."""
        sent = 0
        while True:
            await self.wake.wait()
            if (pushed := self.choose()) is None:
                self.wake.clear()
                self.state.journal.changed()
            else:
                await self.push(*pushed)
            sent += 1
            if sent % _BREATH == 0:
                await asyncio.sleep(0)

    def choose(self) -> tuple[Item | Echo, str] | None:
        """Choose what is pushed next and as what; None if nothing may be pushed now."""
        if self.backlog:
            return self.backlog.popleft(), PENDING
        return (self.live.popleft(), LIVE) if self.live else None

    async def push(self, item: Item | Echo, source: str) -> None:
        """Push one thing; a message of the backlog that was acknowledged meanwhile is left out."""
        match item:
            case Message() if source == LIVE or self.mailbox.is_pending(item.message_id):
                await self.push_message(item, source)
            case Message():
                pass
            case Echo(request_id):
                await self.send(pack({"id": request_id, "action": PENDING}))
            case bytes() | str():
                await self.send(item)

    async def push_message(self, message: Message, source: str) -> None:
        """Push a message."""
        await self.push_frame(message, pack(message.push(self.state.new_id(), source)))

    async def push_frame(self, message: Message, frame: bytes) -> None:
        """Push a message's frame; it is noted first, since its ack may be here before this ends."""
        self.state.journal.pushed[message.message_id] += 1
        self.record.pushes += 1
        await self.send(frame)
