"""Looks host names up, in threads of its own, of which there are never more than so many."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from threading import Thread

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
"""An address as `socket.getaddrinfo` gives it."""

Lookup = Callable[[str, int], Awaitable[list[AddrInfo]]]
"""Gives the addresses of a host, one at least. Raises `socket.gaierror`."""

_Asked = tuple[str, int]

THREADS = 16
"""For names that answered last time, and as many again for all others."""

KEPT = 5.0
"""Seconds for which an answer is used again; DNS changes are seen no later than that."""


class Lookups:
    """Looks names up. A name that hangs holds one thread, however many ask for it.

    Names that did not answer last time, and those that were never asked for, have threads of their
    own: dead names keep nobody waiting for one that is well.
    """

    def __init__(self, *, threads: int = THREADS, kept: float = KEPT) -> None:
        self._well, self._others = asyncio.Semaphore(threads), asyncio.Semaphore(threads)
        self._kept = kept
        self._under_way: dict[_Asked, asyncio.Task[list[AddrInfo]]] = {}
        self._answers: dict[_Asked, tuple[float, list[AddrInfo]]] = {}

    async def __call__(self, host: str, port: int) -> list[AddrInfo]:
        """Give the addresses of a host, one at least. Raises `socket.gaierror`."""
        with suppress(ValueError):
            return [_literal(host, port)]
        asked, loop = (host, port), asyncio.get_running_loop()
        until, known = self._answers.get(asked, (0.0, []))
        if loop.time() < until:
            return known
        under_way = self._under_way.get(asked)
        if under_way is None or under_way.get_loop() is not loop:
            threads = self._well if known else self._others
            under_way = loop.create_task(_in_a_thread(asked, threads), name=f"lookup of {host}")
            self._under_way[asked] = under_way
            under_way.add_done_callback(lambda ended: self._note(asked, ended))
        return await asyncio.shield(under_way)

    def _note(self, asked: _Asked, ended: "asyncio.Task[list[AddrInfo]]") -> None:
        if self._under_way.get(asked) is ended:
            del self._under_way[asked]
        if ended.cancelled() or ended.exception() is not None:
            self._answers.pop(asked, None)
        else:
            self._answers[asked] = (ended.get_loop().time() + self._kept, ended.result())


async def _in_a_thread(asked: _Asked, threads: asyncio.Semaphore) -> list[AddrInfo]:
    """Ask the system, in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[AddrInfo]] = loop.create_future()

    def tell(found: list[AddrInfo] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found = _look_up(*asked)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found)

    async with threads:
        Thread(target=ask, name=f"lookup of {asked[0]}", daemon=True).start()
        return await answer


@cache
def system_lookups() -> Lookups:
    """Give the lookups that the whole process shares: its threads are counted once."""
    return Lookups()


def _literal(host: str, port: int) -> AddrInfo:
    """Read an address that needs no lookup. Raises `ValueError` for a name."""
    address = ip_address(host)
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0)


def _look_up(host: str, port: int) -> list[AddrInfo] | OSError:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except OSError as error:
        return error
    except UnicodeError:  # a label of 64 letters has no encoding
        return socket.gaierror(socket.EAI_NONAME, "the name can't be looked up")
