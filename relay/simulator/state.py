"""What all sockets and requests of one simulator share: bots, their messages, and who is here."""

import itertools
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from relay.simulator.bots import MISTAKES, Bot, Check, Refusal, Signed, check_token
from relay.simulator.frames import ApiError, Message, echo_of_send
from relay.simulator.journal import Journal, Kind, Transport

KEPT_FOR: Final = 7 * 24 * 3600.0
"""Seconds after which the server forgets an unacknowledged message."""

LONGEST_TOKEN: Final = 15 * 60.0
"""Seconds that a careful client lets its tokens live at most."""

MOST_ACKS: Final = 100
"""Acks that one batch may hold."""

_STATUSES: Final = frozenset({"READ", "DELIVERED"})
_CATEGORY: Final = re.compile(r"(PLAIN|ENCRYPTED|APP|MESSAGE)_[A-Z_]+")
_LOW: Final = (1 << 48) - 1

Item = Message | bytes | str
"""What can be pushed: a message, or a frame as it is (text, if it is a str)."""


@dataclass(slots=True)
class Clock:
    """The server's clock: real time and an offset, by which tokens and the 7 days go too."""

    offset: float = 0.0

    def now(self) -> float:
        """Tell the server's time in Unix seconds."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number turns the clock back."""
        self.offset += seconds

    def header(self) -> str:
        """Write the time as X-Server-Time has it: in nanoseconds."""
        return str(int(self.now() * 1_000_000_000))


class Listener(Protocol):
    """A socket that has asked for messages."""

    def offer(self, item: Item) -> None:
        """Take something for pushing; never waits."""

    def release(self, message_ids: Iterable[str]) -> None:
        """Learn that messages were acknowledged."""


class Socket(Protocol):
    """A socket that is up."""

    bot: Bot

    async def drop(self, code: int | None) -> None:
        """End it with a close code, or without a close frame if there is none."""

    async def refuse(self, code: int, *, close: bool) -> None:
        """Send an ERROR frame."""


class Mailbox:
    """Holds every message for one session, and pushes live ones to those who listen.

    `acknowledged` lists what was acknowledged, in order.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Message] = {}
        self._listeners: list[Listener] = []
        self.acknowledged: list[str] = []

    def add(self, message: Message) -> None:
        """Keep a message until it is acknowledged, and offer it to the listeners."""
        self._pending[message.message_id] = message
        self.offer(message)

    def offer(self, item: Item) -> None:
        """Push something to each listener."""
        for listener in self._listeners:
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

    def acknowledge(self, message_ids: Iterable[str]) -> None:
        """Apply acks; unknown and repeated ones change nothing."""
        released = [one for one in message_ids if self._pending.pop(one, None)]
        self.acknowledged += released
        for listener in self._listeners:
            listener.release(released)

    def __len__(self) -> int:
        return len(self._pending)

    def listen(self, listener: Listener) -> None:
        """Let a socket hear of live messages; once more changes nothing."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """Let a socket go."""
        if listener in self._listeners:
            self._listeners.remove(listener)


class State:
    """Knows the bots, their messages and their sockets, checks who comes in, and takes acks."""

    mailbox_class: type[Mailbox] = Mailbox

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = Clock()
        self.bots: dict[str, Bot] = {}
        self.mailboxes: dict[str, Mailbox] = {}
        self.sockets: list[Socket] = []
        self.sent: dict[str, dict[str, Any]] = {}
        self._ids = map(_envelope_id, itertools.repeat(secrets.token_hex(8)), itertools.count())

    def admit(self, bot: Bot) -> None:
        """Accept a bot from now on."""
        self.bots[bot.session_id] = bot
        self.mailboxes[bot.session_id] = self.mailbox_class()

    def mailbox(self, bot: Bot) -> Mailbox:
        """Find the messages of a bot."""
        return self.mailboxes[bot.session_id]

    def new_id(self) -> str:
        """Make the id of an envelope; cheaper than uuid4, which thousands a second would feel."""
        return next(self._ids)

    # --- Who comes in

    def authenticate(self, token: str, signed: Signed) -> Check:
        """Check a token, and write down what a careful client doesn't do."""
        check, request = self.check(token, signed), f"{signed.method} {signed.uri}"
        if check.refusal in MISTAKES:
            self.journal.violation(Kind.UNSIGNED, f"{request}: {check.refusal}")
        jti = check.claims.get("jti")
        if jti and check.refusal is not Refusal.INCOMPLETE:
            self.journal.tokens[str(jti)] += 1
            if self.journal.tokens[str(jti)] > 1:
                self.journal.violation(Kind.TOKEN_REUSED, f"{request}: {jti}")
            if (lifetime := _lifetime(check.claims)) > LONGEST_TOKEN:
                self.journal.violation(Kind.TOKEN_TOO_LONG, f"{request}: {lifetime:g} s")
        return check

    def check(self, token: str, signed: Signed) -> Check:
        """Check a token."""
        return check_token(token, signed, self.bots, self.clock.now())

    async def seat(self, socket: Socket) -> bool:
        """Take a new socket in, beside others of the same session; False if it is refused."""
        self.sockets.append(socket)
        return True

    def leave(self, socket: Socket) -> None:
        """Forget a socket."""
        if socket in self.sockets:
            self.sockets.remove(socket)

    # --- Acks

    def acknowledge(
        self, bot: Bot, items: Any, transport: Transport, *, apply: bool = True
    ) -> ApiError | None:
        """Take a batch of acks whole, or tell why not; without `apply` it is only written down."""
        pairs = _pairs(items)
        if pairs is None:
            return ApiError(10002)
        ids = [message_id for message_id, _ in pairs]
        error = self.judge_acks(ids)
        for message_id, status in pairs:
            self._judge(message_id)
            self.journal.ack(message_id, status, transport, applied=apply and error is None)
        if apply and error is None:
            self.mailbox(bot).acknowledge(ids)
            self.journal.changed()
        return error

    def judge_acks(self, message_ids: list[str]) -> ApiError | None:
        """Tell what is wrong with a batch."""
        if len(message_ids) <= MOST_ACKS:
            return None
        self.journal.violation(Kind.BATCH_TOO_LARGE, f"{len(message_ids)} acks at once")
        return ApiError(10002)

    def was_pushed(self, message_id: str) -> bool:
        """Tell whether a client may know of a message."""
        return message_id in self.journal.pushed

    def _judge(self, message_id: str) -> None:
        if not self.was_pushed(message_id):
            what = "an echo" if message_id in self.sent else "never pushed"
            self.journal.violation(Kind.STRANGE_ACK, f"{message_id}: {what}")
        if self.journal.allow_read is not None and not self.journal.allow_read(message_id):
            self.journal.violation(Kind.READ_TOO_EARLY, message_id)

    # --- Messages of the bots' own

    def take(self, bot: Bot, message: Any) -> dict[str, Any] | ApiError:
        """Take a message from a bot and answer with its echo; once more changes nothing."""
        if not isinstance(message, Mapping) or not _is_valid(message):
            return ApiError(10002)
        message_id = message["message_id"]
        if message_id not in self.sent:
            self.sent[message_id] = echo_of_send(message_id, bot.app_id, self.clock.now())
            self.journal.sent.append(dict(message))
            self.journal.changed()
            self.taken(bot, message_id)
        return self.sent[message_id]

    def taken(self, bot: Bot, message_id: str) -> None:
        """Hear that a message was taken; nothing follows."""


def _envelope_id(prefix: str, number: int) -> str:
    return f"{prefix[:8]}-{prefix[8:12]}-4{prefix[12:15]}-8{number >> 48:03x}-{number & _LOW:012x}"


def _lifetime(claims: Mapping[str, Any]) -> float:
    try:
        return float(claims["exp"]) - float(claims["iat"])
    except (KeyError, TypeError, ValueError):
        return 0.0


def _pairs(items: Any) -> list[tuple[str, str]] | None:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    pairs = [(item.get("message_id"), item.get("status")) for item in items]
    if not all(_is_uuid(message_id) and status in _STATUSES for message_id, status in pairs):
        return None
    return pairs


def _is_valid(message: Mapping[str, Any]) -> bool:
    ids = (message.get("message_id"), message.get("conversation_id"))
    category = message.get("category")
    known = isinstance(category, str) and _CATEGORY.fullmatch(category) is not None
    return known and all(map(_is_uuid, ids))


def _is_uuid(text: object) -> bool:
    """Tell whether something is an id as Mixin writes it: a UUID in lower case."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False
