"""Commands that work on an open journal, and on settings; both are imported when they are used."""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from relay.commands.output import print_json
from relay.commands.usage import Failure, WrongUsage, config_option, json_option, require_none
from relay.model.admin import AdminStore
from relay.model.messages import EndpointKey
from relay.model.ports import JournalDamaged, JournalUnavailable

if TYPE_CHECKING:
    from relay.admin.operations import AdminApi
    from relay.config import Settings
    from relay.journal.encryption.file_tools import FileTools

T = TypeVar("T")
Opened = TypeVar("Opened")


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with while the journal is open."""

    settings: "Settings"
    admin: "AdminApi"
    as_json: bool

    @property
    def store(self) -> AdminStore:
        """The journal."""
        return self.admin.store

    async def endpoint(
        self, name: str, *, bot: str | None = None, parameter: str = "NAME"
    ) -> EndpointKey:
        """Find the endpoint that is called `endpoint` or `bot/endpoint`. Raises `WrongUsage`."""
        known = [record.endpoint for record in await self.store.endpoints()]
        found = [key for key in known if name in (key.name, str(key)) and bot in (None, key.bot)]
        if len(found) == 1:
            return found[0]
        candidates = ", ".join(str(key) for key in found or known) or "none yet: no relay has run"
        which = "is the name of several; expected one of" if found else "expected one of"
        raise WrongUsage(f"{parameter}: {name!r}: {which} {candidates}")

    async def require_bot(self, name: str | None) -> None:
        """Refuse a bot that neither the settings nor the journal know. Raises `WrongUsage`."""
        known = {bot.name for bot in self.settings.bots}
        if name is None or name in known:
            return
        known |= {record.endpoint.bot for record in await self.store.endpoints()}
        if name not in known:
            raise WrongUsage(f"--bot: {name!r}: expected one of {', '.join(sorted(known))}")

    async def known(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        """Return filters with the one bot and endpoint that they name. Raises `WrongUsage`."""
        bot, name = filters["bot"], filters["endpoint"]
        await self.require_bot(bot)
        if name is None:
            return dict(filters)
        key = await self.endpoint(name, bot=bot, parameter="--endpoint")
        return {**filters, "bot": key.bot, "endpoint": key.name}


def on_journal(
    show: Callable[[Any], None] = print_json,
    *,
    mistakes: Callable[[Mapping[str, Any]], Iterable[str | None]] = lambda _: (),
) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., None]]:
    """Make a command of a coroutine function that works in a `Session`.

    What it gives is printed by `show` for a person, and as a document with --json; what gives
    nothing has printed it. `mistakes` finds what is wrong with the options before anything is
    opened.
    """

    def decorate(work: Callable[..., Awaitable[Any]]) -> Callable[..., None]:
        @config_option
        @json_option
        @wraps(work)
        def command(config: Path | None, *, as_json: bool, **asked: Any) -> None:
            require_none(mistakes(asked))
            settings = read_settings(config)
            answer = with_admin(
                settings, lambda admin: work(Session(settings, admin, as_json), **asked)
            )
            if answer is not None:
                (print_json if as_json else show)(answer)

        return command

    return decorate


def read_settings(config: Path | None) -> "Settings":
    """Load the settings as `relay run` does. Raises `WrongUsage` with every mistake."""
    from relay.config import SettingsError, load_settings

    try:
        return load_settings(config, os.environ)
    except SettingsError as error:
        raise WrongUsage(*error.mistakes) from None


def port_here(settings: "Settings") -> int:
    """Return the port on which a relay of these settings answers. Raises `WrongUsage`."""
    if not settings.listen.port:
        raise WrongUsage(f"listen: '{settings.listen}': expected a port, or --url")
    return settings.listen.port


def with_admin(settings: "Settings", work: Callable[["AdminApi"], Awaitable[T]]) -> T:
    """Open the journal, do some work on it and close it. Raises `Failure`."""
    from relay.admin.operations import AdminApi
    from relay.config.policies import routes_of
    from relay.journal.open import is_relayed, open_admin_store

    routes, relayed = partial(routes_of, settings), partial(is_relayed, settings.journal)

    async def administer(store: AdminStore) -> T:
        return await work(AdminApi(store, time.time, routes, settings.retention, relayed=relayed))

    return _with(open_admin_store(settings.journal, keys=settings.journal_keys), administer)


def with_file_tools(
    settings: "Settings", work: Callable[["FileTools"], Awaitable[T]], *, outdated: bool = False
) -> T:
    """Open the journal's file with its keys, do some work on it and close it. Raises `Failure`."""
    from relay.journal.open import open_file_tools

    opening = open_file_tools(settings.journal, keys=settings.journal_keys, outdated=outdated)
    return _with(opening, work)


def _with(
    opening: AbstractAsyncContextManager[Opened], work: Callable[[Opened], Awaitable[T]]
) -> T:
    import asyncio

    from relay.journal.sqlite.lock import JournalRefused

    async def visit() -> T:
        async with opening as opened:
            return await work(opened)

    try:
        return asyncio.run(visit())
    except (JournalRefused, JournalUnavailable, JournalDamaged) as error:
        raise Failure(f"journal {error}") from None
