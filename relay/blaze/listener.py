"""Holds one bot's Blaze socket, and only reads.

Connections come and go; the listener decides when to try again, and where.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yarl import URL

from relay.blaze.credentials import FIRST, LONGEST, Credentials
from relay.blaze.keystore import Keystore, signed_headers
from relay.blaze.link import Ending, Link, Patience, Socket, TurnedAway, Unreachable, dial
from relay.blaze.session import Session
from relay.blaze.session_claim import Claim
from relay.blaze.transport import Http
from relay.delivery.retry import backoff
from relay.model.ports import Clock, Inlet
from relay.telemetry.events import (
    ConnectEnded,
    ConnectResult,
    Disconnected,
    DisconnectReason,
    ListenerStarted,
    TakeoverSuspected,
    Telemetry,
)

# A link that lives so long has proved useful, and one that is closed sooner was closed soon.
USEFUL_AFTER = 30.0
# So many links in a row closed soon: somebody else may hold the same session (W10).
TAKEOVER_CLOSES = 5


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Whether the socket is up, since when (Unix seconds), and a word for people.

    Before the first connect `since` is when the listener was made, and `ever` is False.
    """

    up: bool
    since: float
    detail: str
    ever: bool = True


class Listener:
    """One bot's reader: run it in a task group, and ask it to stop from outside."""

    def __init__(
        self,
        bot: str,
        keystore: Keystore,
        urls: Sequence[str],
        *,
        http: Http,
        inlet: Inlet,
        credentials: Credentials,
        tell: Telemetry,
        clock: Clock = time.time,
        jitter: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        patience: Patience | None = None,
    ) -> None:
        self._bot = bot
        self._keystore = keystore
        self._urls = [URL(url) for url in urls]
        self._http = http
        self._inlet = inlet
        self._credentials = credentials
        self._tell = tell
        self._clock = clock
        self._jitter = jitter
        self._new_id = new_id
        self._patience = patience or Patience()
        self._claim = Claim(bot, keystore.session_id, tell)
        self._host = 0
        self._failures = 0
        self._soon_closed = 0
        self._link: Link | None = None
        self._opened_at = 0.0
        self._last_frame = 0.0
        self._status = LinkStatus(up=False, since=clock(), detail="connecting", ever=False)
        self._stopped = asyncio.Event()
        self._closed = asyncio.Event()

    def status(self) -> LinkStatus:
        """Tell how the socket is, for readiness."""
        return self._status

    def last_frame(self) -> float:
        """Tell when a frame came last, in Unix seconds, or 0."""
        return max(self._last_frame, self._link.last_frame if self._link else 0.0)

    async def run(self) -> None:
        """Hold the socket until `close`. Raises only what is a bug."""
        self._tell(ListenerStarted(self._bot, self.last_frame))
        try:
            async with asyncio.TaskGroup() as group:
                claiming = group.create_task(self._claim.run())
                reading = group.create_task(self._stay_connected())
                await self._stopped.wait()
                reading.cancel()
                await self._closed.wait()
                claiming.cancel()
        finally:
            await self._hang_up(Ending(DisconnectReason.STOPPING, "stopping"))
            self._claim.release()

    def stop_reading(self) -> None:
        """Read no more; the socket stays open, so that no other relay is given the backlog yet."""
        self._stopped.set()

    def close(self) -> None:
        """Close the socket; `run` returns once that is done."""
        self._stopped.set()
        self._closed.set()

    async def _stay_connected(self) -> None:
        while True:
            if self._inlet.full:
                await self._inlet.room()
            await asyncio.sleep(await self._connect_once())

    async def _connect_once(self) -> float:
        """Connect, read until the link ends, and say how long to wait before the next."""
        url = self._urls[self._host]
        match await dial(self._http, url, self._signed_headers(url), self._patience, self._clock()):
            case Unreachable(detail):
                self._host = (self._host + 1) % len(self._urls)
                return self._not_connected(url, ConnectResult.FAILED, detail, self._back_off())
            case TurnedAway(unauthorized=True, detail=detail):
                wait = await self._credentials.refused()
                return self._not_connected(url, ConnectResult.UNAUTHORIZED, detail, wait)
            case TurnedAway(_, detail, pause):
                wait = max(self._back_off(), pause or 0.0)
                return self._not_connected(url, ConnectResult.FAILED, detail, wait)
            case socket:
                return await self._hold(url, socket)

    async def _hold(self, url: URL, socket: Socket) -> float:
        session = Session(self._bot, self._keystore.app_id)
        link = Link(
            self._bot,
            socket,
            session,
            inlet=self._inlet,
            tell=self._tell,
            clock=self._clock,
            patience=self._patience,
            on_proof=lambda: self._connected(url),
        )
        self._link = link
        self._opened_at = asyncio.get_running_loop().time()
        ending = await link.read(session.hello(self._new_id()))
        lasted = await self._hang_up(ending)
        return await self._judge(url, link, ending, lasted)

    async def _judge(self, url: URL, link: Link, ending: Ending, lasted: float) -> float:
        """Say how long to wait after a link, by what it was good for."""
        if link.useful or (link.proved and lasted >= USEFUL_AFTER):
            self._failures = 0
            self._credentials.accepted()
        self._watch_for_takeover(ending, lasted)
        unauthorized = ending.reason is DisconnectReason.UNAUTHORIZED
        wait = await self._credentials.refused() if unauthorized else self._back_off()
        if not link.proved:
            result = ConnectResult.UNAUTHORIZED if unauthorized else ConnectResult.FAILED
            self._not_connected(url, result, ending.detail, wait)
        return wait

    def _watch_for_takeover(self, ending: Ending, lasted: float) -> None:
        soon = ending.reason is DisconnectReason.CLOSED and lasted < USEFUL_AFTER
        self._soon_closed = self._soon_closed + 1 if soon else 0
        if self._soon_closed >= TAKEOVER_CLOSES:
            self._tell(TakeoverSuspected(self._bot, self._soon_closed))

    def _back_off(self) -> float:
        """Count a failure and wait for it: each in a row longer, spread by full jitter.

        A link that brought messages and was closed soon is no failure until a takeover is
        suspected: two relays that push each other out must not do so without a pause.
        """
        self._failures += 1
        attempt = max(self._failures, self._soon_closed - TAKEOVER_CLOSES)
        return backoff(attempt, first=FIRST, longest=LONGEST, jitter=self._jitter())

    def _connected(self, url: URL) -> None:
        host = url.host_port_subcomponent or ""
        self._status = LinkStatus(up=True, since=self._clock(), detail=host)
        self._tell(ConnectEnded(self._bot, host, ConnectResult.OK))

    def _not_connected(self, url: URL, result: ConnectResult, detail: str, wait: float) -> float:
        host = url.host_port_subcomponent or ""
        before = self._status
        self._status = LinkStatus(up=False, since=before.since, detail=detail, ever=before.ever)
        self._tell(ConnectEnded(self._bot, host, result, detail, retry_in=wait))
        return wait

    async def _hang_up(self, ending: Ending) -> float:
        """Close the link, if there is one, and say how long it lasted."""
        link, self._link = self._link, None
        if link is None:
            return 0.0
        lasted = asyncio.get_running_loop().time() - self._opened_at
        self._last_frame = max(self._last_frame, link.last_frame)
        if link.proved:
            self._status = LinkStatus(up=False, since=self._clock(), detail=ending.detail)
        try:
            await link.close()
        finally:
            if link.proved:
                self._tell(Disconnected(self._bot, ending.reason, ending.detail, lasted))
        return lasted

    def _signed_headers(self, url: URL) -> dict[str, str]:
        """Sign a fresh token: one for each connect."""
        now, request_id = self._clock(), self._new_id()
        return signed_headers(
            self._keystore, "GET", url.raw_path_qs, b"", now=now, request_id=request_id
        )
