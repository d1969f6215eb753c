"""Receivers in a process of their own: one that is well, and neighbours that are not.

Run with `python -m tests.bench.neighbours`. Its first line on standard output is their ports, in
JSON; then, for each 2xx of the one that is well, the message's id and the monotonic time of it.
"""

import asyncio
import json
import sys

from tests.bench.receiver import OK, Taker

SLOW = 2.0
"""Seconds that the slow one takes for an answer."""

_GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
_ID = b"webhook-id:"


class _Well(Taker):
    def answer(self, head: bytes) -> None:
        self.say(OK)
        message_id = head.split(_ID)[1].split(b"\r\n")[0].strip().decode()
        sys.stdout.write(f"{message_id} {asyncio.get_running_loop().time()}\n")
        sys.stdout.flush()


class _Hanging(Taker):
    def answer(self, head: bytes) -> None:
        """Say nothing."""


class _Slow(Taker):
    def answer(self, head: bytes) -> None:  # noqa: ARG002 - all the same to it
        asyncio.get_running_loop().call_later(SLOW, self.say, OK)


class _Gone(Taker):
    def answer(self, head: bytes) -> None:  # noqa: ARG002 - all the same to it
        self.say(_GONE)


RECEIVERS = {"well": _Well, "hangs": _Hanging, "slow": _Slow, "gone": _Gone}


async def main() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    ports = {}
    for name, kind in RECEIVERS.items():
        server = await loop.create_server(kind, "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"{json.dumps(ports)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
