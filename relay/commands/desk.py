"""The journal's desk, as commands get at it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from relay.commands.failure import Failure, WrongUsage
from relay.config import Settings
from relay.desk import Desk
from relay.journal import JournalRefused, Vault, open_desk, open_vault
from relay.model import EndpointKey
from relay.ports import JournalDamaged, JournalUnavailable

T = TypeVar("T")
Place = TypeVar("Place")


def at_desk(settings: Settings, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Open the journal's desk, do some work at it and close it. Raises `Failure`."""
    return _visit(open_desk(settings.journal, keys=settings.journal_keys), work)


def at_vault(
    settings: Settings, work: Callable[[Vault], Awaitable[T]], *, outdated: bool = False
) -> T:
    """Open the journal's vault, do some work there and close it. Raises `Failure`."""
    opening = open_vault(settings.journal, keys=settings.journal_keys, outdated=outdated)
    return _visit(opening, work)


def _visit(opening: AbstractAsyncContextManager[Place], work: Callable[[Place], Awaitable[T]]) -> T:
    async def visit() -> T:
        async with opening as place:
            return await work(place)

    try:
        return asyncio.run(visit())
    except (JournalRefused, JournalUnavailable, JournalDamaged) as error:
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


async def require_bot(desk: Desk, settings: Settings, name: str | None) -> None:
    """Refuse a bot that neither the settings nor the journal know. Raises `WrongUsage`."""
    configured = {bot.name for bot in settings.bots}
    if name is None or name in configured:
        return
    known = configured | {record.endpoint.bot for record in await desk.endpoints()}
    if name not in known:
        raise WrongUsage(f"--bot: {name!r}: expected one of {', '.join(sorted(known))}")
