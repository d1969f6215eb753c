"""What all listeners of one simulator share."""

import itertools
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol
from uuid import UUID

from relay.simulator.clock import Clock
from relay.simulator.codec import peek
from relay.simulator.faults import ErrorFrame, Faults, Sessions
from relay.simulator.journal import Journal, Kind
from relay.simulator.keystore import Bot
from relay.simulator.mailbox import Mailbox
from relay.simulator.token import Check, Refusal, Signed, check_token

LONGEST_TOKEN: Final = 15 * 60.0
"""Seconds that a careful client lets its tokens live at most (docs/protocol.md, Tokens)."""


class Line(Protocol):
    """A socket that is up."""

    bot: Bot

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be pushed."""

    async def drop(self, code: int | None) -> None:
        """End it with a close code, or without a close frame if there is none."""

    async def refuse(self, error: ErrorFrame) -> None:
        """Send an ERROR frame."""


class Exchange:
    """Knows the bots, their mailboxes and their sockets, and checks who comes in.

    `allow_read` tells whether a message may be acknowledged by now; tests set it to what their
    receiver has taken.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = Clock()
        self.faults = Faults()
        self.bots: dict[str, Bot] = {}
        self.mailboxes: dict[str, Mailbox] = {}
        self.lines: list[Line] = []
        self.poison: list[bytes | str] = []
        self.raw_ids: set[str] = set()
        self.sent: dict[str, dict[str, Any]] = {}
        self.revoked: set[str] = set()
        self.allow_read: Callable[[str], bool] | None = None
        self._ids = map(_envelope_id, itertools.repeat(secrets.token_hex(8)), itertools.count())

    def admit(self, bot: Bot) -> None:
        """Accept a bot from now on."""
        self.bots[bot.session_id] = bot
        self.mailboxes[bot.session_id] = Mailbox()

    def mailbox(self, bot: Bot) -> Mailbox:
        """Find the messages of a bot."""
        return self.mailboxes[bot.session_id]

    def new_id(self) -> str:
        """Make the id of an envelope; cheaper than uuid4, which thousands a second would feel."""
        return next(self._ids)

    def authenticate(self, token: str, signed: Signed) -> Check:
        """Check a token, and write down what a careful client doesn't do."""
        check = check_token(token, signed, self.bots, self.clock.now())
        if check.bot and check.refusal is None and check.bot.session_id in self.revoked:
            check = Check(Refusal.REVOKED, check.bot, check.claims)
        self._judge(check, f"{signed.method} {signed.uri}")
        return check

    def _judge(self, check: Check, request: str) -> None:
        if check.refusal and check.refusal.is_mistake:
            self.journal.violation(Kind.UNSIGNED, f"{request}: {check.refusal}")
        if check.refusal in {Refusal.MISSING, Refusal.MALFORMED, Refusal.INCOMPLETE}:
            return
        jti = str(check.claims.get("jti"))
        self.journal.tokens[jti] += 1
        if self.journal.tokens[jti] > 1:
            self.journal.violation(Kind.TOKEN_REUSED, f"{request}: {jti}")
        if _lifetime(check) > LONGEST_TOKEN:
            self.journal.violation(Kind.TOKEN_TOO_LONG, f"{request}: {_lifetime(check):g} s")

    def others(self, line: Line) -> list[Line]:
        """List the other sockets of the same session."""
        return [one for one in self.lines if one is not line and one.bot == line.bot]

    async def seat(self, line: Line) -> bool:
        """Take a new socket in as the policy says; False if it is refused."""
        policy = self.faults.sessions
        self.mailbox(line.bot).split = policy is Sessions.SPLIT
        others = self.others(line)
        if others and policy is Sessions.NEWEST_REFUSED:
            return False
        self.lines.append(line)
        if policy is Sessions.NEWEST_WINS:
            for other in others:
                await other.drop(1000)
        return True

    def leave(self, line: Line) -> None:
        """Forget a socket."""
        if line in self.lines:
            self.lines.remove(line)

    def remember_raw(self, frames: Iterable[bytes | str]) -> None:
        """Note the messages in raw frames: whoever can read them may acknowledge them."""
        for frame in frames:
            data = (peek(frame) or {}).get("data")
            if isinstance(data, dict):
                self.raw_ids.add(str(data.get("message_id")))


def _envelope_id(prefix: str, number: int) -> str:
    return f"{prefix[:8]}-{prefix[8:12]}-4{prefix[12:15]}-8{number >> 48:03x}-{number & _LOW:012x}"


_LOW: Final = (1 << 48) - 1


def _lifetime(check: Check) -> float:
    try:
        return float(check.claims["exp"]) - float(check.claims["iat"])
    except (KeyError, TypeError, ValueError):
        return 0.0


def is_uuid(text: object) -> bool:
    """Tell whether something is an id as Mixin writes it: a UUID in lower case."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False
