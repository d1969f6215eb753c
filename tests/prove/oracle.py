"""The oracle: an obligation for each message that Mixin accepted, and what became of it.

In the manner of Vector's: ids are unique, payloads follow from the number alone, and nothing of the
relay's own view is believed but the order in which it wrote messages down.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.acceptance.house import WHISPER
from tests.acceptance.receiver import Post, Receiver

_LARGE_EVERY = 97
_LARGE = 8_000
_HEX = 64


@dataclass(frozen=True, slots=True)
class Obligation:
    """One message that Mixin accepted; a `doomed` one is refused by every receiver for ever."""

    number: int
    message_id: str
    conversation_id: str
    doomed: bool

    @property
    def content(self) -> str:
        """Its text."""
        return content_of(self.number)


def content_of(number: int) -> str:
    """Write a text that follows from the number alone, of 40 to some 8,000 characters."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    length = _LARGE if number % _LARGE_EVERY == 0 else int(digest[:2], 16)
    filler = digest * (1 + length // _HEX)
    return f"{WHISPER} {number} {filler[: 16 + length]}"


def judge(
    obligations: Sequence[Obligation],
    receiver: Receiver,
    *,
    arrived: Mapping[str, int],
    ordered: bool,
) -> Iterator[str]:
    """List what one receiver should have seen and has not, or otherwise.

    `arrived` has the place of each message in the order in which the relay wrote them down.
    """
    owed = {one.message_id: one for one in obligations}
    taken = list(dict.fromkeys(receiver.taken))
    for message_id in owed.keys() - set(taken):
        if not owed[message_id].doomed:
            yield f"{receiver.name}: {message_id} never came"
    for message_id in set(taken) - owed.keys():
        yield f"{receiver.name}: {message_id} came from nowhere"
    yield from _payloads(owed, receiver.posts, receiver.name)
    if ordered:
        yield from _disorder((owed[each] for each in taken if each in owed), arrived, receiver.name)


def _payloads(owed: Mapping[str, Obligation], posts: Iterable[Post], name: str) -> Iterator[str]:
    for post in posts:
        one = owed.get(post.message_id)
        data = post.event["data"]
        if one is not None and (data["content"], data["conversation_id"]) != (
            one.content,
            one.conversation_id,
        ):
            yield f"{name}: {post.message_id} came changed"


def _disorder(taken: Iterable[Obligation], arrived: Mapping[str, int], name: str) -> Iterator[str]:
    """Compare the order of the first deliveries in each conversation with that of arrival."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for one in taken:
        place = arrived[one.message_id]
        if place < last[one.conversation_id]:
            yield f"{name}: {one.message_id} came after a later one of its conversation"
        last[one.conversation_id] = place
