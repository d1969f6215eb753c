"""Which dead letters a command is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from relay.commands.desk import find_endpoint
from relay.commands.kinds import COUNT, MESSAGE_ID, Kind, one_of
from relay.config.durations import DURATION, parse_duration
from relay.desk import DeadLetterQuery, Desk
from relay.model import Reason

F = TypeVar("F", bound=Callable[..., Any])

_AGE = Kind(DURATION, parse_duration)
_REASON = one_of(*Reason, "removed")


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice as it was typed; `older_than` in seconds."""

    message_ids: tuple[str, ...]
    everything: bool
    bot: str | None
    endpoint: str | None
    reason: str | None
    older_than: float | None
    limit: int | None

    def mistakes(self) -> Iterator[str]:
        """Refuse what names nothing, and what contradicts itself."""
        narrowed = (self.bot, self.endpoint, self.reason, self.older_than)
        if self.message_ids and self.everything:
            yield "--all: expected alone or with filters, since IDs are given"
        if not self.message_ids and not self.everything and all(f is None for f in narrowed):
            yield "ID: missing; expected IDs, a filter such as --endpoint NAME, or --all"

    async def query(self, desk: Desk, now: float) -> DeadLetterQuery:
        """Put it as the journal understands it; an endpoint's name must be that of one endpoint."""
        bot, endpoint = self.bot, self.endpoint
        if endpoint is not None:
            bot, endpoint = await find_endpoint(desk, endpoint, bot=bot, parameter="--endpoint")
        return DeadLetterQuery(
            message_ids=self.message_ids or None,
            bot=bot,
            endpoint=endpoint,
            reason=self.reason,
            ended_before=None if self.older_than is None else now - self.older_than,
            limit=self.limit,
        )


def selecting(function: F) -> F:
    """Add the arguments and options that make a `Selection`, which the function gets by keyword."""
    for add in (
        click.option("--limit", type=COUNT, metavar="N", help="At most so many, the oldest."),
        click.option("--older-than", type=_AGE, metavar="AGE", help="Dead for longer, as in 2d."),
        click.option("--reason", type=_REASON, metavar="REASON", help="Of the last attempt."),
        click.option("--endpoint", metavar="NAME", help="Only this endpoint's: NAME or BOT/NAME."),
        click.option("--bot", metavar="NAME", help="Only this bot's."),
        click.option("--all", "everything", is_flag=True, help="All that the filters let through."),
        click.argument("message_ids", type=MESSAGE_ID, metavar="[ID]...", nargs=-1),
    ):
        function = add(function)
    return function
