"""Names in a request to the admin API that nobody has: nothing found would look like good news."""

from collections.abc import Sequence

from relay.model.admin import AdminStore, DeadLetterQuery, MessageQuery


class NotKnown(Exception):  # noqa: N818 - an answer, not a fault
    """What was asked about is not in the journal; the text says what."""


async def require_known(
    desk: AdminStore, query: MessageQuery | DeadLetterQuery, found: Sequence[object]
) -> None:
    """Refuse the name of a bot or endpoint, if nothing was found and none has it.

    Raises `NotKnown`.
    """
    if found or (query.bot is None and query.endpoint is None):
        return
    known = [record.endpoint for record in await desk.endpoints()]
    if any(query.bot in (None, k.bot) and query.endpoint in (None, k.name) for k in known):
        return
    asked = "/".join(name for name in (query.bot, query.endpoint) if name)
    named = "endpoint" if query.endpoint else "bot"
    expected = f"expected one of {', '.join(map(str, known))}" if known else "none has been yet"
    raise NotKnown(f"no {named} {asked}; {expected}")
