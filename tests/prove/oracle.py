"""The oracle: an obligation for each message that Mixin accepted, and what became of it.

In the manner of Vector's: ids are unique, payloads follow from the number alone, and nothing of the
relay's own view is believed but the order in which it wrote messages down.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.acceptance.house import WHISPER
from tests.acceptance.receiver import Post, fits

MOST_RSS = 150 * 2**20
"""Bytes; whatever waits, it waits in the journal."""

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


@dataclass(frozen=True, slots=True)
class Era:
    """The time of one journal; another one begins when it is damaged and set aside.

    `arrived` has the place of each message in the order in which it was written down, `begins` how
    many requests each receiver had had before, `unread` what Mixin still held then, or has pushed
    again since: only that may come again without notice (W8).
    """

    arrived: Mapping[str, int]
    begins: Mapping[str, int]
    unread: frozenset[str] = frozenset()


def judge(
    obligations: Sequence[Obligation],
    name: str,
    posts: Sequence[Post],
    *,
    eras: Sequence[Era],
    ordered: bool,
) -> Iterator[str]:
    """List what one receiver should have seen and has not, or otherwise."""
    owed = {one.message_id: one for one in obligations}
    taken = {post.message_id for post in posts if post.taken}
    for message_id in owed.keys() - taken:
        if not owed[message_id].doomed:
            yield f"{name}: {message_id} never came"
    for message_id in taken - owed.keys():
        yield f"{name}: {message_id} came from nowhere"
    yield from _payloads(owed, posts, name)
    seen: set[str] = set()
    ends = [*(era.begins[name] for era in eras[1:]), len(posts)]
    for era, end in zip(eras, ends, strict=True):
        then = posts[era.begins[name] : end]
        yield from _unannounced(then, era, seen, name)
        if ordered:
            yield from _disorder(_first_taken(then, seen), owed, era, name)
        seen |= {post.message_id for post in then if post.taken}


def misread(obligations: Iterable[Obligation], pending: Iterable[str]) -> Iterator[str]:
    """List what is READ although nobody has ever taken it."""
    unread = set(pending)
    for one in obligations:
        if one.doomed and one.message_id not in unread:
            yield f"{one.message_id} is READ and was never taken"


def imbalanced(imbalance: float) -> Iterator[str]:
    """Complain if the relay's own books don't balance."""
    if imbalance:
        yield f"relay_conservation_imbalance is {imbalance:g}"


def bloated(rss: float) -> Iterator[str]:
    """Complain if the relay takes more memory than it may; bytes."""
    if rss > MOST_RSS:
        yield f"the relay takes {rss / 2**20:.0f} MiB"


def late(left: int, seconds: float) -> Iterator[str]:
    """Complain if anything is left after so long."""
    if left:
        yield f"{left} messages unread {seconds:g} s after the last fault"


def moved(aside: Iterable[str], damages: int) -> Iterator[str]:
    """Complain if sound journals were set aside, or damaged ones were not."""
    names = {name for name in aside if not name.endswith("-shm")}
    if len(names) != damages:
        yield f"{damages} journals were damaged, and {len(names)} set aside: {sorted(names)}"


def _payloads(owed: Mapping[str, Obligation], posts: Iterable[Post], name: str) -> Iterator[str]:
    for post in posts:
        one = owed.get(post.message_id)
        data = post.event["data"]
        if one is not None and (data["content"], data["conversation_id"]) != (
            one.content,
            one.conversation_id,
        ):
            yield f"{name}: {post.message_id} came changed"


def _unannounced(posts: Iterable[Post], era: Era, seen: set[str], name: str) -> Iterator[str]:
    """List what came again although nothing said that it might."""
    before: dict[str, list[Post]] = defaultdict(list)
    for post in posts:
        earlier = before[post.message_id]
        if not fits(post, earlier):
            yield f"{name}: {post.message_id} came again as {post.prior}"
        if not earlier and post.message_id in seen and post.message_id not in era.unread:
            yield f"{name}: {post.message_id} came again, and was READ"
        earlier.append(post)


def _first_taken(posts: Iterable[Post], seen: set[str]) -> Iterator[str]:
    taken = dict.fromkeys(post.message_id for post in posts if post.taken)
    return (message_id for message_id in taken if message_id not in seen)


def _disorder(
    taken: Iterable[str], owed: Mapping[str, Obligation], era: Era, name: str
) -> Iterator[str]:
    """Compare the order of the first deliveries in each conversation with that of arrival."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for message_id in taken:
        place, one = era.arrived.get(message_id), owed.get(message_id)
        if place is None or one is None:
            yield f"{name}: {message_id} came, and the journal doesn't know it"
            continue
        if place < last[one.conversation_id]:
            yield f"{name}: {message_id} came after a later one of its conversation"
        last[one.conversation_id] = place
