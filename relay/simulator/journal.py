"""What the simulator saw: the evidence that tests judge by.

Nothing here asserts anything: an assertion inside a fake server is swallowed by the server.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

REQUESTS_KEPT: Final = 20_000
"""Requests that stay in memory; counters and acks go on beyond."""

PATIENCE: Final = 30.0
"""Seconds that a wait for a fact lasts at most, unless told otherwise."""


class Kind(StrEnum):
    """What a client does wrong."""

    UNSIGNED = "unsigned"
    TOKEN_REUSED = "token_reused"  # noqa: S105 - a word, not a secret
    TOKEN_TOO_LONG = "token_too_long"  # noqa: S105 - a word, not a secret
    LISTED_TWICE = "listed_twice"
    SENT_BEFORE_LIST = "sent_before_list"
    BAD_FRAME = "bad_frame"
    BATCH_TOO_LARGE = "batch_too_large"
    STRANGE_ACK = "strange_ack"
    READ_TOO_EARLY = "read_too_early"
    SIMULATOR_BUG = "simulator_bug"


class Transport(StrEnum):
    """The way an ack came."""

    SOCKET = "socket"
    SOCKET_BATCH = "socket_batch"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that a client did wrong."""

    kind: Kind
    detail: str
    at: float


@dataclass(slots=True)
class Connect:
    """One attempt to upgrade; `refused` says why it came to nothing, None if it did not.

    Times are monotonic seconds.
    """

    number: int
    at: float
    path: str
    headers: Mapping[str, str]
    claims: Mapping[str, Any] = field(default_factory=dict)
    app_id: str | None = None
    refused: str | None = None
    accepted_at: float | None = None
    listed_at: float | None = None
    closed_at: float | None = None
    close_code: int | None = None
    pushes: int = 0


@dataclass(frozen=True, slots=True)
class Ack:
    """One message's ack; `applied` says whether the server acted on it."""

    at: float
    message_id: str
    status: str
    transport: Transport
    applied: bool


@dataclass(slots=True)
class Request:
    """One HTTP request; `status` is None as long as it is not answered."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    claims: Mapping[str, Any]
    refusal: str | None = None
    status: int | None = None


Entry = Connect | Ack | Request | Violation
"""What an observer hears of: a connect when it is accepted, refused or over, a request when it is
answered, the others when they come.
"""


class Journal:
    """Keeps all evidence in order, tells it to an observer, and wakes who waits for it.

    `allow_read` tells whether a message may be READ by now: whoever receives sets it to what it
    has taken, and a no makes a violation.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.connects: list[Connect] = []
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT)
        self.acks: list[Ack] = []
        self.sent: list[dict[str, Any]] = []
        self.violations: list[Violation] = []
        self.tokens: Counter[str] = Counter()
        self.pushed: Counter[str] = Counter()
        self.observer: Callable[[Entry], None] | None = None
        self.allow_read: Callable[[str], bool] | None = None
        self.patience = patience
        self._waiters: set[asyncio.Future[None]] = set()

    # --- Telling

    def tell(self, entry: Entry) -> None:
        """Let the observer know, and wake who waits."""
        if self.observer is not None:
            self.observer(entry)
        self.changed()

    def violation(self, kind: Kind, detail: str) -> None:
        """Write down something that a client did wrong."""
        violation = Violation(kind, detail, time.monotonic())
        self.violations.append(violation)
        self.tell(violation)

    def ack(self, message_id: str, status: str, transport: Transport, *, applied: bool) -> None:
        """Write down an ack."""
        ack = Ack(time.monotonic(), message_id, status, transport, applied)
        self.acks.append(ack)
        self.tell(ack)

    def changed(self) -> None:
        """Wake who waits."""
        if self._waiters:
            waiters, self._waiters = self._waiters, set()
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # --- Reading

    @property
    def accepted(self) -> list[Connect]:
        """The connects that became sockets."""
        return [connect for connect in self.connects if connect.accepted_at is not None]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds; raises TimeoutError, which says `what` did not."""
        try:
            async with asyncio.timeout(self.patience):
                while not holds():
                    await self._next_change()
        except TimeoutError:
            raise TimeoutError(f"{self.patience:g} s passed without {what}") from None

    async def _next_change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
