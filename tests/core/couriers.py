"""A courier that plays a script instead of posting, and minds the promises."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from relay.model.messages import (
    Delivery,
    EndpointKey,
    PriorOutcome,
    Success,
    Transient,
    Verdict,
)
from tests.core.samples import OK

HANG = 10_000_000.0
"""So many seconds a receiver takes that never answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver does with one request.

    `takes` seconds pass until its answer is read, half of them before the receiver has the request.
    `lost`: the receiver takes the message, but its answer never comes back.
    """

    verdict: Verdict = OK
    takes: float = 0.05
    lost: bool = False

    @property
    def taken(self) -> bool:
        """Whether the receiver keeps the message."""
        return self.lost or isinstance(self.verdict, Success)


@dataclass(slots=True)
class Post:
    """One attempt as the receiver saw it; without a verdict it is in flight, or was cut."""

    endpoint: EndpointKey
    message_id: str
    lane: str
    number: int
    prior: PriorOutcome
    started_at: float
    ended_at: float | None = None
    verdict: Verdict | None = None
    cut: bool = False
    replay: int | None = None


Key = tuple[EndpointKey, str]
Script = Answer | Verdict | Literal["crash"]


class FakeCourier:
    """The couriers of all endpoints, and the receivers behind them.

    What a delivery gets is the next of its own script, else of its endpoint's, else the endpoint's
    usual answer. What breaks a promise is written down in `violations`.
    """

    def __init__(self, on_post: Callable[[Post], None] = lambda _: None) -> None:
        self._on_post = on_post
        self.posts: list[Post] = []
        self.taken: Counter[Key] = Counter()
        self.answered: set[Key] = set()
        self.ended: set[Key] = set()
        self.most_in_flight: Counter[EndpointKey] = Counter()
        self.violations: list[str] = []
        self._usual: dict[EndpointKey, Script] = {}
        self._scripts: dict[EndpointKey | Key, deque[Script]] = defaultdict(deque)
        self._always: dict[Key, Script] = {}
        self._in_flight: Counter[EndpointKey] = Counter()
        self._busy: set[tuple[EndpointKey, str]] = set()
        self._recorded: dict[tuple[EndpointKey, str], list[str]] = defaultdict(list)
        self._places: dict[Key, int] = {}
        self._gone_before: Counter[tuple[EndpointKey, str]] = Counter()
        self._doubtful: set[Key] = set()

    # --- What tests say -------------------------------------------------------------------------

    def usually(self, endpoint: EndpointKey, script: Script) -> None:
        """Let an endpoint answer everything so from now on, and forget its scripts."""
        self._usual[endpoint] = script

    def next(self, endpoint: EndpointKey, *script: Script) -> None:
        """Let an endpoint answer its next requests so."""
        self._scripts[endpoint].extend(script)

    def for_message(self, endpoint: EndpointKey, message_id: str, *script: Script) -> None:
        """Let an endpoint answer the next requests of one message so."""
        self._scripts[endpoint, message_id].extend(script)

    def always(self, endpoint: EndpointKey, message_id: str, script: Script) -> None:
        """Let an endpoint answer every request of one message so."""
        self._always[endpoint, message_id] = script

    def heal(self) -> None:
        """Let everything succeed from now on."""
        self._usual.clear()
        self._scripts.clear()
        self._always.clear()

    def at(self, endpoint: EndpointKey) -> "_CourierOf":
        """Give the courier of one endpoint."""
        return _CourierOf(self, endpoint)

    # --- What the world tells -------------------------------------------------------------------

    def recorded(self, delivery: Delivery) -> None:
        """Note the order in which the journal took messages."""
        lane = self._recorded[delivery.endpoint, delivery.lane]
        self._places[delivery.endpoint, delivery.message.message_id] = len(lane)
        lane.append(delivery.message.message_id)

    def buried(self, endpoint: EndpointKey, message_id: str) -> None:
        """Note that the journal has a dead letter: it has left its lane."""
        self.ended.add((endpoint, message_id))

    def interrupted(self) -> None:
        """Note a cut or a crash: what was taken may come again, and must say `unknown` (W3, W4)."""
        self._doubtful |= self.taken.keys()

    # --- What tests ask -------------------------------------------------------------------------

    def posts_of(self, endpoint: EndpointKey, message_id: str | None = None) -> list[Post]:
        """Give an endpoint's requests, or those of one message, in their order."""
        return [
            post
            for post in self.posts
            if post.endpoint == endpoint and message_id in (None, post.message_id)
        ]

    def ids(self, endpoint: EndpointKey) -> list[str]:
        """Name the messages of an endpoint's requests, in their order."""
        return [post.message_id for post in self.posts_of(endpoint)]

    # --- The attempt ----------------------------------------------------------------------------

    async def attempt(self, endpoint: EndpointKey, delivery: Delivery) -> Verdict:
        """Play one attempt."""
        loop = asyncio.get_running_loop()
        post = Post(
            endpoint,
            delivery.message.message_id,
            delivery.lane,
            delivery.attempts + 1,
            delivery.prior_outcome,
            loop.time(),
            replay=delivery.replay,
        )
        self._enter(post)
        try:
            verdict = await self._answer(post)
        except asyncio.CancelledError:
            post.cut = True
            raise
        finally:
            self._leave(post, loop.time())
        post.verdict = verdict
        return verdict

    async def _answer(self, post: Post) -> Verdict:
        script = self._next_script(post.endpoint, post.message_id)
        if script == "crash":
            raise ZeroDivisionError
        answer = script if isinstance(script, Answer) else Answer(script)
        key = (post.endpoint, _name(post))
        await asyncio.sleep(answer.takes / 2)
        if answer.taken:
            self.taken[key] += 1
        if answer.lost or (isinstance(answer.verdict, Transient) and answer.verdict.doubtful):
            self._doubtful.add(key)
        await asyncio.sleep(answer.takes / 2)
        if isinstance(answer.verdict, Success):
            self.answered.add(key)
            self.ended.add(key)
        return answer.verdict

    def _next_script(self, endpoint: EndpointKey, message_id: str) -> Script:
        if (endpoint, message_id) in self._always:
            return self._always[endpoint, message_id]
        for key in ((endpoint, message_id), endpoint):
            if self._scripts[key]:
                return self._scripts[key].popleft()
        return self._usual.get(endpoint, OK)

    # --- The promises ---------------------------------------------------------------------------

    def _enter(self, post: Post) -> None:
        self.posts.append(post)
        self._on_post(post)
        self._in_flight[post.endpoint] += 1
        in_flight = self._in_flight[post.endpoint]
        self.most_in_flight[post.endpoint] = max(self.most_in_flight[post.endpoint], in_flight)
        if (post.endpoint, post.lane) in self._busy:
            self._violated(post, "goes beside another of its lane")
        self._busy.add((post.endpoint, post.lane))
        if post.replay is None:
            self._mind_order(post)
        self._mind_duplicates(post)

    def _leave(self, post: Post, now: float) -> None:
        post.ended_at = now
        self._in_flight[post.endpoint] -= 1
        self._busy.discard((post.endpoint, post.lane))

    def _mind_order(self, post: Post) -> None:
        lane, key = self._recorded[post.endpoint, post.lane], (post.endpoint, post.lane)
        while self._gone_before[key] < len(lane):
            if (post.endpoint, lane[self._gone_before[key]]) not in self.ended:
                break
            self._gone_before[key] += 1
        place = self._places.get((post.endpoint, post.message_id), 0)
        for message_id in lane[self._gone_before[key] : place]:
            if (post.endpoint, message_id) not in self.ended:
                self._violated(post, f"goes before {message_id} has ended")

    def _mind_duplicates(self, post: Post) -> None:
        key = (post.endpoint, _name(post))
        if self.taken[key] and key not in self._doubtful:
            self._violated(post, "goes again although its 2xx was read and written down")
        if self.taken[key] and post.prior is not PriorOutcome.UNKNOWN:
            self._violated(post, f"may be a duplicate, and says {post.prior}")

    def _violated(self, post: Post, what: str) -> None:
        self.violations.append(f"{post.endpoint} {post.message_id} #{post.number} {what}")


def _name(post: Post) -> str:
    """Name what a receiver takes once: what a replay sends is another thing, and proves no READ."""
    return post.message_id if post.replay is None else f"{post.message_id} in {post.replay}"


@dataclass(frozen=True, slots=True)
class _CourierOf:
    """A `relay.model.ports.Courier`."""

    couriers: FakeCourier
    endpoint: EndpointKey

    async def attempt(self, delivery: Delivery) -> Verdict:
        return await self.couriers.attempt(self.endpoint, delivery)
