"""From the socket into the journal: deduplicated, in group commits, and on to the lanes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from relay.delivery.groups import GroupCommit
from relay.delivery.routing import Routing
from relay.model.journal import Duplicate, Fresh, Recorded, UnreadableFrame
from relay.model.messages import Delivery, Message
from relay.model.ports import Clock, Journal, JournalDamaged, JournalUnavailable
from relay.telemetry.events import (
    FrameUnreadable,
    MessageDuplicated,
    MessageFinished,
    MessageReceived,
    Telemetry,
)

MAX_WAITING = 4_000
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""The bounds of what has been read and not journaled yet: a disk's hiccup, not a backlog.

Not all memory that a burst has used is given back, so that they show in the relay's size for good.
"""

_SAMPLE = 4096


class Offer(Protocol):
    """Hands a journaled delivery to its endpoint's dispatcher."""

    def __call__(self, delivery: Delivery, *, leads: bool) -> None:
        """Take the delivery; `leads` if nothing unfinished precedes it in its lane."""


class Intake:
    """Takes one bot's messages in; the `Inlet` of its listener."""

    def __init__(
        self,
        bot: str,
        routing: Routing,
        journal: Journal,
        *,
        offer: Offer,
        receipt_owed: Callable[[], None],
        telemetry: Telemetry,
        clock: Clock,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._bot = bot
        self._routing = routing
        self._journal = journal
        self._offer = offer
        self._receipt_owed = receipt_owed
        self._telemetry = telemetry
        self._clock = clock
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting = 0
        self._waiting_bytes = 0
        self._forgetting = False
        self._committed = asyncio.Event()
        self._turn = asyncio.Lock()
        self.group: GroupCommit[Message | UnreadableFrame] = GroupCommit(self._commit, telemetry)

    @property
    def full(self) -> bool:
        """Whether so much waits for the journal that the listener must not read on."""
        return self._waiting >= self._max_waiting or self._waiting_bytes >= self._max_waiting_bytes

    def take(self, message: Message) -> None:
        """Take a message for the next group commit."""
        self._put(message, len(message.frame))

    def keep(self, frame: UnreadableFrame) -> None:
        """Take a frame that is no event, for inspection."""
        self._put(frame, len(frame.sample))

    @property
    def routing(self) -> Routing:
        """By what messages are routed now."""
        return self._routing

    async def room(self) -> None:
        """Wait until there is room again."""
        while self.full:
            self._committed.clear()
            await self._committed.wait()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let the group end that is being committed, and none begin; taking goes on."""
        async with self._turn:
            yield

    def forget(self) -> None:
        """Forget what is not journaled yet, and take nothing more: Mixin pushes it again."""
        self._forgetting = True

    def reroute(self, routing: Routing) -> None:
        """Route by this from the next group on; only while `held`."""
        self._routing = routing

    def _put(self, item: Message | UnreadableFrame, size: int) -> None:
        self._waiting += 1
        self._waiting_bytes += size
        self.group.put(item)

    async def _commit(self, group: list[Message | UnreadableFrame]) -> None:
        async with self._turn:
            if not self._forgetting:
                await self._journal_all(group)

    async def _journal_all(self, group: list[Message | UnreadableFrame]) -> None:
        messages = [item for item in group if isinstance(item, Message)]
        frames = [item for item in group if isinstance(item, UnreadableFrame)]
        for frame in frames:  # first: kept twice if the rest fails, they are only counted again
            await self._journal.keep_unreadable(self._bot, frame, self._clock())
        await self._record(messages)
        self._waiting -= len(group)
        self._waiting_bytes -= sum(len(item.frame) for item in messages)
        self._waiting_bytes -= sum(len(item.sample) for item in frames)
        self._committed.set()

    async def _record(self, messages: list[Message]) -> None:
        """Journal messages, one by one if the group fails: a bug in one stays inside it."""
        if not messages:
            return
        arrivals = [self._routing.arrival(message) for message in messages]
        try:
            answers: Sequence[Recorded] = await self._journal.record(arrivals)
        except (JournalUnavailable, JournalDamaged):
            raise
        except Exception as error:  # noqa: BLE001 - set aside, counted, seen again
            if len(messages) == 1:
                await self._set_aside(messages[0], error)
                return
            for message in messages:
                await self._record([message])
        else:
            for message, answer in zip(messages, answers, strict=True):
                self._follow(message, answer)

    def _follow(self, message: Message, answer: Recorded) -> None:
        match answer:
            case Fresh():
                self._telemetry(
                    MessageReceived(self._bot, message.message_id, message.category, message.source)
                )
                for delivery in answer.deliveries:
                    self._offer(delivery, leads=delivery.id in answer.leading)
                if answer.finished is not None:
                    self._telemetry(MessageFinished(self._bot, message.message_id, answer.finished))
            case Duplicate():
                self._telemetry(MessageDuplicated(self._bot, message.message_id))
        if answer.receipt_owed:
            self._receipt_owed()

    async def _set_aside(self, message: Message, error: Exception) -> None:
        """Keep a message that the journal can't take as a frame to inspect: it stays unread."""
        digest = hashlib.sha256(message.frame).hexdigest()
        why = f"not journaled: {type(error).__name__}"
        self._telemetry(FrameUnreadable(self._bot, digest, why, len(message.frame)))
        frame = UnreadableFrame(digest, why, message.frame[:_SAMPLE])
        await self._journal.keep_unreadable(self._bot, frame, self._clock())
