"""From the socket to the writer: routed, deduplicated by the journal, and on to the lanes."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from relay.delivery.dispatcher import Dispatcher
from relay.delivery.routing import Routing
from relay.model.journal import (
    Answer,
    Arrival,
    Duplicate,
    Entry,
    Fresh,
    KeptFrame,
    OwedReceipt,
    UnreadableFrame,
)
from relay.model.messages import EndpointKey, Message, MessageOutcome
from relay.model.ports import Writer
from relay.telemetry.events import (
    FrameUnreadable,
    MessageDuplicated,
    MessagesFinished,
    MessagesReceived,
    Telemetry,
)

MAX_WAITING = 4_000
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""The bounds of what has been read and not journaled yet: a disk's hiccup, not a backlog.

Not all memory that a burst has used is given back, so that they show in the relay's size for good.
"""

MAX_PAUSE = 0.2
"""Seconds for which the socket waits for room in the endpoints' windows.

What finds room there need not be read from the journal again. Whatever the receivers do, Mixin's
queue is emptied: `BURST` messages at least in each such time.
"""

BURST = 500
_SAMPLE = 4096


class Served(Protocol):
    """An endpoint in service."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Who delivers to it."""


class Intake:
    """Takes one bot's messages in: the `Inlet` of its listener, and a `Source` of the writer.

    `endpoints` are those in service, by the settings that hold now.
    """

    def __init__(
        self,
        bot: str,
        routing: Routing,
        writer: Writer,
        endpoints: Mapping[EndpointKey, Served],
        *,
        owe_receipt: Callable[[OwedReceipt], None],
        telemetry: Telemetry,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._bot = bot
        self._routing = routing
        self._writer = writer
        self._endpoints = endpoints
        self._owe_receipt = owe_receipt
        self._telemetry = telemetry
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting = 0
        self._waiting_bytes = 0
        self._burst = 0
        self._forgetting = False

    @property
    def full(self) -> bool:
        """Whether the listener must not read on: too much waits for the journal, or for memory."""
        return self._overfull or (not self._burst and self._crowded)

    @property
    def _overfull(self) -> bool:
        return self._waiting >= self._max_waiting or self._waiting_bytes >= self._max_waiting_bytes

    @property
    def _crowded(self) -> bool:
        """Whether no endpoint has room in memory for what waits."""
        for endpoint in self._endpoints.values():
            if not endpoint.dispatcher.crowded(self._waiting):
                return False
        return bool(self._endpoints)

    def take(self, message: Message) -> None:
        """Take a message for the next group commit."""
        if self._forgetting:
            return
        self._waiting += 1
        self._waiting_bytes += len(message.frame)
        if self._burst:
            self._burst -= 1
        self._writer.take(self, message)

    def keep(self, frame: UnreadableFrame) -> None:
        """Take a frame that is no event, for inspection."""
        if self._forgetting:
            return
        self._waiting += 1
        self._waiting_bytes += len(frame.sample)
        self._writer.put(self, KeptFrame(self._bot, frame))

    async def room(self) -> None:
        """Wait until there is room again; for room in memory only so long."""
        try:
            async with asyncio.timeout(MAX_PAUSE):
                while self._crowded:
                    await self._writer.group()
        except TimeoutError:
            self._burst = BURST
        while self._overfull:
            await self._writer.group()

    async def drained(self) -> None:
        """Wait until everything that was taken is in the journal."""
        while self._waiting:
            await self._writer.group()

    # --- Routing --------------------------------------------------------------------------------

    @property
    def routing(self) -> Routing:
        """By what messages are routed now."""
        return self._routing

    def forget(self) -> None:
        """Forget what is not journaled yet, and take nothing more: Mixin pushes it again."""
        self._forgetting = True
        self._waiting = self._waiting_bytes = 0

    def reroute(self, routing: Routing) -> None:
        """Route by this from the next group on; only while the writer is held."""
        self._routing = routing

    def arrival(self, message: Message) -> Arrival | None:
        """Route a message, and keep places for it in memory, as its group is made up."""
        if self._forgetting:
            return None
        return self._routing.arrival(
            message, lambda key, lane: self._endpoints[key].dispatcher.reserve(lane, message)
        )

    # --- Commits --------------------------------------------------------------------------------

    def committed(self, pairs: Sequence[tuple[Entry, Answer]]) -> None:
        """Hand what is new to its endpoints, and tell of it."""
        received: list[Message] = []
        unwanted: dict[MessageOutcome, list[str]] = {}
        for entry, answer in pairs:
            self._let_go(entry)
            if not isinstance(entry, Arrival):
                continue
            message = entry.message
            match answer:
                case Fresh():
                    received.append(message)
                    self._offer(entry, answer)
                    if answer.finished is not None:
                        unwanted.setdefault(answer.finished, []).append(message.message_id)
                case Duplicate():
                    self._release(entry)
                    self._telemetry(MessageDuplicated(self._bot, message.message_id))
                case _:
                    raise AssertionError(answer)
            if answer.receipt_owed:
                self._owe_receipt(OwedReceipt(answer.seq, message.message_id))
        if received:
            self._telemetry(MessagesReceived(self._bot, received))
        for outcome, ids in unwanted.items():
            self._telemetry(MessagesFinished(self._bot, outcome, len(ids), ids))
        for endpoint in self._endpoints.values():
            endpoint.dispatcher.pump()

    def refused(self, entry: Entry, error: Exception) -> None:
        """Keep a message that the journal can't take as a frame to inspect: it stays unread."""
        self._let_go(entry)
        if isinstance(entry, Arrival):
            self._release(entry)
            frame = entry.message.frame
            digest, why = (
                hashlib.sha256(frame).hexdigest(),
                f"not journaled: {type(error).__name__}",
            )
            self._telemetry(FrameUnreadable(self._bot, digest, why, len(frame)))
            self.keep(UnreadableFrame(digest, why, frame[:_SAMPLE]))

    def _let_go(self, entry: Entry) -> None:
        if self._forgetting:
            return
        self._waiting -= 1
        match entry:
            case Arrival():
                self._waiting_bytes -= len(entry.message.frame)
            case KeptFrame():
                self._waiting_bytes -= len(entry.frame.sample)
            case _:
                pass

    def _offer(self, arrival: Arrival, fresh: Fresh) -> None:
        for owed, delivery in zip(arrival.owed, fresh.deliveries, strict=True):
            self._endpoints[owed.endpoint].dispatcher.offer(
                delivery, reserved=owed.in_window, leads=delivery.id in fresh.leading
            )

    def _release(self, arrival: Arrival) -> None:
        for owed in arrival.owed:
            if owed.in_window:
                self._endpoints[owed.endpoint].dispatcher.release(owed.lane, arrival.message)
