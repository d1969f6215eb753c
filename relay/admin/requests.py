"""What operators may ask, declared once for the admin API, its document and the commands."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from relay.admin import parameters as of
from relay.admin.parameters import Kind, Mistakes, Parameter, Values
from relay.model.admin import PLACE, DeadLetter, DeadLetterQuery, MessageQuery, MessageState, Place
from relay.model.messages import MessageOutcome, Reason

MOST = 1000
"""Rows in one answer, and ids in one request: what a caller and the event loop take in one go."""

IN_A_URL = 100
"""Ids in a query: some 5 KB, and a line of more than 8 KB is refused."""

_ENDED = (*Reason, "removed")
_NEXT = "the next_cursor of the page before"

_FILTERS = {
    "bot": Parameter(of.NAME, "only this bot's"),
    "endpoint": Parameter(of.NAME, "only this endpoint's: NAME or BOT/NAME"),
    "conversation_id": Parameter(of.ID, "only those of this conversation"),
    "since": Parameter(of.TIME, "then or later"),
    "until": Parameter(of.TIME, "before then"),
    "older_than": Parameter(of.AGE, "for longer, as in 2d"),
}

MESSAGE_FILTERS = {
    **_FILTERS,
    "category": Parameter(of.NAME, "only those of this category"),
    "state": Parameter(
        of.one_of(*MessageState),
        "pending: unfinished; failing: of these, an attempt failed and another is to come; or how "
        "it ended: read, unwanted, dead, discarded",
    ),
    "outcome": Parameter(of.one_of(*MessageOutcome), "only those that ended so"),
    "cursor": Parameter(of.cursor("^[0-9]{1,18}$", int), _NEXT),
}
"""By what messages are listed; the times are those of their arrival."""

DEAD_LETTER_FILTERS = {
    **_FILTERS,
    "reason": Parameter(of.one_of(*_ENDED), "that of the last attempt, or `removed`"),
    "cursor": Parameter(of.cursor(PLACE, Place.read), _NEXT),
}
"""By what dead letters are listed; the times are those of their deaths."""


def message_query(values: Values, now: float) -> MessageQuery:
    """Make the query for a list of messages."""
    picked = {name: values[name] for name in ("category", "pending", "outcome", "limit")}
    return MessageQuery(**_common(values, now), **picked).narrowed(values["state"])


def dead_letter_query(values: Values, now: float) -> DeadLetterQuery:
    """Make the query for dead letters."""
    picked = {name: values[name] for name in ("message_ids", "reason", "limit")}
    return DeadLetterQuery(**_common(values, now), **picked)


def _common(values: Values, now: float) -> dict[str, Any]:
    bot, endpoint = split_name(values["bot"], values["endpoint"])
    age = values["older_than"]
    ends = (values["until"], values.get("ended_before"), None if age is None else now - age)
    return {
        "bot": bot,
        "endpoint": endpoint,
        "conversation_id": values["conversation_id"],
        "since": values["since"],
        "until": min((end for end in ends if end is not None), default=None),
        "after": values["cursor"],
    }


def split_name(bot: str | None, endpoint: str | None) -> tuple[str | None, str | None]:
    """Take `BOT/NAME` apart; with another bot beside it, it is nobody's."""
    of, slash, name = (endpoint or "").rpartition("/")
    return (of, name) if slash and bot in (None, of) else (bot, endpoint)


# --- What the API is asked ------------------------------------------------------------------------


def required(kind: Kind) -> Parameter:
    """Make a parameter without which nothing can be done."""
    return Parameter(kind, required=True)


NOTHING: Mapping[str, Parameter] = {}
MESSAGE = {"message_id": required(of.ID)}
ENDPOINT = {"bot": required(of.NAME), "name": required(of.NAME)}
REPLAY_NUMBER = {"number": required(of.whole(1, 2**53))}
REPLAY = {
    "bot": required(of.NAME),
    "endpoint": required(of.NAME),
    "since": required(of.TIME),
    "until": Parameter(of.TIME),
}
RELOAD = {
    "discard_owed": Parameter(
        of.YES_NO, "give up what endpoints are owed that are gone", default=False
    )
}
MESSAGES = MESSAGE_FILTERS | {
    "pending": Parameter(of.YES_NO, "true: unfinished ones, false: finished ones"),
    "limit": Parameter(of.whole(1, MOST), default=50),
}
_ANY_DEAD_LETTERS = DEAD_LETTER_FILTERS | {"ended_before": Parameter(of.TIME, "as until")}
DEAD_LETTERS = _ANY_DEAD_LETTERS | {
    "message_id": Parameter(of.ID, "may be repeated", most=IN_A_URL),
    "limit": Parameter(of.whole(1, MOST), default=100),
}
RETRY = _ANY_DEAD_LETTERS | {
    "message_ids": Parameter(of.ID, "those to act on, or `all`", most=MOST),
    "all": Parameter(of.YES_NO, "all that the rest lets through", default=False),
    "limit": Parameter(of.whole(1, MOST), "ask again with next_cursor for the rest", default=MOST),
}
DISCARD = RETRY | {
    "mark_read": Parameter(of.YES_NO, "they no longer hold READ back", default=False)
}
_BY_ID = {"message_ids": {"type": "array"}, "all": {"const": False}}
_ALL = {"message_ids": {"type": "null"}, "all": {"const": True}}
EITHER = {
    "oneOf": [
        {"required": ["message_ids"], "properties": _BY_ID},
        {"required": ["all"], "properties": _ALL},
    ]
}
"""What JSON Schema says of `RETRY` and `DISCARD` beside their parameters."""


def of_messages(values: Values, now: float) -> Values:
    """Make the arguments for a list of messages."""
    return {"query": message_query(values, now)}


def of_dead_letters(values: Values, now: float) -> Values:
    """Make the arguments for a list of dead letters, or for what is done to them.

    Raises `Mistakes` if it is not said which.
    """
    if "all" in values and (values["message_ids"] is None) is not values["all"]:
        raise Mistakes(("", "either message_ids or all: true is needed, and not both"))
    ids = values["message_ids"] if "all" in values else values["message_id"]
    more = {name: values[name] for name in values if name == "mark_read"}
    return {"query": dead_letter_query({**values, "message_ids": ids}, now), **more}


BATCH = 250
"""Dead letters in one transaction: some tens of milliseconds, which no receiver notices."""

_IDS = 1000
"""Ids in one statement, which has room for some thousands."""

Act = Callable[[DeadLetterQuery], Awaitable[Sequence[DeadLetter]]]
"""Looks for dead letters or does something to them, in one transaction; needs a `limit`."""


async def in_batches(
    act: Act, query: DeadLetterQuery, *, size: int = BATCH
) -> AsyncIterator[Sequence[DeadLetter]]:
    """Act on all that a query asks for, `size` at a time, and give each batch when it is done.

    Each goes on behind the one before: what dies again meanwhile comes up once more at most, and
    never before what has not had its turn.
    """
    left = query.limit
    for part in _parts(query):
        after = query.after
        while left is None or left > 0:
            most = size if left is None else min(size, left)
            letters = await act(replace(part, limit=most, after=after))
            if letters:
                yield letters
                after = letters[-1].place
            left = None if left is None else left - len(letters)
            if len(letters) < most:
                break


def _parts(query: DeadLetterQuery) -> Iterator[DeadLetterQuery]:
    """Take a long list of ids apart; each part is in order for itself."""
    ids = query.message_ids
    if ids is None:
        yield query
        return
    distinct = tuple(dict.fromkeys(ids))
    for start in range(0, len(distinct), _IDS):
        yield replace(query, message_ids=distinct[start : start + _IDS])
