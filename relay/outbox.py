"""READ receipts: what the journal owes to Mixin, sent in batches until Mixin has it."""

import asyncio
import random
from collections.abc import Callable, Sequence
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
    failed: list[tuple[int, ReceiptsFailed]] = field(default_factory=list)


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
            wait = await self._send_all()
            if last:
                return
            if wait is not None:
                await _wait(self._closing, wait)
                self._owed.set()

    def _start_count(self) -> None:
        self._waiting = 0
        if not self._closing.is_set():
            self._owed.clear()
            self._batch_full.clear()

    async def _send_all(self) -> float | None:
        """Go once through everything owed; answers how long to wait if something failed."""
        after, failed, more = 0, list[tuple[int, ReceiptsFailed]](), True
        batch, in_vain = self._batch, 0
        try:
            while more:
                limit = batch * BATCHES_IN_FLIGHT
                page = await self._journal.owed_receipts(self._bot, after=after, limit=limit)
                outcome = await self._send(page, batch)
                await self._settle(outcome)
                failed += outcome.failed
                in_vain = 0 if outcome.confirmed or outcome.refused else in_vain + len(page)
                # A short page was the last: what has come since waits for others to share its
                # batch. And when nothing gets through, the rest would fail likewise.
                more = len(page) == limit and in_vain < MAX_BATCH
                after = page[-1].seq if page else after
                batch = batch if outcome.failed else min(MAX_BATCH, 2 * batch)
        except JournalUnavailable:
            self._failures += 1
            return self._wait_after([])
        return self._learn(failed)

    async def _send(self, page: Sequence[OwedReceipt], size: int) -> _Round:
        outcome = _Round()
        async with asyncio.TaskGroup() as batches:
            for start in range(0, len(page), size):
                batches.create_task(self._send_batch(page[start : start + size], outcome))
        return outcome

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
                outcome.failed.append((len(batch), verdict))

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

    def _learn(self, failed: list[tuple[int, ReceiptsFailed]]) -> float | None:
        if not failed:
            self._failures, self._batch = 0, MAX_BATCH
            return None
        self._failures += 1
        if self._failures >= _SHRINK_AFTER:
            self._batch = max(1, self._batch // 2)
        wait = self._wait_after([failure for _, failure in failed])
        count = sum(size for size, _ in failed)
        self._telemetry(ReceiptsRetried(self._bot, count, failed[0][1].detail, wait))
        return wait

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
