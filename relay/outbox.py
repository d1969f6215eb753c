"""READ receipts: what the journal owes to Mixin, sent in batches until Mixin has it."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from relay.facts import (
    MessageFinished,
    ReceiptRefused,
    ReceiptsConfirmed,
    ReceiptsRetried,
    Telemetry,
)
from relay.ledger import OwedReceipt
from relay.model import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken
from relay.ports import Acknowledger, Clock, Journal, JournalUnavailable
from relay.retry import backoff

MAX_BATCH = 100
"""Mixin takes no more at a time (blaze-protocol.md 5.1)."""

BATCHES_IN_FLIGHT = 4
LINGER = 0.2
"""A receipt waits at most so many seconds for others to share its batch."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_FIRST_WAIT_UNAUTHORIZED, _LONGEST_WAIT_UNAUTHORIZED = 60.0, 600.0
_SHRINK_AFTER = 3
"""After so many failed rounds the next begins with half the batch: one bad id may spoil its own."""


@dataclass(slots=True)
class _Round:
    """What became of the receipts of one round."""

    confirmed: list[OwedReceipt] = field(default_factory=list)
    refused: list[OwedReceipt] = field(default_factory=list)
    failed: list[tuple[Sequence[OwedReceipt], ReceiptsFailed]] = field(default_factory=list)

    def add(self, other: "_Round") -> None:
        """Take in what became of more receipts."""
        self.confirmed += other.confirmed
        self.refused += other.refused
        self.failed += other.failed

    @property
    def in_vain(self) -> bool:
        """Whether nothing got through."""
        return not self.confirmed and not self.refused


@dataclass(slots=True)
class _Aside:
    """A receipt that fails alone while others get through: it waits without them."""

    failures: int
    until: float


class Outbox:
    """Sends one bot's receipts, for ever."""

    def __init__(
        self,
        bot: str,
        journal: Journal,
        acknowledger: Acknowledger,
        *,
        telemetry: Telemetry,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._bot = bot
        self._journal = journal
        self._acknowledger = acknowledger
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._waiting = 1  # the journal may owe receipts from before this start
        self._owed = asyncio.Event()
        self._owed.set()
        self._batch_full = asyncio.Event()
        self._closing = asyncio.Event()
        self._batch = MAX_BATCH
        self._failures = 0
        self._aside: dict[int, _Aside] = {}

    def receipt_owed(self) -> None:
        """Note that the journal owes one more receipt."""
        self._waiting += 1
        self._owed.set()
        if self._waiting >= MAX_BATCH:
            self._batch_full.set()

    def close(self) -> None:
        """Let `run` return after one last round."""
        self._closing.set()
        self._owed.set()
        self._batch_full.set()

    async def run(self) -> None:
        """Send what is owed, by deadline and not by idleness, until closed."""
        while True:
            await self._owed.wait()
            await _wait(self._batch_full, LINGER)
            last = self._closing.is_set()
            self._start_count()
            outcome = await self._send_all()
            rest = self._trouble() if outcome is None else self._learn(outcome)
            if last:
                return
            if rest is not None:
                await _wait(self._closing, rest)
                self._owed.set()
            elif self._aside:
                await _wait(self._owed, self._until_next_aside())
                self._owed.set()

    def _start_count(self) -> None:
        self._waiting = 0
        if not self._closing.is_set():
            self._owed.clear()
            self._batch_full.clear()

    async def _send_all(self) -> _Round | None:
        """Go once through everything owed; None if the journal was in trouble."""
        whole, after, more = _Round(), 0, True
        batch, in_vain = self._batch, 0
        try:
            while more:
                limit = batch * BATCHES_IN_FLIGHT
                page = await self._journal.owed_receipts(self._bot, after=after, limit=limit)
                outcome = await self._send(page, batch)
                await self._settle(outcome)
                whole.add(outcome)
                in_vain = in_vain + len(outcome.failed) * batch if outcome.in_vain else 0
                # A short page was the last: what has come since waits for others to share its
                # batch. And when nothing gets through, the rest would fail likewise.
                more = len(page) == limit and in_vain < MAX_BATCH
                after = page[-1].seq if page else after
                batch = batch if outcome.failed else min(MAX_BATCH, 2 * batch)
        except JournalUnavailable:
            return None
        return whole

    async def _send(self, page: Sequence[OwedReceipt], size: int) -> _Round:
        outcome = _Round()
        async with asyncio.TaskGroup() as batches:
            for batch in self._batches(page, size):
                batches.create_task(self._send_batch(batch, outcome))
        return outcome

    def _batches(self, page: Sequence[OwedReceipt], size: int) -> Iterator[Sequence[OwedReceipt]]:
        """Batch a page: what was put aside goes alone, and not before its time."""
        now = self._clock()
        usual = [receipt for receipt in page if receipt.seq not in self._aside]
        for start in range(0, len(usual), size):
            yield usual[start : start + size]
        for receipt in page:
            if receipt.seq in self._aside and self._aside[receipt.seq].until <= now:
                yield [receipt]

    async def _send_batch(self, batch: Sequence[OwedReceipt], outcome: _Round) -> None:
        """Send one batch; split it on a final error until the bad id stands alone."""
        verdict = await self._acknowledger.mark_read([receipt.message_id for receipt in batch])
        match verdict:
            case ReceiptsTaken():
                outcome.confirmed += batch
            case ReceiptsRejected(detail=detail) if len(batch) == 1:
                outcome.refused += batch
                self._telemetry(ReceiptRefused(self._bot, batch[0].message_id, detail))
            case ReceiptsRejected():
                half = len(batch) // 2
                await self._send_batch(batch[:half], outcome)
                await self._send_batch(batch[half:], outcome)
            case ReceiptsFailed():
                outcome.failed.append((batch, verdict))

    async def _settle(self, outcome: _Round) -> None:
        if not outcome.confirmed and not outcome.refused:
            return
        finished = await self._journal.settle_receipts(
            self._bot,
            confirmed=[receipt.seq for receipt in outcome.confirmed],
            refused=[receipt.seq for receipt in outcome.refused],
            now=self._clock(),
        )
        if outcome.confirmed:
            ids = tuple(receipt.message_id for receipt in outcome.confirmed)
            self._telemetry(ReceiptsConfirmed(self._bot, ids))
        for message in finished:
            self._telemetry(MessageFinished(self._bot, message.message_id, message.outcome))

    def _learn(self, outcome: _Round) -> float | None:
        """Answer how long to send nothing at all; None if Mixin takes receipts."""
        for receipt in (*outcome.confirmed, *outcome.refused):
            self._aside.pop(receipt.seq, None)
        failed = [one for one in outcome.failed if not self._put_aside(*one, outcome)]
        if not failed:
            self._failures, self._batch = 0, MAX_BATCH
            return None
        self._failures += 1
        largest = max(len(batch) for batch, _ in failed)
        if self._failures >= _SHRINK_AFTER or not outcome.in_vain:
            self._batch = max(1, min(self._batch, largest) // 2)
        return self._retried(failed, self._wait_after([failure for _, failure in failed]))

    def _put_aside(
        self, batch: Sequence[OwedReceipt], failure: ReceiptsFailed, outcome: _Round
    ) -> bool:
        """Put a receipt aside that fails alone while others get through, so that it delays none."""
        seq = batch[0].seq
        known = self._aside.get(seq)
        if known is None and (len(batch) > 1 or outcome.in_vain or failure.unauthorized):
            return False
        failures = 1 + (known.failures if known else 0)
        wait = backoff(failures, first=_FIRST_WAIT, longest=_LONGEST_WAIT, jitter=self._jitter())
        wait = max(wait, failure.retry_after or 0.0)
        self._aside[seq] = _Aside(failures, self._clock() + wait)
        self._retried([(batch, failure)], wait)
        return True

    def _until_next_aside(self) -> float:
        return max(0.0, min(aside.until for aside in self._aside.values()) - self._clock())

    def _retried(
        self, failed: Sequence[tuple[Sequence[OwedReceipt], ReceiptsFailed]], wait: float
    ) -> float:
        count = sum(len(batch) for batch, _ in failed)
        self._telemetry(ReceiptsRetried(self._bot, count, failed[0][1].detail, wait))
        return wait

    def _trouble(self) -> float:
        self._failures += 1
        return self._wait_after([])

    def _wait_after(self, failed: Sequence[ReceiptsFailed]) -> float:
        first, longest, jitter = _FIRST_WAIT, _LONGEST_WAIT, self._jitter()
        if any(failure.unauthorized for failure in failed):
            first, longest = _FIRST_WAIT_UNAUTHORIZED, _LONGEST_WAIT_UNAUTHORIZED
            jitter = (1 + jitter) / 2  # slow, and never at once
        wait = backoff(self._failures, first=first, longest=longest, jitter=jitter)
        return max([wait, *(failure.retry_after or 0.0 for failure in failed)])


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
