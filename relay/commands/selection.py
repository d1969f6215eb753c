"""Which dead letters a command is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from relay.commands.desk import find_endpoint, require_bot
from relay.commands.filters import AGE, TIME, earliest
from relay.commands.kinds import COUNT, MESSAGE_ID, TEXT, one_of
from relay.config import Settings
from relay.model.admin import AdminStore, DeadLetterQuery
from relay.model.messages import Reason

F = TypeVar("F", bound=Callable[..., Any])

_REASON = one_of(*Reason, "removed")


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice as it was typed; `older_than` in seconds, `since` and `until` in Unix seconds."""

    message_ids: tuple[str, ...]
    everything: bool
    bot: str | None
    endpoint: str | None
    reason: str | None
    conversation: str | None
    since: float | None
    until: float | None
    older_than: float | None
    limit: int | None

    def mistakes(self) -> Iterator[str]:
        """Refuse what names nothing, and what contradicts itself."""
        narrowed = (
            self.bot,
            self.endpoint,
            self.reason,
            self.conversation,
            self.since,
            self.until,
            self.older_than,
        )
        if self.message_ids and self.everything:
            yield "--all: expected alone or with filters, since IDs are given"
        if not self.message_ids and not self.everything and all(f is None for f in narrowed):
            yield "ID: missing; expected IDs, a filter such as --endpoint NAME, or --all"

    async def query(self, desk: AdminStore, settings: Settings, now: float) -> DeadLetterQuery:
        """Put it as the journal understands it; names must be those of a bot and an endpoint."""
        await require_bot(desk, settings, self.bot)
        bot, endpoint = self.bot, self.endpoint
        if endpoint is not None:
            bot, endpoint = await find_endpoint(desk, endpoint, bot=bot, parameter="--endpoint")
        return DeadLetterQuery(
            message_ids=self.message_ids or None,
            bot=bot,
            endpoint=endpoint,
            reason=self.reason,
            until=earliest(self.until, self.older_than, now),
            limit=self.limit,
            conversation_id=self.conversation and self.conversation.lower(),
            since=self.since,
        )


def selecting(function: F) -> F:
    """Add the arguments and options that make a `Selection`, which the function gets by keyword."""
    for add in (
        click.option("--limit", type=COUNT, metavar="N", help="At most so many, the oldest."),
        click.option("--older-than", type=AGE, metavar="AGE", help="Dead for longer, as in 2d."),
        click.option("--until", type=TIME, metavar="TIME", help="Died before then."),
        click.option("--since", type=TIME, metavar="TIME", help="Died then or later."),
        click.option("--conversation", type=TEXT, metavar="ID", help="Of this conversation."),
        click.option("--reason", type=_REASON, metavar="REASON", help="Of the last attempt."),
        click.option("--endpoint", metavar="NAME", help="Only this endpoint's: NAME or BOT/NAME."),
        click.option("--bot", metavar="NAME", help="Only this bot's."),
        click.option("--all", "everything", is_flag=True, help="All that the filters let through."),
        click.argument("message_ids", type=MESSAGE_ID, metavar="[ID]...", nargs=-1),
    ):
        function = add(function)
    return function
