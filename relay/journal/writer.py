"""The one writer: whatever a running relay has to write waits here, and goes in groups.

What comes while one group is committed is the next one. What has ended goes before what arrives, so
that neither waits for a burst of the other: a group takes at most `MAX_GROUP` of each.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import repeat

from relay.delivery.retry import backoff
from relay.model.journal import (
    Answer,
    Arrival,
    Batch,
    Committed,
    Dropped,
    Entry,
    KeptFrame,
    NotedEndpoint,
    ReceiptAnswers,
    WholeLanes,
)
from relay.model.messages import DeadLettered, Deferred, Delivered, Message, Postponed
from relay.model.ports import Clock, Journal, JournalDamaged, JournalUnavailable, Party, Source
from relay.telemetry.events import JournalCommitted, JournalFailed, JournalRecovered, Telemetry

MAX_GROUP = 500
"""Larger groups save little more and hold up the ones behind them."""

MAX_GROUP_BYTES = 8 * 1024 * 1024
"""Of arriving frames in one group, beyond the first."""

PACE = 0.004
"""Seconds from one commit to the next at least, unless all waits for it, or a whole group.

Each costs changes of threads and a write: under a steady load company is worth more than haste.
"""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_NEVER = float("inf")

Group = list[tuple[Party, Entry]]


class Writer:
    """Commits what its parties put, in order, and repeats a group until the journal takes it."""

    def __init__(
        self,
        journal: Journal,
        telemetry: Telemetry,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._ended: deque[tuple[Party, Entry]] = deque()
        self._arrived: deque[tuple[Source, Message]] = deque()
        self._commit_at = _NEVER
        self._not_before = 0.0
        self._sleeper: asyncio.Future[None] | None = None
        self._for_room: list[Callable[[], None]] = []
        self._holders = 0
        self._committing = False
        self._paused = asyncio.Event()
        self._written = asyncio.Event()
        self._closing = False
        self.accepted = True

    def put(self, party: Party, entry: Entry, *, patience: float = 0.0) -> None:
        """Add what has ended to the next group; it may wait for company for so many seconds."""
        self._ended.append((party, entry))
        self._commit_within(patience)

    def hurry(self) -> None:
        """Let what has ended wait for company no longer."""
        if self._ended:
            self._commit_at = self._not_before = 0.0
            self._wake()

    def take(self, source: Source, message: Message) -> None:
        """Add a message that has arrived to the next group."""
        self._arrived.append((source, message))
        self._commit_within(0.0)

    @property
    def full(self) -> bool:
        """Whether more than a group has ended: until there is room nothing else may begin."""
        return len(self._ended) >= MAX_GROUP

    def when_room(self, call: Callable[[], None]) -> None:
        """Call back once the writer is `full` no more."""
        self._for_room.append(call)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let the group end that is being committed, and none begin; putting goes on.

        Raises `JournalUnavailable` if that group is one that the journal does not take.
        """
        self._holders += 1
        try:
            while self._committing:
                if not self.accepted:
                    raise JournalUnavailable("a group waits for the journal")
                await self._paused.wait()
            yield
        finally:
            self._holders -= 1
            self._wake()

    async def group(self) -> None:
        """Wait until one more group is committed."""
        self._written.clear()
        await self._written.wait()

    async def idle(self) -> None:
        """Wait until everything put so far is committed, and nothing else waits."""
        while self._ended or self._arrived or self._committing:
            await self.group()

    def close(self) -> None:
        """Let `run` return once everything is committed."""
        self._closing = True
        self._wake()

    async def run(self) -> None:
        """Commit group after group until closed. Raises `JournalDamaged`."""
        while await self._something_to_write():
            if group := self._next_group():
                self._committing = True
                await self._commit(group)
                self._committing = False
            self._not_before = asyncio.get_running_loop().time() + PACE
            self._paused.set()
            self._written.set()
            self._tell_room()

    # --- Groups ---------------------------------------------------------------------------------

    def _commit_within(self, seconds: float) -> None:
        if self._commit_at == 0.0:
            return
        at = asyncio.get_running_loop().time() + seconds if seconds else 0.0
        if at < self._commit_at:
            self._commit_at = at
            self._wake()

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def _something_to_write(self) -> bool:
        """Wait for the next group; False if there is none, and none will come."""
        loop = asyncio.get_running_loop()
        while True:
            waiting = len(self._ended) + len(self._arrived)
            if self._closing and not waiting:
                return False
            now, at = loop.time(), max(self._commit_at, self._not_before)
            due = at <= now or waiting >= MAX_GROUP or self._closing
            if waiting and due and not self._holders:
                return True
            self._sleeper = loop.create_future()
            timer = None
            if at < _NEVER and not self._holders:
                timer = loop.call_at(at, self._wake)
            await self._sleeper
            if timer is not None:
                timer.cancel()

    def _next_group(self) -> Group:
        ended, arrived = self._ended, self._arrived
        group = [ended.popleft() for _ in range(min(len(ended), MAX_GROUP))]
        room, count = MAX_GROUP_BYTES, 0
        while arrived and count < MAX_GROUP and room > 0:
            source, message = arrived.popleft()
            if (arrival := source.arrival(message)) is not None:
                room -= len(message.frame)
                count += 1
                group.append((source, arrival))
        self._commit_at = 0.0 if ended or arrived else _NEVER
        return group

    async def _commit(self, group: Group) -> None:
        """Commit a group, in parts if a bug is in it: until it stands alone."""
        batch = _batch(group, self._clock())
        try:
            committed = await self._commit_for_sure(batch, len(group))
        except JournalDamaged:
            raise
        except Exception as error:  # noqa: BLE001 - contained: the party says what becomes of it
            if len(group) == 1:
                party, entry = group[0]
                party.refused(entry, error)
                return
            half = len(group) // 2
            await self._commit(group[:half])
            await self._commit(group[half:])
        else:
            _answer(group, committed)

    async def _commit_for_sure(self, batch: Batch, size: int) -> Committed:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            self._paused.clear()
            started = loop.time()
            try:
                committed = await self._journal.commit(batch)
            except JournalUnavailable as error:
                failures += 1
                self.accepted = False
                self._paused.set()
                wait = backoff(
                    failures, first=_FIRST_WAIT, longest=_LONGEST_WAIT, jitter=self._jitter()
                )
                self._telemetry(JournalFailed(str(error), wait))
                await asyncio.sleep(wait)
            else:
                self._telemetry(JournalCommitted(loop.time() - started, size))
                if not self.accepted:
                    self.accepted = True
                    self._telemetry(JournalRecovered())
                return committed

    def _tell_room(self) -> None:
        if self._for_room and not self.full:
            calls, self._for_room = self._for_room, []
            for call in calls:
                call()


def _batch(group: Group, now: float) -> Batch:
    """Lay a group out as one transaction."""
    batch = Batch(now)
    for _, entry in group:
        match entry:
            case Delivered() | Postponed() | DeadLettered():
                batch.outcomes.append(entry)
            case Arrival():
                batch.arrivals.append(entry)
            case ReceiptAnswers():
                batch.receipts.append(entry)
            case WholeLanes():
                batch.whole.extend(entry.lanes)
            case Dropped():
                batch.dropped.append(entry.endpoint)
            case Deferred():
                batch.deferred.append(entry)
            case NotedEndpoint():
                batch.notes.append((entry.endpoint, entry.note))
            case KeptFrame():
                batch.frames.append((entry.bot, entry.frame))
    return batch


def _answer(group: Group, committed: Committed) -> None:
    """Call every party back once, with its entries and their answers in order."""
    outcomes = iter(committed.outcomes)
    answers: dict[type, Iterator[Answer]] = {
        Arrival: iter(committed.arrivals),
        Delivered: outcomes,
        Postponed: outcomes,
        DeadLettered: outcomes,
        ReceiptAnswers: iter(committed.receipts),
    }
    nothing: Iterator[Answer] = repeat(None)
    pairs: defaultdict[Party, list[tuple[Entry, Answer]]] = defaultdict(list)
    for party, entry in group:
        pairs[party].append((entry, next(answers.get(type(entry), nothing))))
    for party, its in pairs.items():
        party.committed(its)
