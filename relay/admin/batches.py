"""Many dead letters, some at a time: no transaction is so long that deliveries wait for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from relay.model.admin import DeadLetter, DeadLetterQuery

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
