"""What can go wrong at the server, to be switched on by tests."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from relay.simulator.frames import ApiError

T = TypeVar("T")


class Script(Generic[T]):
    """A fault point: hands out one behaviour each time; None is the server's good behaviour."""

    def __init__(self) -> None:
        self._next: deque[T | None] = deque()
        self._always: T | None = None

    def next(self, *behaviours: T | None, times: int = 1) -> None:
        """Queue behaviours for the next times; the whole sequence is repeated `times`."""
        self._next.extend(behaviours * times)

    def always(self, behaviour: T) -> None:
        """Behave so until switched off, whenever nothing is queued."""
        self._always = behaviour

    def off(self) -> None:
        """Behave well again, and forget what is queued."""
        self._next.clear()
        self._always = None

    def take(self) -> T | None:
        """Tell what happens this time."""
        return self._next.popleft() if self._next else self._always


# --- Behaviours -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain HTTP answer, as from a proxy in front of Mixin.

    `applied` says whether the request took effect all the same.
    """

    status: int = 502
    body: str = "<html><body><h1>Bad Gateway</h1></body></html>"
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False


@dataclass(frozen=True, slots=True)
class AppError(ApiError):
    """An error of Mixin's; `applied` says whether the request took effect all the same."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer comes."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset instead of an answer."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """The right answer, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lie:
    """The answer says that all is well, and nothing was done."""


@dataclass(frozen=True, slots=True)
class Unechoed:
    """The handshake succeeds without the subprotocol that was offered."""


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """The upgrade succeeds, and an ERROR frame follows at once; `close` says what comes then."""

    code: int = 401
    close: bool = True


class Place(StrEnum):
    """Where the echo of LIST_PENDING_MESSAGES comes among the backlog."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Echo:
    """The echo of LIST_PENDING_MESSAGES; with a delay it comes beside the pushes."""

    place: Place = Place.FIRST
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Empty:
    """The backlog is withheld, only live messages come."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A push comes again at once, so many times.

    `same_frame` repeats the bytes; else the envelope id is new. `content`, if given, is another
    payload under the same message id.
    """

    times: int = 1
    same_frame: bool = False
    content: bytes | None = None


class Moment(StrEnum):
    """When a connection is dropped."""

    BEFORE_ECHO = "before_echo"
    AFTER_ECHO = "after_echo"
    AFTER_PUSHES = "after_pushes"
    AFTER_SECONDS = "after_seconds"


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends at a moment; `after` counts its pushes or seconds.

    `code` is the close code; None ends the connection without a close frame.
    """

    moment: Moment
    code: int | None = None
    after: float = 0


UpgradeFault = Answer | Hang | Reset | Late | Unechoed | ErrorFrame
HttpFault = Answer | AppError | Hang | Reset | Late | Lie
SocketFault = AppError | Hang | Reset | Late | Lie
ListFault = Echo | AppError | Empty


def redirect(to: str, status: int = 302) -> Answer:
    """Make the answer that sends a client elsewhere."""
    return Answer(status=status, body="", headers={"Location": to})


def throttle(retry_after: str | None = "1", status: int = 429) -> Answer:
    """Make the answer of a proxy that wants to be left alone for a while."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status=status, body="slow down", content_type="text/plain", headers=headers)


# --- Knobs ----------------------------------------------------------------------------------------


class Sessions(StrEnum):
    """What becomes of a second connection of one session."""

    BOTH = "both"
    SPLIT = "split"
    NEWEST_WINS = "newest_wins"
    NEWEST_REFUSED = "newest_refused"


class Order(StrEnum):
    """How the backlog is sorted."""

    OLDEST_FIRST = "oldest_first"
    NEWEST_FIRST = "newest_first"
    SHUFFLED = "shuffled"


@dataclass(slots=True)
class Faults:
    """Every fault point and knob of a simulator; as created, the server behaves well.

    Scripts count per upgrade (`upgrades`), per LIST_PENDING (`lists`), per socket that comes up
    (`drops`), per push (`pushes`), per request to `/acknowledgements` (`acks`) and `/me` (`me`), to
    any other path (`api`), per ack frame (`socket_acks`) and per message that the bot sends over
    the socket (`sends`).
    """

    upgrades: Script[UpgradeFault] = field(default_factory=Script)
    lists: Script[ListFault] = field(default_factory=Script)
    drops: Script[Drop] = field(default_factory=Script)
    pushes: Script[Repeat] = field(default_factory=Script)
    acks: Script[HttpFault] = field(default_factory=Script)
    me: Script[HttpFault] = field(default_factory=Script)
    api: Script[HttpFault] = field(default_factory=Script)
    socket_acks: Script[SocketFault] = field(default_factory=Script)
    sends: Script[SocketFault] = field(default_factory=Script)

    # How a bad token is answered at the upgrade.
    bad_token: ErrorFrame | Answer = field(default_factory=ErrorFrame)

    sessions: Sessions = Sessions.BOTH

    # Liveness. Half-open accepts bytes and sends nothing; `drip` is the seconds between two bytes.
    answer_pings: bool = True
    ping_every: float | None = 20.0
    half_open: bool = False
    stop_reading: bool = False
    drip: float | None = None

    # The backlog. At most `page_limit` of it are unacknowledged on a connection at any time.
    order: Order = Order.OLDEST_FIRST
    page_limit: int | None = None
    mix_live: bool = False
    honour_offset: bool = False

    # Acks. An id in `bad_ids` fails its whole batch with that code.
    ack_limit: int = 100
    bad_ids: dict[str, int] = field(default_factory=dict)
    unknown_ids: int | None = None
    ack_answers_array: bool = False

    # Statuses pushed for each message that the bot sends, such as DELIVERED and READ.
    receipts: tuple[str, ...] = ()

    # Whether a frame that the server can't read ends the connection.
    bad_frame_closes: bool = False
