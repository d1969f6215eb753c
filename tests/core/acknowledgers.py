"""Mixin's side of READ receipts: it remembers everything, and fails as a test wants it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken, ReceiptVerdict


class FakeAcknowledger:
    """A `relay.model.ports.Acknowledger`.

    `bad` ids spoil their batch with a final error, `cursed` ones with the `curse`, always.
    """

    def __init__(self, takes: float = 0.05) -> None:
        self.batches: list[tuple[float, tuple[str, ...]]] = []
        self.read: set[str] = set()
        self.bad: set[str] = set()
        self.cursed: set[str] = set()
        self.curse: ReceiptVerdict = ReceiptsFailed("500")
        self.usual: ReceiptVerdict = ReceiptsTaken()
        self.violations: list[str] = []
        self.most_in_flight = 0
        self._takes = takes
        self._script: deque[ReceiptVerdict] = deque()
        self._in_flight = 0
        self._may_be_read: Callable[[str], bool] = lambda _: True

    def next(self, *verdicts: ReceiptVerdict) -> None:
        """Let the next batches be answered so."""
        self._script.extend(verdicts)

    def heal(self) -> None:
        """Let everything be taken from now on."""
        self.bad.clear()
        self.cursed.clear()
        self._script.clear()
        self.usual = ReceiptsTaken()

    def only(self, may_be_read: Callable[[str], bool]) -> None:
        """Mind that only such messages are marked READ."""
        self._may_be_read = may_be_read

    async def mark_read(self, message_ids: Sequence[str]) -> ReceiptVerdict:
        """Answer one batch."""
        self.batches.append((asyncio.get_running_loop().time(), tuple(message_ids)))
        self._mind(message_ids)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await asyncio.sleep(self._takes)
        finally:
            self._in_flight -= 1
        verdict = self._verdict(set(message_ids))
        if isinstance(verdict, ReceiptsTaken):
            self.read |= set(message_ids)
        return verdict

    def _verdict(self, message_ids: set[str]) -> ReceiptVerdict:
        if self._script:
            return self._script.popleft()
        if message_ids & self.cursed:
            return self.curse
        if message_ids & self.bad:
            return ReceiptsRejected(10002, "bad id")
        return self.usual

    def _mind(self, message_ids: Sequence[str]) -> None:
        if not 1 <= len(message_ids) <= 100:
            self.violations.append(f"a batch of {len(message_ids)}")
        if len(message_ids) != len(set(message_ids)):
            self.violations.append("a batch that names a message twice")
        for message_id in message_ids:
            if not self._may_be_read(message_id):
                self.violations.append(f"READ of {message_id} before its 2xx")
