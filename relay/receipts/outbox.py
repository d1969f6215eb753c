"""READ receipts: what is owed to Mixin, sent in batches until Mixin has it.

What is owed is told by commits and kept in memory; the journal is read only after a start, for what
memory had no room for, and when an operator has owed some.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import cast

from relay.delivery.retry import backoff
from relay.model.journal import Answer as JournalAnswer
from relay.model.journal import Entry, Finished, OwedReceipt, ReceiptAnswers
from relay.model.messages import MessageOutcome, ReceiptsFailed, ReceiptsRejected, ReceiptsTaken
from relay.model.ports import Acknowledger, Clock, Journal, JournalUnavailable, Writer
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
    MessagesFinished,
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

MAX_IN_MEMORY = 10_000
"""So many new receipts are remembered, a few MB; more of them are read from the journal."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


class Outbox:
    """Sends one bot's receipts, for ever; a `relay.model.ports.Party` of the writer.

    What is new and what is held back go side by side, so that neither waits for the other.
    """

    def __init__(
        self,
        bot: str,
        journal: Journal,
        writer: Writer,
        acknowledger: Acknowledger,
        *,
        telemetry: Telemetry,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._bot = bot
        self._journal = journal
        self._writer = writer
        self._acknowledger = acknowledger
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._sieve = Isolation(jitter)
        self._new: dict[int, OwedReceipt] = {}
        self._behind = True  # the journal may owe receipts from before this start
        self._recording: dict[int, asyncio.Future[Sequence[Finished]]] = {}
        self._owed = asyncio.Event()
        self._owed.set()
        self._batch_full = asyncio.Event()
        self._learned = asyncio.Event()
        self._closing = asyncio.Event()
        self._troubles = 0

    def owe(self, receipt: OwedReceipt) -> None:
        """Send a receipt that is owed now; the journal has it."""
        if len(self._new) < MAX_IN_MEMORY:
            self._new[receipt.seq] = receipt
        else:
            self._behind = True
        self._owed.set()
        if len(self._new) >= MAX_BATCH:
            self._batch_full.set()

    def look_again(self) -> None:
        """Send what the journal owes and nobody has told of."""
        self._behind = True
        self._owed.set()

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
            if not last:
                self._owed.clear()
                self._batch_full.clear()
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

    async def _all_new(self) -> None:
        """Go once through everything owed that is not held back, or find that nothing goes."""
        if self._sieve.outage:
            await self._probe()
        # What comes from now on waits for others to share its batch.
        left = len(self._new)
        while left > 0 and not self._sieve.outage:
            page = [self._new.pop(seq) for seq in list(islice(self._new, min(left, PAGE)))]
            left -= len(page)
            for receipt in await self._send_page(page):
                self._new.setdefault(receipt.seq, receipt)
        if self._behind and not self._sieve.outage:
            await self._all_in_journal()

    async def _all_in_journal(self) -> None:
        """Go once through what the journal owes and memory does not have."""
        self._behind = False
        try:
            page, after = await self._page(0), 0
            while page and not self._sieve.outage:
                unsent = await self._send_page([r for r in page if r.seq not in self._new])
                self._behind = self._behind or bool(unsent)
                after = page[-1].seq
                page = await self._page(after) if len(page) == PAGE else ()
            self._behind = self._behind or bool(page)
        except JournalUnavailable:
            self._behind = True
            raise

    async def _send_page(self, page: Sequence[OwedReceipt]) -> Sequence[OwedReceipt]:
        """Send receipts unless they are held back; answers with those for which it was no time."""
        new = self._sieve.new(page)
        while new and not self._sieve.outage:
            next_at = self._clock() + PACE
            batches = [] if self._sieve.full else self._sieve.batches(new)
            well = await self._round(batches, new=True) if batches else False
            new = new[sum(map(len, batches)) :]
            if not well and not self._sieve.outage:
                if self._closing.is_set() and not batches:
                    break  # what is held back is in the way, and owed at the next start
                await self._until(self._closing, next_at)
        return new

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
            self.look_again()
            raise
        lesson = self._sieve.learn(answers, self._clock(), new=new)
        self._learned.set()
        if not new and self._sieve.outage:
            self._owed.set()  # it takes probes to see the end of it
        failed = [r for batch, v in answers if isinstance(v, ReceiptsFailed) for r in batch]
        self._behind = self._behind or bool(self._sieve.new(failed))  # more than can be held back
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
        finished = await self._record(
            [receipt.seq for receipt in confirmed], [receipt.seq for receipt, _ in refused]
        )
        self._troubles = 0
        for receipt, detail in refused:
            self._telemetry(ReceiptRefused(self._bot, receipt.message_id, detail))
        if confirmed:
            ids = tuple([receipt.message_id for receipt in confirmed])
            self._telemetry(ReceiptsConfirmed(self._bot, ids))
        outcomes: dict[MessageOutcome, list[str]] = {}
        for message in finished:
            outcomes.setdefault(message.outcome, []).append(message.message_id)
        for outcome, its in outcomes.items():
            self._telemetry(MessagesFinished(self._bot, outcome, len(its), its))

    async def _record(self, confirmed: list[int], refused: list[int]) -> Sequence[Finished]:
        """Wait until the journal has what Mixin answered."""
        for seq in (*confirmed, *refused):
            self._new.pop(seq, None)
        recorded: asyncio.Future[Sequence[Finished]] = asyncio.get_running_loop().create_future()
        answers = ReceiptAnswers(self._bot, confirmed, refused)
        self._recording[id(answers)] = recorded
        self._writer.put(self, answers)
        return await recorded

    def committed(self, pairs: Sequence[tuple[Entry, JournalAnswer]]) -> None:
        """Go on with the rounds whose answers are written."""
        for entry, answer in pairs:
            recorded = self._recording.pop(id(entry))
            if not recorded.done():
                recorded.set_result(cast("Sequence[Finished]", answer))

    def refused(self, entry: Entry, error: Exception) -> None:
        """Send receipts again whose answers can't be written, as if the journal were in trouble."""
        recorded = self._recording.pop(id(entry))
        if not recorded.done():
            recorded.set_exception(JournalUnavailable(str(error)))

    def _tell(self, answers: Sequence[Answer], lesson: Lesson) -> None:
        failed = [(batch, v) for batch, v in answers if isinstance(v, ReceiptsFailed)]
        if failed:
            detail, number = failed[0][1].detail, sum(len(batch) for batch, _ in failed)
            alone = not self._sieve.outage
            event = ReceiptsRetried(self._bot, number, detail, lesson.retry_in, alone=alone)
            self._telemetry(event)
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
