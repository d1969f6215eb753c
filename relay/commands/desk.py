"""The journal's desk, as commands get at it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from relay.commands.failure import Failure, WrongUsage
from relay.config import Settings
from relay.journal.encryption.file_tools import Vault
from relay.journal.engines.sqlite.lock import JournalRefused
from relay.journal.open import open_admin_store, open_vault
from relay.model.admin import AdminStore
from relay.model.messages import EndpointKey
from relay.model.ports import JournalDamaged, JournalUnavailable

T = TypeVar("T")
Place = TypeVar("Place")


def with_admin_store(settings: Settings, work: Callable[[AdminStore], Awaitable[T]]) -> T:
    """Open the journal's desk, do some work at it and close it. Raises `Failure`."""
    return _visit(open_admin_store(settings.journal, keys=settings.journal_keys), work)


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
    desk: AdminStore, name: str, *, bot: str | None = None, parameter: str = "NAME"
) -> EndpointKey:
    """Find the one endpoint that is called `endpoint` or `bot/endpoint`. Raises `WrongUsage`."""
    known = [record.endpoint for record in await desk.endpoints()]
    found = [key for key in known if name in (key.name, str(key)) and bot in (None, key.bot)]
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(str(key) for key in found or known) or "none yet: no relay has run"
    which = "is the name of several; expected one of" if found else "expected one of"
    raise WrongUsage(f"{parameter}: {name!r}: {which} {candidates}")


async def require_bot(desk: AdminStore, settings: Settings, name: str | None) -> None:
    """Refuse a bot that neither the settings nor the journal know. Raises `WrongUsage`."""
    configured = {bot.name for bot in settings.bots}
    if name is None or name in configured:
        return
    known = configured | {record.endpoint.bot for record in await desk.endpoints()}
    if name not in known:
        raise WrongUsage(f"--bot: {name!r}: expected one of {', '.join(sorted(known))}")
