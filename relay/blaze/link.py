"""One connection to Blaze, from the upgrade to its end.

A link only reads: it never waits for HTTP or a disk, for a reader that waits misses pongs, loses
the socket and is given the whole backlog again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from yarl import URL

from relay.blaze.session import Pushed, Refused, Session, Unreadable
from relay.blaze.transport import Http, describe
from relay.model.ports import Clock, Inlet
from relay.model.times import read_retry_after
from relay.telemetry.events import (
    DisconnectReason,
    FrameUnreadable,
    RequestRefused,
    Telemetry,
)

SUBPROTOCOL = "Mixin-Blaze-1"

# aiohttp counts compressed bytes and ends the connection above; Mixin's batches end at 128 KB.
MAX_FRAME_BYTES = 8 * 1024 * 1024

_GRAIN = 0.05
"""To this part of its time silence is looked at."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a link waits for what; seconds."""

    handshake: float = 10.0  # as Mixin's own apps do
    hello: float = 30.0  # an echo may sit behind a slow backlog, but something comes
    heartbeat: float = 15.0  # as Mixin's own apps do; no byte for half of it after a ping is death
    silence: float = 45.0  # bytes drip in, but no frame gets whole
    room: float = 5.0  # shorter than half a heartbeat, for a reader that waits sees no pong
    goodbye: float = 2.0  # for the other side's close frame


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered the upgrade: another host may."""

    detail: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The upgrade was answered with something else."""

    status: int
    detail: str
    retry_after: float | None

    @property
    def unauthorized(self) -> bool:
        """Whether the token is what was refused."""
        return self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a link ended; `detail` is for people."""

    reason: DisconnectReason
    detail: str


Socket = aiohttp.ClientWebSocketResponse[Any]


async def dial(
    http: Http, url: URL, headers: dict[str, str], patience: Patience, now: float
) -> Socket | Unreachable | TurnedAway:
    """Ask for an upgrade once. `http` must be of `open_session`, which sends nothing twice."""
    try:
        async with asyncio.timeout(patience.handshake):
            return await http.ws_connect(
                url,
                headers=headers,
                protocols=(SUBPROTOCOL,),
                heartbeat=patience.heartbeat,
                autoping=False,  # so that control frames are seen, and count as signs of life
                compress=0,
                max_msg_size=MAX_FRAME_BYTES,
                decode_text=False,  # a text that is no UTF-8 would end the connection
            )
    except TimeoutError:
        return Unreachable("no answer to the upgrade in time")
    except aiohttp.ClientResponseError as refusal:
        said = refusal.headers.get("Retry-After", "") if refusal.headers else ""
        pause = read_retry_after(said, now)
        return TurnedAway(refusal.status, f"HTTP {refusal.status}: {refusal.message}", pause)
    except (aiohttp.ClientError, OSError) as trouble:
        return Unreachable(describe(trouble))


class Link:
    """An open socket and what came of it.

    `proved` once a frame came that is no refusal, `useful` once a message did; `last_frame` is when
    a frame of any kind came last, control frames included, in Unix seconds, or 0.
    """

    def __init__(
        self,
        bot: str,
        socket: Socket,
        session: Session,
        *,
        inlet: Inlet,
        tell: Telemetry,
        clock: Clock,
        patience: Patience,
        on_proof: Callable[[], None],
    ) -> None:
        self.proved = False
        self.useful = False
        self.last_frame = 0.0
        self._bot = bot
        self._socket = socket
        self._session = session
        self._inlet = inlet
        self._tell = tell
        self._clock = clock
        self._patience = patience
        self._on_proof = on_proof
        self._answered = False

    async def read(self, hello: bytes) -> Ending:
        """Say hello and read until the link ends. The socket may still need closing then."""
        try:
            await self._socket.send_bytes(hello)
            return await self._read_on()
        except (aiohttp.ClientError, OSError) as trouble:
            return _broken(trouble)

    async def _read_on(self) -> Ending:
        loop, silence = asyncio.get_running_loop(), self._patience.silence
        wound_at = -silence
        try:
            async with asyncio.timeout(self._patience.hello) as watchdog:
                while (ending := self._take(frame := await self._socket.receive())) is None:
                    if frame.type is WSMsgType.PING:
                        await self._socket.pong(frame.data)
                    # Not at every frame: that would cost as much as parsing it.
                    if self._answered and (now := loop.time()) - wound_at > silence * _GRAIN:
                        watchdog.reschedule(now + silence)
                        wound_at = now
                    if self._inlet.full and (ending := await self._wait_for_room()):
                        break
                return ending
        except TimeoutError:
            return Ending(DisconnectReason.STALE, "no frame came for too long")

    async def close(self) -> None:
        """Say goodbye with a normal code, and hang up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.goodbye):
                await self._socket.close()

    def _take(self, frame: aiohttp.WSMessage) -> Ending | None:
        match frame.type:
            case WSMsgType.BINARY:
                return self._handle(frame.data)
            case WSMsgType.TEXT:
                return self._handle(frame.data.decode("utf-8", "replace"))
            case WSMsgType.PING | WSMsgType.PONG:
                self.last_frame = self._clock()
                self._prove()
                return None
            case WSMsgType.ERROR:
                return _broken(frame.data)
            case _:
                return self._closed(frame)

    def _handle(self, data: bytes | str) -> Ending | None:
        self.last_frame = now = self._clock()
        self._answered = True
        match event := self._session.receive(data, received_at=now):
            case Pushed(message):
                self.useful = True
                self._prove()
                self._inlet.take(message)
            case Unreadable(sample, size):
                self._inlet.keep(sample)
                self._tell(FrameUnreadable(self._bot, sample.digest, sample.why, size))
            case Refused():
                return self._refused(event)
            case _:
                self._prove()
        return None

    def _refused(self, refusal: Refused) -> Ending | None:
        what = f"{refusal.code} {refusal.description}"
        if refusal.unauthorized:
            return Ending(DisconnectReason.UNAUTHORIZED, what)
        self._tell(RequestRefused(self._bot, refusal.code, refusal.description))
        if refusal.of_hello:
            return Ending(DisconnectReason.ERROR, f"LIST_PENDING_MESSAGES was refused: {what}")
        return None

    async def _wait_for_room(self) -> Ending | None:
        try:
            async with asyncio.timeout(self._patience.room):
                await self._inlet.room()
        except TimeoutError:
            return Ending(DisconnectReason.ERROR, "the journal did not take messages in time")
        return None

    def _prove(self) -> None:
        if not self.proved:
            self.proved = True
            self._on_proof()

    def _closed(self, frame: aiohttp.WSMessage) -> Ending:
        trouble = self._socket.exception()
        if trouble is not None:
            return _broken(trouble)
        text = frame.extra if frame.type is WSMsgType.CLOSE else ""
        detail = f"code {self._socket.close_code} {text or ''}".strip()
        return Ending(DisconnectReason.CLOSED, detail)


def _broken(trouble: BaseException) -> Ending:
    """Tell a link's end from what aiohttp ran into: no pong, a lost connection, bad framing."""
    match trouble:
        case TimeoutError():
            return Ending(DisconnectReason.STALE, describe(trouble))
        case ConnectionError():
            return Ending(DisconnectReason.CLOSED, describe(trouble))
        case _:
            return Ending(DisconnectReason.ERROR, describe(trouble))
