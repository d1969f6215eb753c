"""What acting on many promises: short steps, in order, to the end and no further."""

from collections.abc import Sequence

import pytest

from relay.admin.requests import in_batches
from relay.model.admin import DeadLetter, DeadLetterQuery
from relay.model.messages import EndpointKey
from tests.core.samples import uuid

ENDPOINT = EndpointKey("bot", "crm")


class Letters:
    """A desk's letters; remembers every query."""

    def __init__(self, count: int) -> None:
        self.letters = [_letter(number) for number in range(count)]
        self.asked: list[DeadLetterQuery] = []

    async def act(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        self.asked.append(query)
        found = [x for x in self.letters if query.after is None or x.place > query.after]
        if query.message_ids is not None:
            found = [x for x in found if x.message_id in query.message_ids]
        return found[: query.limit]


def _letter(number: int) -> DeadLetter:
    where = (ENDPOINT, uuid(number), "c", "PLAIN_TEXT")
    return DeadLetter(*where, 1, "http_4xx", 400, "", 0.0, 1.0, number=number)


@pytest.mark.parametrize(
    ("count", "limit", "sizes"),
    [(0, None, []), (7, None, [3, 3, 1]), (6, None, [3, 3]), (7, 5, [3, 2]), (7, 3, [3])],
)
async def test_each_step_is_short(count: int, limit: int | None, sizes: list[int]) -> None:
    """No step is longer than its size, and all of them together take no more than asked."""
    letters = Letters(count)
    query = DeadLetterQuery(limit=limit)
    batches = [batch async for batch in in_batches(letters.act, query, size=3)]
    assert sizes == [len(batch) for batch in batches]
    taken = letters.letters[: limit or count]
    assert taken == [letter for batch in batches for letter in batch]
    assert all(asked.limit is not None and asked.limit <= 3 for asked in letters.asked)


async def test_a_long_list_of_ids_is_taken_apart() -> None:
    """A statement never has more ids than a database takes, and no id counts twice."""
    letters = Letters(2500)
    ids = tuple(uuid(number) for number in range(2500)) * 2
    found = [x async for batch in in_batches(letters.act, DeadLetterQuery(ids)) for x in batch]
    assert 2500 == len(found)
    assert 1000 == max(len(asked.message_ids or ()) for asked in letters.asked)
