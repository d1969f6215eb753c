"""Which owed receipts are sent next, and when: bad ids held back, an outage told from them. Pure.

Mixin takes or refuses a batch as a whole. While others get through, a batch that fails is halved
until what always fails stands alone and is put aside, with a backoff of its own. While nothing
gets through, it is an outage: then single receipts from all over the queue are tried, with a
backoff, and whatever failed meanwhile is to blame for nothing.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from relay.delivery.retry import backoff
from relay.model.journal import OwedReceipt
from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken, ReceiptVerdict

MAX_BATCH = 100
"""Mixin takes no more at a time (docs/protocol.md, Receipts)."""

AT_ONCE = 4
"""Requests side by side in a round of what is new, and in one of probes."""

HELD_AT_ONCE = 8
"""Requests side by side in a round of what is held back: many small batches, soon sorted out."""

MAX_HELD = 10_000
"""Receipts that are remembered as held back, and again as put aside: a few MB at the worst."""

TRUST = 2.0
"""Seconds for which one receipt that got through shows that what is new fails by its own fault."""

PATIENCE = 200
"""Rounds of held receipts that may fail with nothing between: hundreds of bad ids in a row do."""

PROBE_EVERY = 2.0
"""Seconds for each of an outage's probes: no storm, and hundreds are tried within half an hour."""

MAX_PROBES = 30
"""Single receipts in one round of probes at most."""

EARLY = 5.0
"""What is owed anew is tried so many seconds into an outage: it may be none, but bad ids only."""

STUCK_AFTER = 60.0
"""A receipt that fails alone for so many seconds is told of."""

RECALL_EVERY = 60.0
"""When one that was aside gets through, the others are tried as well, but not more often."""

_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_ASIDE = 1.0, 60.0, 600.0
_FIRST_WAIT_UNAUTHORIZED, _LONGEST_WAIT_UNAUTHORIZED = 60.0, 600.0
_FIRST_STRIDE, _LONGEST_STRIDE = 1000, 1_000_000

Batch = tuple[OwedReceipt, ...]
Answer = tuple[Batch, ReceiptVerdict]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a round taught: seconds until its failures are tried again, and which are notable.

    `stuck` have failed alone for long, as is told of each once; `cured` were, and are no more.
    """

    retry_in: float = 0.0
    stuck: Batch = ()
    cured: Batch = ()


@dataclass(slots=True)
class _Aside:
    """A receipt that fails alone while others get through."""

    since: float
    failures: int = 0
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class _Outage:
    """Nothing gets through: for how many rounds, since the last of which, and until the next.

    The next is `early` if something is owed anew, unless Mixin itself wants it `slow`.
    """

    rounds: int
    last: float
    until: float
    slow: bool

    @property
    def early(self) -> float:
        return self.until if self.slow else min(self.until, self.last + EARLY)

    def probes(self, now: float) -> int:
        """Say how many may be tried: hundreds of bad ids with few good ones are no outage."""
        waited = int((now - self.last) / PROBE_EVERY)
        return AT_ONCE if self.slow else min(max(AT_ONCE, waited), MAX_PROBES)


class _Timed:
    """Batches, each with the time from which it may go; the longest due first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Batch]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, batch: Batch, at: float) -> None:
        """Add a batch, to go at a time."""
        heapq.heappush(self._heap, (at, next(self._order), batch))

    def first_at(self) -> float | None:
        """Say when the first may go."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float, most: int) -> list[Batch]:
        """Take those out that may go now."""
        taken: list[Batch] = []
        while self._heap and len(taken) < most and self._heap[0][0] <= now:
            taken.append(heapq.heappop(self._heap)[2])
        return taken

    def empty(self) -> list[Batch]:
        """Take all of them out, whenever they may go."""
        taken = [batch for _, _, batch in sorted(self._heap)]
        self._heap.clear()
        return taken

    def hasten(self, now: float) -> None:
        """Let all of them go now, in the order in which they were due."""
        self._heap = [(now, next(self._order), batch) for _, _, batch in sorted(self._heap)]


class Isolation:
    """Holds back, of one bot's owed receipts, what failed; the others are new and go at once.

    Times are in Unix seconds; `jitter` gives random numbers from 0 to 1.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._held: set[int] = set()
        self._suspects = _Timed()
        self._stalled: deque[OwedReceipt] = deque()
        self._aside: dict[int, _Aside] = {}
        self._asides = _Timed()
        self._through_at = self._recalled_at = float("-inf")
        self._patience = 0
        self._outage: _Outage | None = None
        self._stride = _FIRST_STRIDE
        self.look_after = 0
        self.stuck = 0

    # --- What to send ---------------------------------------------------------------------------

    @property
    def outage(self) -> bool:
        """Whether nothing gets through: nothing but `probes` is sent then."""
        return self._outage is not None

    @property
    def full(self) -> bool:
        """Whether so much is held back that nothing new is sent until some of it is sorted out."""
        return len(self._held) >= MAX_HELD

    @property
    def forgets(self) -> bool:
        """Whether more fails than can be put aside: it comes up as if it were new."""
        return len(self._aside) >= MAX_HELD

    def new(self, page: Sequence[OwedReceipt]) -> list[OwedReceipt]:
        """Give those of a page that are not held back."""
        return [each for each in page if each.seq not in self._held and each.seq not in self._aside]

    def batches(self, new: Sequence[OwedReceipt]) -> list[Batch]:
        """Cut the next round's batches off what is new."""
        starts = range(0, min(len(new), AT_ONCE * MAX_BATCH), MAX_BATCH)
        return [tuple(new[start : start + MAX_BATCH]) for start in starts]

    def held(self, now: float) -> list[Batch]:
        """Take the next round's batches out of what is held back; none during an outage."""
        if self._outage:
            return []
        asides = self._asides.pop_due(now, 1)  # they never take all the room, nor get none
        found = asides + self._suspects.pop_due(now, HELD_AT_ONCE - len(asides))
        return found + self._asides.pop_due(now, HELD_AT_ONCE - len(found))

    def held_at(self) -> float | None:
        """Say when something that is held back may go; None if that depends on something new."""
        due = [at for at in (self._suspects.first_at(), self._asides.first_at()) if at is not None]
        return None if self._outage else min(due, default=None)

    def probes(self, page: Sequence[OwedReceipt], now: float) -> list[Batch]:
        """Take single receipts from places far apart, to find one that gets through.

        `page` is what is owed behind `look_after`, which goes on by leaps: a million in a dozen.
        """
        new = self.new(page)
        singles = [new[0], new[-1]] if len(new) > 1 else new
        if new:
            self.look_after = new[-1].seq + self._stride
            self._stride = min(2 * self._stride, _LONGEST_STRIDE)
        else:
            self.look_after, self._stride = 0, _FIRST_STRIDE
        self._stalled.extend(each for one in self._suspects.empty() for each in one)
        most = self._outage.probes(now) if self._outage else AT_ONCE
        while self._stalled and len(singles) < most:
            singles.append(self._stalled.popleft())
        return [(single,) for single in singles]

    def probe_at(self, *, news: bool) -> float:
        """Say when the outage's next probes are due; earlier if something is owed anew."""
        if self._outage is None:
            return float("-inf")
        return self._outage.early if news else self._outage.until

    # --- What came of it ------------------------------------------------------------------------

    def drop(self, batch: Batch) -> None:
        """Forget receipts: they are settled, or, if the journal could not, new again."""
        for receipt in batch:
            self._held.discard(receipt.seq)
            if (aside := self._aside.pop(receipt.seq, None)) and aside.stuck:
                self.stuck -= 1

    def learn(self, answers: Sequence[Answer], now: float, *, new: bool) -> Lesson:
        """Take in how one round was answered, whether of new receipts or of held ones."""
        cured = self._take_out(answers, now)
        alive = self._is_alive(answers, now, new=new)
        waits, stuck, stalled = [0.0], list[OwedReceipt](), list[tuple[Batch, ReceiptsFailed]]()
        for batch, verdict in answers:
            match verdict:
                case ReceiptsTaken():
                    pass
                case ReceiptsRejected():
                    self._halve(batch, now)
                case ReceiptsFailed() if self._fails_alone(batch, alive=alive):
                    waits.append(self._put_aside(batch, verdict, now))
                    stuck += self._newly_stuck(batch, now)
                case ReceiptsFailed(retry_after=asked) if alive:
                    self._halve(batch, now + (asked or 0.0))
                case ReceiptsFailed():
                    stalled.append((batch, verdict))
        if stalled:
            waits.append(self._stall(stalled, now))
        return Lesson(max(waits), tuple(stuck), cured)

    def _fails_alone(self, batch: Batch, *, alive: bool) -> bool:
        return batch[0].seq in self._aside or (alive and len(batch) == 1)

    def _take_out(self, answers: Sequence[Answer], now: float) -> Batch:
        """Note what got through, and that something did; answers with what was stuck."""
        through = [(batch, v) for batch, v in answers if not isinstance(v, ReceiptsFailed)]
        if not through:
            return ()
        self._through_at, self._patience = now, PATIENCE
        recall = self._outage is not None
        cured: list[OwedReceipt] = []
        for batch, verdict in through:
            if isinstance(verdict, ReceiptsTaken) or len(batch) == 1:
                recall = recall or batch[0].seq in self._aside
                cured += [r for r in batch if (a := self._aside.get(r.seq)) and a.stuck]
                self.drop(batch)
        self._end_outage(now)
        if recall and now - self._recalled_at >= RECALL_EVERY:
            self._recalled_at = now
            self._asides.hasten(now)
        return tuple(cured)

    def _is_alive(self, answers: Sequence[Answer], now: float, *, new: bool) -> bool:
        """Say whether failures are the ids' own: others got through, now or a moment ago."""
        failed = [verdict for _, verdict in answers if isinstance(verdict, ReceiptsFailed)]
        if any(failure.unauthorized for failure in failed):
            self._through_at, self._patience = float("-inf"), 0
            return False
        in_vain = len(failed) == len(answers)
        if not new:
            self._patience -= in_vain
            return self._patience > 0
        if in_vain and any(failure.retry_after for failure in failed):
            return False
        return now - self._through_at <= TRUST

    def _halve(self, batch: Batch, at: float) -> None:
        if len(batch) == 1:
            return
        self._held.update(receipt.seq for receipt in batch)
        half = len(batch) // 2
        self._suspects.put(batch[:half], at)
        self._suspects.put(batch[half:], at)

    def _put_aside(self, batch: Batch, failure: ReceiptsFailed, now: float) -> float:
        """Let one receipt wait alone; answers for how long."""
        seq = batch[0].seq
        self._held.discard(seq)
        if seq not in self._aside and self.forgets:
            return 0.0
        aside = self._aside.setdefault(seq, _Aside(now))
        aside.failures += 1
        # Hundreds of them together ask no more than about once a second.
        longest = min(max(_LONGEST_WAIT, len(self._aside)), _LONGEST_ASIDE)
        wait = backoff(aside.failures, first=_FIRST_WAIT, longest=longest, jitter=self._jitter())
        wait = max(wait, failure.retry_after or 0.0)
        self._asides.put(batch, now + wait)
        return wait

    def _newly_stuck(self, batch: Batch, now: float) -> Batch:
        aside = self._aside.get(batch[0].seq)
        if aside is None or aside.stuck or now - aside.since < STUCK_AFTER:
            return ()
        aside.stuck = True
        self.stuck += 1
        return batch

    # --- Outages --------------------------------------------------------------------------------

    def _stall(self, answers: Sequence[tuple[Batch, ReceiptsFailed]], now: float) -> float:
        """Hold back what nothing got through beside of; answers how long to send nothing."""
        for batch, _ in answers:
            for receipt in batch:
                if receipt.seq in self._held or not self.full:
                    self._held.add(receipt.seq)
                    self._stalled.append(receipt)
        failures = [failure for _, failure in answers]
        rounds = 1 + (self._outage.rounds if self._outage else 0)
        wait, slow = self._wait_after(rounds, failures)
        self._outage = _Outage(rounds, now, now + wait, slow)
        return wait

    def _wait_after(self, rounds: int, failures: Sequence[ReceiptsFailed]) -> tuple[float, bool]:
        """Say for how long to send nothing, and whether Mixin itself wants it so."""
        first, longest, jitter = _FIRST_WAIT, _LONGEST_WAIT, self._jitter()
        slowly = any(failure.unauthorized for failure in failures)
        if slowly:
            first, longest = _FIRST_WAIT_UNAUTHORIZED, _LONGEST_WAIT_UNAUTHORIZED
            jitter = (1 + jitter) / 2  # slow, and never at once
        asked = max(failure.retry_after or 0.0 for failure in failures)
        wait = backoff(rounds, first=first, longest=longest, jitter=jitter)
        return max(wait, asked), slowly or asked > 0

    def _end_outage(self, now: float) -> None:
        """Let go what was held back by an outage only: in full batches, as if it were new."""
        self._outage = None
        self.look_after, self._stride = 0, _FIRST_STRIDE
        while self._stalled:
            most = min(MAX_BATCH, len(self._stalled))
            self._suspects.put(tuple(self._stalled.popleft() for _ in range(most)), now)
