"""The promise: READ only after every required endpoint has answered 2xx, whatever happens.

Hypothesis makes up what happens: pushes, answers, stops, cuts, crashes, operators, full disks. The
fakes mind the promises at every step; in the end everything heals, and nothing may be left over.
"""

from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.model.admin import DeadLetterQuery
from relay.model.messages import EndpointKey, MessageOutcome, ReceiptsFailed
from tests.core.couriers import Answer
from tests.core.samples import CRM, FAILURES, LOG, OK, TIMEOUT, uuid
from tests.core.virtual_time import VirtualLoop
from tests.core.world import Endpoint, World

ENDPOINTS = st.sampled_from([CRM, LOG])
SECONDS = st.sampled_from([0.0, 0.001, 0.03, 0.2, 1.0, 5.0, 30.0, 130.0])
TAKES = st.sampled_from([0.0, 0.05, 1.0, 20.0])
RETRY = RetryPolicy(first=1.0, max=60.0, give_up_after=200.0, rejected_attempts=3)
ANSWERS = st.one_of(
    st.builds(Answer, st.sampled_from([OK, *FAILURES]), TAKES),
    st.just(Answer(TIMEOUT, 15.0, lost=True)),
    st.just("crash"),
)


class RelayMachine(RuleBasedStateMachine):
    """One bot, two endpoints, three conversations, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()

    def do(self, what: Coroutine[Any, Any, object]) -> None:
        self.loop.run_until_complete(what)

    @initialize(
        log_required=st.booleans(),
        concurrency=st.sampled_from([1, 2, 4]),
        window=st.sampled_from([1, 2, 4, 100]),
        by_conversation=st.booleans(),
    )
    def begin(
        self, *, log_required: bool, concurrency: int, window: int, by_conversation: bool
    ) -> None:
        gate = BreakerPolicy(
            concurrency=concurrency, open_after=3, probe_max=20.0, gone_confirm=30.0
        )
        self.world = World(
            Endpoint(CRM, retry=RETRY, gate=gate, max_deliveries=window),
            Endpoint(LOG, required=log_required, retry=RETRY, gate=gate, max_bytes=window * 4),
            by_conversation=by_conversation,
            loop=self.loop,
        )
        self.do(self.world.start())

    # --- Mixin ----------------------------------------------------------------------------------

    @rule(number=st.integers(1, 12))
    def push(self, number: int) -> None:
        self.world.push(number, f"c{number % 3}")

    @rule(numbers=st.lists(st.integers(13, 30), min_size=2, max_size=12))
    def push_many(self, numbers: list[int]) -> None:
        for number in numbers:
            self.world.push(number, f"c{number % 3}")

    @rule()
    def push_again(self) -> None:
        self.world.push_unread()

    @rule(
        verdict=st.sampled_from([ReceiptsFailed("500"), ReceiptsFailed("401", unauthorized=True)])
    )
    def mixin_takes_no_receipts(self, verdict: ReceiptsFailed) -> None:
        self.world.mixin.usual = verdict

    @rule()
    def mixin_takes_receipts(self) -> None:
        self.world.mixin.heal()

    # --- Receivers ------------------------------------------------------------------------------

    @rule(endpoint=ENDPOINTS, answer=ANSWERS)
    def usually(self, endpoint: EndpointKey, answer: Answer) -> None:
        self.world.courier.usually(endpoint, answer)

    @rule(endpoint=ENDPOINTS, answers=st.lists(ANSWERS, min_size=1, max_size=4))
    def next(self, endpoint: EndpointKey, answers: list[Answer]) -> None:
        self.world.courier.next(endpoint, *answers)

    @rule(number=st.integers(1, 30), endpoint=ENDPOINTS, answer=ANSWERS)
    def poison(self, number: int, endpoint: EndpointKey, answer: Answer) -> None:
        self.world.courier.always(endpoint, uuid(number), answer)

    @rule()
    def receivers_heal(self) -> None:
        self.world.courier.heal()

    # --- The house ------------------------------------------------------------------------------

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        self.do(self.world.pass_time(seconds))

    @rule()
    def crash(self) -> None:
        self.do(self.world.restart())

    @rule(number=st.integers(31, 40), seconds=st.sampled_from([0.01, 0.03, 0.045, 0.052, 0.06]))
    def crash_at_a_window(self, number: int, seconds: float) -> None:
        """End between any two steps of one message's path."""
        self.push(number)
        self.pass_time(seconds)
        self.crash()

    @rule(drain=st.sampled_from([0.0, 0.5, 25.0]))
    def stop(self, drain: float) -> None:
        self.do(self.world.stop(drain))
        self.do(self.world.start())

    @rule(full=st.booleans())
    def disk(self, *, full: bool) -> None:
        self.world.disk.full = full

    # --- Operators ------------------------------------------------------------------------------

    @rule(endpoint=ENDPOINTS)
    def pause(self, endpoint: EndpointKey) -> None:
        self.do(self.world.desk.pause(endpoint))

    @rule(endpoint=ENDPOINTS)
    def resume(self, endpoint: EndpointKey) -> None:
        self.do(self.world.desk.resume(endpoint))

    @rule()
    def retry(self) -> None:
        self.do(self.world.desk.retry(DeadLetterQuery(limit=2), self.world.wall()))

    @rule(mark_read=st.booleans())
    def discard(self, *, mark_read: bool) -> None:
        self.do(self.world.discard(DeadLetterQuery(limit=1), mark_read=mark_read))

    # --- The promises ---------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        assert [] == self.world.violations

    def teardown(self) -> None:
        try:
            self.do(self.world.heal())
            self.nothing_is_left()
            self.do(self.world.stop())
            assert [] == self.world.violations
        finally:
            self.do(self.world.end())
            self.loop.close()

    def nothing_is_left(self) -> None:
        rows = self.world.rows.messages.values()
        assert [] == self.world.unfinished
        assert [] == self.world.rows.lanes
        for row in rows:
            unread = row.outcome in (MessageOutcome.DEAD, MessageOutcome.DISCARDED)
            assert unread or (
                row.outcome is MessageOutcome.READ and row.message_id in self.world.mixin.read
            )
        assert self.world.pushed == {row.message_id for row in rows}


TestReadOnlyAfterSuccess = RelayMachine.TestCase
TestReadOnlyAfterSuccess.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=[phase for phase in settings().phases if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
