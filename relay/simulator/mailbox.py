"""One session's messages: what is pending, and who hears of what arrives."""

from collections.abc import Iterable
from typing import Final, Protocol

from relay.simulator.message import Message

KEPT_FOR: Final = 7 * 24 * 3600.0
"""Seconds after which the server forgets an unacknowledged message (docs/protocol.md, Receipts)."""


Item = Message | bytes | str
"""What can be pushed: a message, or a frame as it is (text, if it is a str)."""


class Listener(Protocol):
    """A connection that has asked for messages."""

    def offer(self, item: Item) -> None:
        """Take something for pushing; never waits."""

    def release(self, message_ids: Iterable[str]) -> None:
        """Learn that messages were acknowledged."""


class Mailbox:
    """Holds every message for one session, and pushes live ones to those who listen.

    Acknowledged messages stay known, since acks are repeated; `acknowledged` lists them in order.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Message] = {}
        self._known: dict[str, Message] = {}
        self._listeners: list[Listener] = []
        self._turn = 0
        self.acknowledged: list[str] = []
        self.split = False

    def add(self, message: Message) -> None:
        """Keep a message until it is acknowledged, and offer it to the listeners."""
        self._pending[message.message_id] = message
        self._known[message.message_id] = message
        self.offer(message)

    def offer(self, item: Item) -> None:
        """Push something to each listener, or to one in turn if pushes are split."""
        listeners = self._listeners
        if self.split and listeners:
            self._turn += 1
            listeners = [listeners[self._turn % len(listeners)]]
        for listener in listeners:
            listener.offer(item)

    def pending(self, now: float) -> list[Message]:
        """List what is neither acknowledged nor expired, oldest first; expired ones are dropped."""
        expired = [one for one in self._pending.values() if one.created_at + KEPT_FOR <= now]
        for message in expired:
            del self._pending[message.message_id]
        return sorted(self._pending.values(), key=lambda message: message.created_at)

    def is_pending(self, message_id: str) -> bool:
        """Tell whether the message waits for its ack."""
        return message_id in self._pending

    def find(self, message_id: str) -> Message | None:
        """Look a message up, acknowledged or not."""
        return self._known.get(message_id)

    def acknowledge(self, message_ids: Iterable[str]) -> None:
        """Apply acks; unknown and repeated ones change nothing."""
        released = [one for one in message_ids if self._pending.pop(one, None)]
        self.acknowledged += released
        for listener in self._listeners:
            listener.release(released)

    def __len__(self) -> int:
        return len(self._pending)

    def listen(self, listener: Listener) -> None:
        """Let a connection hear of live messages; once more changes nothing."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """Let a connection go."""
        if listener in self._listeners:
            self._listeners.remove(listener)
