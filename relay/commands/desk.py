"""The journal's desk, as commands get at it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.commands.failure import Failure, WrongUsage
from relay.config import Settings
from relay.desk import Desk
from relay.journal import JournalRefused, open_desk
from relay.model import EndpointKey
from relay.ports import JournalUnavailable

T = TypeVar("T")


def at_desk(settings: Settings, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Open the journal's desk, do some work at it and close it. Raises `Failure`."""

    async def visit() -> T:
        async with open_desk(settings.journal) as desk:
            return await work(desk)

    try:
        return asyncio.run(visit())
    except (JournalRefused, JournalUnavailable) as error:
        raise Failure(f"journal {error}") from None


async def find_endpoint(
    desk: Desk, name: str, *, bot: str | None = None, parameter: str = "NAME"
) -> EndpointKey:
    """Find the one endpoint that is called `endpoint` or `bot/endpoint`. Raises `WrongUsage`."""
    known = [record.endpoint for record in await desk.endpoints()]
    found = [key for key in known if name in (key.name, str(key)) and bot in (None, key.bot)]
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(str(key) for key in found or known) or "none yet: no relay has run"
    which = "is the name of several; expected one of" if found else "expected one of"
    raise WrongUsage(f"{parameter}: {name!r}: {which} {candidates}")
