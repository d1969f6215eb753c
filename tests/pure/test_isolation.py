"""What the sieve promises: bad ids hold up nobody, an outage blames nobody, and nothing is lost."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.model.journal import OwedReceipt
from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken, ReceiptVerdict
from relay.receipts import isolation as module
from relay.receipts.isolation import (
    AT_ONCE,
    EARLY,
    HELD_AT_ONCE,
    MAX_BATCH,
    MAX_PROBES,
    Answer,
    Batch,
    Isolation,
)
from tests.core.samples import uuid

TAKEN = ReceiptsTaken()
FAILED = ReceiptsFailed("500")
REJECTED = ReceiptsRejected(10002, "bad id")
UNAUTHORIZED = ReceiptsFailed("401", retry_after=5.0, unauthorized=True)
PHASES = [phase for phase in settings().phases if phase is not Phase.explain]
"""Explaining a failure traces every line, which takes minutes."""


def receipts(*numbers: int) -> Batch:
    """Make receipts by number."""
    return tuple(OwedReceipt(n, uuid(n)) for n in numbers)


def sieve(jitter: float = 1.0) -> Isolation:
    """Make one with the longest waits."""
    return Isolation(lambda: jitter)


def answered(batches: Sequence[Batch], verdict: ReceiptVerdict) -> list[Answer]:
    """Answer all of them alike."""
    return [(batch, verdict) for batch in batches]


def test_what_is_new_goes_in_full_batches() -> None:
    """Four of a hundred at most."""
    page = receipts(*range(450))
    assert [100] * AT_ONCE == [len(batch) for batch in sieve().batches(page)]
    assert [100, 50] == [len(batch) for batch in sieve().batches(page[:150])]


def test_a_batch_that_fails_beside_others_is_halved_at_once() -> None:
    """Its halves are held back, and due."""
    sifted, page = sieve(), receipts(*range(200))
    one, other = sifted.batches(page)
    sifted.learn([(one, FAILED), (other, TAKEN)], 0.0, new=True)
    assert not sifted.outage
    assert [*page[100:]] == sifted.new(page)
    assert [page[:50], page[50:100]] == sifted.held(0.0)


def test_a_batch_that_fails_alone_is_an_outage() -> None:
    """Nothing got through: it stays whole, and only single receipts are tried."""
    sifted, page = sieve(), receipts(*range(100))
    lesson = sifted.learn(answered(sifted.batches(page), FAILED), 0.0, new=True)
    assert sifted.outage
    assert 1.0 == lesson.retry_in == sifted.probe_at(news=False)
    assert ([], None) == (sifted.held(1000.0), sifted.held_at())
    assert [1] * AT_ONCE == [len(batch) for batch in sifted.probes(page, 1.0)]


def test_one_that_gets_through_ends_an_outage() -> None:
    """What was held back goes in full batches again."""
    sifted, page = sieve(), receipts(*range(400))
    sifted.learn(answered(sifted.batches(page), FAILED), 0.0, new=True)
    probes = sifted.probes(page, 1.0)
    sifted.learn(answered(probes, TAKEN), 1.0, new=True)
    assert not sifted.outage
    assert [100, 100, 100, 96] == [len(batch) for batch in sifted.held(1.0)]


def test_probes_come_from_all_over_the_queue() -> None:
    """From both ends of a page, and the next page is far behind it."""
    sifted, page = sieve(), receipts(*range(400, 800))
    assert receipts(400) == sifted.probes(page, 0.0)[0]
    first = sifted.look_after
    assert first > 799
    sifted.probes(receipts(*range(first, first + 400)), 0.0)
    assert sifted.look_after - first > first - 799
    sifted.probes((), 0.0)
    assert 0 == sifted.look_after


def test_news_are_tried_early_in_an_outage() -> None:
    """It may be none; but not when Mixin itself asked for a wait, or refused the token."""
    for failure, early in ((FAILED, EARLY), (UNAUTHORIZED, 600.0)):
        sifted, page, now = sieve(), receipts(1), 0.0
        sifted.learn(answered([page], failure), now, new=True)
        for _ in range(9):
            now = sifted.probe_at(news=False)
            sifted.learn(answered(sifted.probes((), now), failure), now, new=True)
        assert early == sifted.probe_at(news=True) - now
        assert sifted.probe_at(news=False) - now >= 60.0


def test_a_refused_token_blames_no_id() -> None:
    """However well it went a moment ago."""
    sifted = sieve()
    sifted.learn(answered([receipts(1)], TAKEN), 0.0, new=True)
    sifted.learn(answered([receipts(2)], UNAUTHORIZED), 0.1, new=True)
    assert sifted.outage


def test_a_lone_failure_a_moment_after_a_success_is_the_ids_own() -> None:
    """It is put aside; longer after, it is taken for an outage."""
    for later, outage in ((1.0, False), (10.0, True)):
        sifted = sieve()
        sifted.learn(answered([receipts(1)], TAKEN), 0.0, new=True)
        sifted.learn(answered([receipts(2)], FAILED), later, new=True)
        assert outage == sifted.outage


def test_held_receipts_that_fail_for_long_with_nothing_between_are_an_outage() -> None:
    """Hundreds in a row may be bad, but not for ever."""
    sifted, rounds = sieve(), 0
    page = receipts(*range(4000))
    for start in range(0, 4000, 400):
        answers = answered(sifted.batches(page[start : start + 400]), FAILED)
        sifted.learn([*answers, (receipts(9999), TAKEN)], 0.0, new=True)
    while not sifted.outage:
        sifted.learn(answered(sifted.held(0.0), FAILED), 0.0, new=False)
        rounds += 1
    assert module.PATIENCE == rounds


def test_one_that_is_cured_recalls_the_others() -> None:
    """Whatever was wrong may be right for all of them."""
    sifted, now = sieve(), 0.0
    for number in (1, 2, 3):
        sifted.learn([(receipts(number), FAILED), (receipts(9), TAKEN)], now, new=True)
    for _ in range(8):
        now += 1000.0
        sifted.learn(answered(sifted.held(now), FAILED), now, new=False)
    first = sifted.held_at()
    assert first is not None
    one, *others = sifted.held(first)
    assert 3 == sifted.stuck
    lesson = sifted.learn([(one, TAKEN), *answered(others, FAILED)], first, new=False)
    assert one == lesson.cured
    assert 2 == sifted.stuck


def test_more_bad_ids_than_can_be_remembered_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound holds, and they come up as if they were new."""
    monkeypatch.setattr(module, "MAX_HELD", 3)
    sifted, page = sieve(), receipts(*range(5))
    for receipt in page:
        sifted.learn([((receipt,), FAILED), (receipts(9), TAKEN)], 0.0, new=True)
    assert sifted.forgets
    assert [*page[3:]] == sifted.new(page)


def test_an_outage_tries_those_that_were_under_suspicion_before() -> None:
    """A good one among them is found however much is tried in vain."""
    sifted, page = sieve(), receipts(*range(100))
    sifted.learn([(page, FAILED), (receipts(999), TAKEN)], 0.0, new=True)
    sifted.learn(answered([receipts(1000)], FAILED), 10.0, new=True)
    tried, now = set[int](), 10.0
    while len(tried) < 101:
        assert now < 1000.0
        now = sifted.probe_at(news=False)
        probes = sifted.probes((), now)
        tried |= {receipt.seq for (receipt,) in probes}
        sifted.learn(answered(probes, FAILED), now, new=True)


def test_an_outage_is_probed_each_two_seconds() -> None:
    """However much is owed, for half an hour, everything in its turn; but slowly where asked."""
    for failure, most in ((FAILED, 950), (UNAUTHORIZED, 60)):
        sifted, page, now = sieve(), receipts(*range(400)), 0.0
        sifted.learn(answered(sifted.batches(page), failure), now, new=True)
        tried: list[int] = []
        while now < 1800.0:
            now = sifted.probe_at(news=False)
            probes = sifted.probes((), now)
            tried += [receipt.seq for (receipt,) in probes]
            sifted.learn(answered(probes, failure), now, new=True)
        assert len(tried) < most
        assert [*range(400)][: len(tried)] == tried[:400]
        assert failure is UNAUTHORIZED or len(tried) > 800


class Queue(RuleBasedStateMachine):
    """A queue of owed receipts in front of Mixin, by turns up and down, and a sieve between."""

    def __init__(self) -> None:
        super().__init__()
        self.sieve = sieve()
        self.owed: dict[int, OwedReceipt] = {}
        self.cursed: set[int] = set()
        self.bad: set[int] = set()
        self.up = True
        self.now = 0.0
        self.last = 0

    @rule(count=st.integers(1, 250), cursed=st.integers(0, 7), bad=st.integers(0, 20))
    def owe(self, count: int, cursed: int, bad: int) -> None:
        """Owe more; every so-many-th of them is bad."""
        for seq in range(self.last + 1, self.last + count + 1):
            self.owed[seq] = OwedReceipt(seq, uuid(seq))
            if cursed and seq % cursed == 0:
                self.cursed.add(seq)
            if bad and seq % bad == 0:
                self.bad.add(seq)
        self.last += count

    @rule(up=st.booleans())
    def turn(self, up: bool) -> None:  # noqa: FBT001 - Hypothesis passes it by name
        """Let Mixin fail, or not."""
        self.up = up

    @rule(seconds=st.floats(0.0, 300.0))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def heal(self) -> None:
        """Let no id be cursed any more."""
        self.cursed.clear()

    @rule()
    def send_new(self) -> None:
        """Send what is new, or probes."""
        most = MAX_PROBES if self.sieve.outage else AT_ONCE
        if not self.sieve.outage:
            batches = self.sieve.batches(self.sieve.new([*self.owed.values()]))
        else:
            page = [r for r in self.owed.values() if r.seq > self.sieve.look_after]
            batches = self.sieve.probes(page, self.now)
        assert len(batches) <= most
        self._send(batches, new=True)

    @rule()
    def send_held(self) -> None:
        """Send what is held back."""
        batches = self.sieve.held(self.now)
        assert len(batches) <= HELD_AT_ONCE
        assert not (batches and self.sieve.outage)
        self._send(batches, new=False)

    def _send(self, batches: Sequence[Batch], *, new: bool) -> None:
        seqs = [receipt.seq for batch in batches for receipt in batch]
        assert len(seqs) == len(set(seqs))
        assert set(seqs) <= set(self.owed)
        assert all(1 <= len(batch) <= MAX_BATCH for batch in batches)
        answers = [(batch, self._verdict({r.seq for r in batch})) for batch in batches]
        for batch, verdict in answers:
            final = isinstance(verdict, ReceiptsRejected) and len(batch) == 1
            for receipt in batch if isinstance(verdict, ReceiptsTaken) or final else ():
                del self.owed[receipt.seq]
        if answers:
            self.sieve.learn(answers, self.now, new=new)

    def _verdict(self, seqs: set[int]) -> ReceiptVerdict:
        if not self.up or seqs & self.cursed:
            return FAILED
        return REJECTED if seqs & self.bad else TAKEN

    @invariant()
    def what_is_stuck_is_counted(self) -> None:
        """Never below nothing, and nothing without a receipt."""
        assert 0 <= self.sieve.stuck <= len(self.owed)

    def teardown(self) -> None:
        """Whatever came before: the good ones get through, and after healing all."""
        self.up = True
        self._turn_until(lambda: set(self.owed) <= self.cursed)
        self.cursed.clear()
        self._turn_until(lambda: not self.owed)
        assert (0, None) == (self.sieve.stuck, self.sieve.held_at())
        super().teardown()

    def _turn_until(self, done: Callable[[], bool]) -> None:
        # Even what looks like an outage is tried one by one, about one in two seconds.
        end = self.now + 600.0 + 4.0 * len(self.owed)
        while not done():
            assert self.now < end
            if self.now >= self.sieve.probe_at(news=False):
                self.send_new()
            self.send_held()
            self.now += 1.0


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=30, phases=PHASES, deadline=None)
