"""The connections to one receiver: how many, how long, and who waits for one."""

import asyncio
import random
import socket
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from relay.webhook.connection import NEVER, Connection
from relay.webhook.exchange import Failure, NotConnectedError

_DIALS = 3
"""How often one request tries a receiver that speaks before it is asked."""

_BREATH = 0.01
"""Seconds between two looks at all connections, however many there are."""

_TURNS = 16
"""How many turns the loop gets to read what has arrived before a request is sent."""


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How connections are used; seconds. `most` counts those that are made or closed in, too."""

    most: int
    # Node, uvicorn and Apache drop idle connections after 5 s, and we are to be first: what becomes
    # of a request on a connection that is being closed, nobody knows.
    keep_idle: float = 4.0
    # After the status line: it has decided, and the rest is waited for only to keep the connection.
    patience: float = 2.0
    # So old a connection is not used again, and the name is asked anew; by chance between both.
    lifetime: tuple[float, float] = (60.0, 120.0)
    # No HTTP server speaks first. An address that has not proved one is listened to for so long.
    listen: float = 0.05


class Route(Protocol):
    """The way to a receiver."""

    async def dial(self) -> socket.socket:
        """Connect. Raises `NotConnectedError`."""

    async def establish(self, connection: Connection) -> None:
        """Do what comes before the first request: TLS. Raises `NotConnectedError`."""


class ConnectionPool:
    """Connections along one route. What is idle is used again, the last one first."""

    def __init__(self, route: Route, policy: PoolPolicy) -> None:
        self._route = route
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._places = 0
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._proved: set[str] = set()
        self._keeping = True
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = NEVER

    def idle(self) -> Connection | None:
        """Take an idle connection on which nothing has come and that is not too old."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if connection.due <= now:
                connection.close()
            elif connection.waits_unread():
                connection.abort()
            else:
                return connection
        return None

    async def take(self, ends_at: float, connect_timeout: float) -> Connection:
        """Take an idle connection, or make one as soon as there is a place for it.

        Raises `NotConnectedError` when the loop's time is `ends_at`, or after `connect_timeout`
        seconds of connecting.
        """
        for dial in range(1, _DIALS + 1):
            try:
                return await self._take(ends_at, connect_timeout)
            except NotConnectedError as error:
                if error.failure is not Failure.PROTOCOL or dial == _DIALS:
                    raise
        raise AssertionError

    def close_idle(self) -> None:
        """Close what is idle now."""
        while self._idle:
            self._idle.pop().close()

    def close_when_idle(self) -> None:
        """Close what is idle now, and everything else as soon as it is."""
        self._keeping = False
        self.close_idle()

    def close(self) -> None:
        """End everything at once."""
        self._closed = True
        self.close_when_idle()
        for connection in tuple(self._open):
            connection.drop()
        if self._timer is not None:
            self._timer.cancel()

    # --- what connections call --------------------------------------------------------------------

    def freed(self, connection: Connection, idle_timeout: int | None) -> None:
        """Take a connection back that may be used again."""
        now = self._loop.time()
        # A second for the way, in which the receiver could close it under a request.
        keep = self._policy.keep_idle if idle_timeout is None else idle_timeout - 1.0
        until = min(now + keep, connection.expires)
        if not self._keeping or until <= now:
            connection.close()
            return
        connection.rest(until)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        self._idle.append(connection)

    def lost(self, connection: Connection, *, well: bool) -> None:
        """Forget a connection whose socket is closed, and who its receiver was if it went ill."""
        if not well:
            self._proved.clear()
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._vacate()

    def watch(self, due: float) -> None:
        """Look at the connections at `due`: one timer serves them all."""
        if due < self._wakes:
            self._wakes = due
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._sweep)

    # --- inside -----------------------------------------------------------------------------------

    async def _take(self, ends_at: float, connect_timeout: float) -> Connection:
        while (connection := self.idle()) is None:
            if self._places < self._policy.most:
                self._places += 1
            else:
                try:
                    async with asyncio.timeout_at(ends_at):
                        connection = await self._turn()
                except TimeoutError:
                    text = "no connection was free in time"
                    raise NotConnectedError(Failure.TIMEOUT, text) from None
            if connection is None:
                connect_by = min(ends_at, self._loop.time() + connect_timeout)
                try:
                    async with asyncio.timeout_at(connect_by):
                        return await self._make()
                except TimeoutError:
                    text = f"not connected within {connect_timeout:g} s"
                    raise NotConnectedError(Failure.CONNECT_TIMEOUT, text) from None
            self._idle.append(connection)  # something may have happened to it meanwhile
        return connection

    async def _turn(self) -> Connection | None:
        """Wait for a connection, or for a place to make one in."""
        turn: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        """Give what nobody needs any more to whoever is next."""
        if connection is None:
            self._vacate()
        elif not connection.ended:
            self.freed(connection, None)

    def _vacate(self) -> None:
        """Give a place to whoever waits for one."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._places -= 1

    async def _make(self) -> Connection:
        """Make a connection in a place that is taken already."""
        try:
            connection, peer = await self._connect()
        except BaseException:
            self._vacate()
            raise
        self._open.add(connection)  # from here on the place is vacated when its socket is closed
        try:
            await self._route.establish(connection)
            await self._listen(connection, peer)
        except BaseException:
            connection.abort()
            raise
        connection.expires = self._loop.time() + random.uniform(*self._policy.lifetime)
        return connection

    async def _connect(self) -> tuple[Connection, str]:
        if self._closed:
            raise NotConnectedError(Failure.CLIENT, "the sender is closed")
        opened = await self._route.dial()
        connection = Connection(opened, self, patience=self._policy.patience)
        try:
            await self._loop.create_connection(lambda: connection, sock=opened)
            peer = str(opened.getpeername())
        except BaseException as error:
            if connection.connected:
                connection.abort()
            else:
                opened.close()
            if isinstance(error, OSError):
                text = "the connection ended at once"
                raise NotConnectedError(Failure.CONNECT, text) from None
            raise
        if connection.gone:
            raise NotConnectedError(Failure.CONNECT, "the connection ended at once")
        return connection, peer

    async def _listen(self, connection: Connection, peer: str) -> None:
        """Find out whether the receiver speaks before it is asked."""
        if peer not in self._proved:
            await connection.ends_within(self._policy.listen)
        for _ in range(_TURNS):
            if connection.ended or not connection.waits_unread():
                break
            await asyncio.sleep(0)
        if connection.trouble is not None:
            raise connection.trouble
        self._proved.add(peer)

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer, self._wakes = None, NEVER
        for connection in tuple(self._open):
            if connection.due <= now:
                connection.expire()
        earliest = min((connection.due for connection in self._open), default=NEVER)
        self.watch(max(earliest, now + _BREATH))
