"""READ receipts: what the journal owes to Mixin, sent in batches until Mixin has it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from relay.delivery.retry import backoff
from relay.model.journal import OwedReceipt
from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken
from relay.model.ports import Acknowledger, Clock, Journal, JournalUnavailable
from relay.receipts.isolation import (
    AT_ONCE,
    HELD_AT_ONCE,
    MAX_BATCH,
    Answer,
    Batch,
    Isolation,
    Lesson,
)
from relay.telemetry.events import (
    MessageFinished,
    ReceiptRefused,
    ReceiptsConfirmed,
    ReceiptsRetried,
    ReceiptsStuck,
    Telemetry,
)

LINGER = 0.2
"""A receipt waits at most so many seconds for others to share its batch."""

PACE = 0.1
"""Seconds that a round takes at least if something may fail: sorting bad ids out is no storm."""

RETURN_EVERY = 60.0
"""Seconds after which what could not be remembered as failing is tried again."""

PAGE = MAX_BATCH * AT_ONCE

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


class Outbox:
    """Sends one bot's receipts, for ever.

    What is new and what is held back go side by side, so that neither waits for the other.
    """

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
        self._sieve = Isolation(jitter)
        self._waiting = 1  # the journal may owe receipts from before this start
        self._owed = asyncio.Event()
        self._owed.set()
        self._batch_full = asyncio.Event()
        self._learned = asyncio.Event()
        self._closing = asyncio.Event()
        self._troubles = 0

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
        self._learned.set()

    async def run(self) -> None:
        """Send what is owed, by deadline and not by idleness, until closed."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send_new())
            both.create_task(self._send_held())
        while self._held_due() and await self._within_reach(self._one_held_round()):
            pass

    # --- What is new ----------------------------------------------------------------------------

    async def _send_new(self) -> None:
        while True:
            await self._something_new()
            last = self._closing.is_set()
            self._start_count()
            reached = await self._within_reach(self._all_new())
            if last:
                return
            if not reached:
                await _wait(self._closing, self._after_trouble())
                self._owed.set()

    async def _something_new(self) -> None:
        """Wait until receipts are owed and had time to gather, or an outage's probes are due."""
        if self._sieve.outage:
            await self._until(self._closing, self._sieve.probe_at(news=True))
            await self._until(self._owed, self._sieve.probe_at(news=False))
        else:
            await _wait(self._owed, RETURN_EVERY if self._sieve.forgets else None)
            await _wait(self._batch_full, LINGER)

    def _start_count(self) -> None:
        self._waiting = 0
        if not self._closing.is_set():
            self._owed.clear()
            self._batch_full.clear()

    async def _all_new(self) -> None:
        """Go once through everything owed that is not held back, or find that nothing goes."""
        if self._sieve.outage:
            await self._probe()
        after, more = 0, not self._sieve.outage
        while more:
            page = await self._page(after)
            await self._send_page(page)
            # A short page was the last: what has come since waits for others to share its batch.
            more = len(page) == PAGE and not self._sieve.outage
            after = page[-1].seq if page else after

    async def _send_page(self, page: Sequence[OwedReceipt]) -> None:
        new = self._sieve.new(page)
        while new and not self._sieve.outage:
            next_at = self._clock() + PACE
            batches = [] if self._sieve.full else self._sieve.batches(new)
            well = await self._round(batches, new=True) if batches else False
            new = new[sum(map(len, batches)) :]
            if not well and not self._sieve.outage:
                if self._closing.is_set() and not batches:
                    return  # what is held back is in the way, and owed at the next start
                await self._until(self._closing, next_at)

    async def _page(self, after: int) -> Sequence[OwedReceipt]:
        """Read what is owed, up to the first page with something that is not held back."""
        while True:
            page = await self._journal.owed_receipts(self._bot, after=after, limit=PAGE)
            if len(page) < PAGE or self._sieve.new(page):
                return page
            after = page[-1].seq

    async def _probe(self) -> None:
        """Try single receipts from here and there."""
        page = await self._page(self._sieve.look_after)
        if self._sieve.look_after and not self._sieve.new(page):
            page = await self._page(0)
        probes = self._sieve.probes(page, self._clock())
        await self._round(probes, new=True)

    # --- What is held back ----------------------------------------------------------------------

    async def _send_held(self) -> None:
        while not self._closing.is_set():
            self._learned.clear()
            next_at = self._clock() + PACE
            at = self._sieve.held_at()
            if at is None:
                await self._learned.wait()
            elif at > self._clock():
                await self._until(self._learned, at)
            elif await self._within_reach(self._one_held_round()):
                await self._until(self._closing, next_at)
            else:
                await _wait(self._closing, self._after_trouble())

    def _held_due(self) -> bool:
        at = self._sieve.held_at()
        return at is not None and at <= self._clock()

    async def _one_held_round(self) -> None:
        await self._round(self._sieve.held(self._clock()), new=False)

    # --- Rounds ---------------------------------------------------------------------------------

    async def _round(self, batches: Sequence[Batch], *, new: bool) -> bool:
        """Send batches, some side by side; answers whether all were taken."""
        if not batches:
            return True
        places = asyncio.Semaphore(HELD_AT_ONCE)
        async with asyncio.TaskGroup() as requests:
            sent = [requests.create_task(self._send(batch, places)) for batch in batches]
        answers = [request.result() for request in sent]
        try:
            await self._settle(answers)
        except JournalUnavailable:
            for batch in batches:
                self._sieve.drop(batch)
            self._owed.set()
            raise
        lesson = self._sieve.learn(answers, self._clock(), new=new)
        self._learned.set()
        if not new and self._sieve.outage:
            self._owed.set()  # it takes probes to see the end of it
        self._tell(answers, lesson)
        return all(isinstance(verdict, ReceiptsTaken) for _, verdict in answers)

    async def _send(self, batch: Batch, places: asyncio.Semaphore) -> Answer:
        ids = [receipt.message_id for receipt in batch]
        async with places:
            return batch, await self._acknowledger.mark_read(ids)

    async def _settle(self, answers: Sequence[Answer]) -> None:
        confirmed = [r for batch, v in answers if isinstance(v, ReceiptsTaken) for r in batch]
        refused = [
            (batch[0], v.detail)
            for batch, v in answers
            if isinstance(v, ReceiptsRejected) and len(batch) == 1
        ]
        if not confirmed and not refused:
            return
        finished = await self._journal.settle_receipts(
            self._bot,
            confirmed=[receipt.seq for receipt in confirmed],
            refused=[receipt.seq for receipt, _ in refused],
            now=self._clock(),
        )
        self._troubles = 0
        for receipt, detail in refused:
            self._telemetry(ReceiptRefused(self._bot, receipt.message_id, detail))
        if confirmed:
            ids = tuple(receipt.message_id for receipt in confirmed)
            self._telemetry(ReceiptsConfirmed(self._bot, ids))
        for message in finished:
            self._telemetry(MessageFinished(self._bot, message.message_id, message.outcome))

    def _tell(self, answers: Sequence[Answer], lesson: Lesson) -> None:
        failed = [(batch, v) for batch, v in answers if isinstance(v, ReceiptsFailed)]
        if failed:
            detail, number = failed[0][1].detail, sum(len(batch) for batch, _ in failed)
            alone = not self._sieve.outage
            fact = ReceiptsRetried(self._bot, number, detail, lesson.retry_in, alone=alone)
            self._telemetry(fact)
        if lesson.stuck or lesson.cured:
            stuck, cured = (
                tuple(receipt.message_id for receipt in some)
                for some in (lesson.stuck, lesson.cured)
            )
            detail = failed[0][1].detail if failed else ""
            self._telemetry(ReceiptsStuck(self._bot, self._sieve.stuck, stuck, cured, detail))

    # --- Waiting --------------------------------------------------------------------------------

    async def _within_reach(self, work: Awaitable[None]) -> bool:
        """Do some work; answers False if the journal was in trouble."""
        try:
            await work
        except JournalUnavailable:
            return False
        return True

    def _after_trouble(self) -> float:
        self._troubles += 1
        return backoff(
            self._troubles, first=_FIRST_WAIT, longest=_LONGEST_WAIT, jitter=self._jitter()
        )

    async def _until(self, event: asyncio.Event, at: float) -> None:
        await _wait(event, max(0.0, at - self._clock()))


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
