"""One relay's claim on a session: a second one on this machine learns that it is one too many.

Mixin serves both, and neither would notice: each gets every message (W10). The claim is a socket in
Linux's abstract namespace, bound to a digest of the session's id: no file is left, the kernel lets
go of it with the process. Relays on other machines, or in containers of their own, aren't seen.
"""

import asyncio
import errno
import socket
from hashlib import sha256

from relay.telemetry.events import SessionShared, Telemetry

EVERY = 10.0
"""Seconds between looks whether the other relay has gone."""


class Claim:
    """Holds, or waits for, the claim on one bot's session."""

    def __init__(self, bot: str, session_id: str, tell: Telemetry, *, every: float = EVERY) -> None:
        self._bot = bot
        self._name = f"\0blaze-relay-{sha256(session_id.encode()).hexdigest()[:32]}"
        self._tell = tell
        self._every = every
        self._socket: socket.socket | None = None

    async def run(self) -> None:
        """Take the claim, as soon as nobody else holds it; tell if somebody does."""
        if self._take():
            return
        self._tell(SessionShared(self._bot, shared=True))
        while not self._take():  # noqa: ASYNC110 - the kernel has no event of ours
            await asyncio.sleep(self._every)
        self._tell(SessionShared(self._bot, shared=False))

    def release(self) -> None:
        """Let another relay have it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self) -> bool:
        """Say whether it is ours; where it can't be told, it is."""
        try:
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except (AttributeError, OSError):  # no such sockets here
            return True
        try:
            holder.bind(self._name)
        except OSError as error:
            holder.close()
            return error.errno != errno.EADDRINUSE
        self._socket = holder
        return True
