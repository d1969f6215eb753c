"""What the gate promises: every transition of it."""

from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.breaker import BreakerPolicy, CircuitBreaker, Permit
from relay.model.messages import BreakerState, Reason, Transient, Verdict
from tests.core.samples import BROKEN, BUSY, FAILURES, GONE, OK, REFUSED, TIMEOUT

CLOSED, PROBING, OPEN, PAUSED, GONE_STATE = BreakerState
POLICY = BreakerPolicy(
    concurrency=16, open_after=5, probe_first=1.0, probe_max=60.0, gone_confirm=60.0
)
RESET = Transient(Reason.RESET, doubtful=True)
NOW = 1000.0


def attempt(gate: CircuitBreaker, verdict: Verdict | None, at: float = NOW) -> None:
    """Let one request pass, which ends at once."""
    assert gate.admits(at)
    gate.leave(gate.enter(at), verdict, at)


def opened(at: float = NOW, policy: BreakerPolicy = POLICY) -> CircuitBreaker:
    """Make a gate that has just opened."""
    gate = CircuitBreaker(policy)
    for _ in range(policy.open_after):
        attempt(gate, BROKEN, at)
    return gate


def with_limit(limit: int) -> CircuitBreaker:
    """Make a closed gate with so many requests allowed: it was open, and ramped up."""
    gate = opened()
    at = NOW + 1.0
    while gate.state is not CLOSED or gate.limit < limit:
        attempt(gate, OK, at)
    return gate


# --- Concurrency --------------------------------------------------------------------------------


def test_a_new_gate_lets_all_its_concurrency_through() -> None:
    """As many requests as configured pass at once, and not one more."""
    gate = CircuitBreaker(POLICY)
    for _ in range(16):
        assert gate.admits(NOW)
        gate.enter(NOW)
    assert not gate.admits(NOW)
    assert gate.admits_at is None
    assert (CLOSED, 16, 16) == (gate.state, gate.limit, gate.in_flight)


def test_a_request_that_ends_makes_room() -> None:
    """However it ends, even if a stop cut it short."""
    for verdict in (OK, REFUSED, None):
        gate = CircuitBreaker(BreakerPolicy(concurrency=1))
        attempt(gate, verdict)
        assert (0, True) == (gate.in_flight, gate.admits(NOW))


def test_a_jam_halves_the_limit() -> None:
    """Timeouts, 429 and 5xx say that the receiver has more than it can do."""
    for reason in (Reason.TIMEOUT, Reason.HTTP_429, Reason.HTTP_5XX, Reason.HTTP_503):
        gate = CircuitBreaker(POLICY)
        attempt(gate, Transient(reason))
        assert 8 == gate.limit


def test_what_is_no_jam_leaves_the_limit() -> None:
    """A refused message, a cut, or a receiver that is not there says nothing of its capacity."""
    for verdict in (REFUSED, GONE, None, RESET, Transient(Reason.CONNECT), Transient(Reason.DNS)):
        gate = CircuitBreaker(POLICY)
        attempt(gate, verdict)
        assert 16 == gate.limit


def test_one_jam_is_one_decrease() -> None:
    """Requests that were under way together tell of one jam, however many fail."""
    gate = CircuitBreaker(BreakerPolicy(concurrency=16, open_after=100))
    permits = [gate.enter(NOW) for _ in range(16)]
    for n, permit in enumerate(permits):
        gate.leave(permit, TIMEOUT, NOW + 1 + n / 100)
    assert 8 == gate.limit
    attempt(gate, TIMEOUT, NOW + 2)
    assert 4 == gate.limit


def test_the_limit_never_falls_below_one() -> None:
    """Something must pass, or nothing would ever be learnt."""
    gate = CircuitBreaker(BreakerPolicy(concurrency=16, open_after=1000))
    for n in range(100):
        attempt(gate, BROKEN, NOW + n)
    assert 1 == gate.limit
    assert gate.admits(NOW + 100)


def test_the_limit_grows_by_about_one_for_each_round() -> None:
    """Additive increase: as many successes as the limit raise it by one."""
    gate = with_limit(4)
    for _ in range(4):
        assert 4 == gate.limit
        attempt(gate, OK, NOW + 2)
    attempt(gate, OK, NOW + 2)
    assert 5 == gate.limit


def test_the_limit_never_grows_above_the_setting() -> None:
    """`concurrency` is the most."""
    gate = with_limit(16)
    for _ in range(100):
        attempt(gate, OK, NOW + 2)
    assert 16 == gate.limit


@given(st.lists(st.sampled_from([OK, None, *FAILURES]), max_size=60), st.integers(1, 8))
def test_the_books_balance(verdicts: list[Verdict | None], concurrency: int) -> None:
    """Whatever happens, the limit stays between one and the setting, and nobody is forgotten."""
    gate = CircuitBreaker(BreakerPolicy(concurrency=concurrency, open_after=3))
    inside: list[Permit] = []
    for n, verdict in enumerate(verdicts):
        now = NOW + 20.0 * n
        while gate.admits(now) and len(inside) < 2:
            inside.append(gate.enter(now))
        assert gate.in_flight == len(inside)
        assert 1 <= gate.limit <= concurrency
        assert gate.state is not PROBING or not gate.admits(now)
        if inside:
            gate.leave(inside.pop(0), verdict, now)


# --- Opening ------------------------------------------------------------------------------------


def test_failures_in_a_row_open_the_gate() -> None:
    """The fifth in a row opens it, the fourth does not."""
    gate = CircuitBreaker(POLICY)
    for _ in range(4):
        attempt(gate, BROKEN)
    assert CLOSED is gate.state
    attempt(gate, BROKEN)
    assert (OPEN, 1, NOW + 1.0) == (gate.state, gate.limit, gate.admits_at)
    assert not gate.admits(NOW + 0.99)


def test_a_410_counts_as_a_failure() -> None:
    """It says that the endpoint is in trouble, at the least."""
    gate = CircuitBreaker(POLICY)
    for _ in range(5):
        attempt(gate, GONE)
    assert OPEN is gate.state


def test_a_success_starts_the_count_anew() -> None:
    """Only failures in a row count."""
    gate = CircuitBreaker(POLICY)
    for verdict in (BROKEN, BROKEN, BROKEN, BROKEN, OK, BROKEN, BROKEN, BROKEN, BROKEN):
        attempt(gate, verdict)
    assert CLOSED is gate.state


def test_a_rejection_neither_counts_nor_clears() -> None:
    """A refused message says nothing about the endpoint, for good or ill."""
    gate = CircuitBreaker(POLICY)
    for _ in range(100):
        attempt(gate, REFUSED)
    assert (CLOSED, 16) == (gate.state, gate.limit)
    for verdict in (BROKEN, BROKEN, REFUSED, BROKEN, BROKEN, REFUSED, BROKEN):
        attempt(gate, verdict)
    assert OPEN is gate.state


def test_a_cut_attempt_neither_counts_nor_clears() -> None:
    """An attempt cut short by a stop is charged to nobody."""
    gate = CircuitBreaker(POLICY)
    for verdict in (BROKEN, BROKEN, None, BROKEN, BROKEN):
        attempt(gate, verdict)
    assert CLOSED is gate.state
    attempt(gate, BROKEN)
    assert OPEN is gate.state


# --- Probing ------------------------------------------------------------------------------------


def test_a_probe_goes_alone() -> None:
    """When its time has come one request passes, and no second before it has ended."""
    gate = opened()
    permit = gate.enter(NOW + 1)
    assert permit.probe
    assert (PROBING, None, 1) == (gate.state, gate.admits_at, gate.limit)
    assert not gate.admits(NOW + 1000)
    gate.leave(permit, BROKEN, NOW + 5)
    assert OPEN is gate.state


def test_probes_come_at_growing_intervals() -> None:
    """After each failed probe the wait doubles, from `first` up to `probe_max`."""
    gate, now, waits = opened(), NOW, []
    for _ in range(9):
        assert gate.admits_at is not None
        waits.append(gate.admits_at - now)
        now = gate.admits_at
        attempt(gate, BROKEN, now)
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] == waits


def test_a_probe_that_succeeds_closes_the_gate() -> None:
    """The limit ramps up from one, and the next trouble starts from the beginning."""
    gate = opened()
    attempt(gate, BROKEN, NOW + 1)
    attempt(gate, OK, NOW + 3)
    assert (CLOSED, 1) == (gate.state, gate.limit)
    attempt(gate, OK, NOW + 3)
    assert 2 == gate.limit
    for _ in range(4):
        attempt(gate, BROKEN, NOW + 4)
    assert CLOSED is gate.state
    attempt(gate, BROKEN, NOW + 4)
    assert (OPEN, NOW + 5) == (gate.state, gate.admits_at)


def test_a_rejected_probe_decides_nothing() -> None:
    """The gate stays open, and the next probe is another message, a moment later."""
    gate = opened()
    attempt(gate, REFUSED, NOW + 1)
    assert (OPEN, NOW + 2) == (gate.state, gate.admits_at)


def test_a_cut_probe_decides_nothing() -> None:
    """The gate stays open, ready for another probe."""
    gate = opened()
    attempt(gate, None, NOW + 1)
    assert (OPEN, True) == (gate.state, gate.admits(NOW + 1))


def test_those_under_way_when_it_opens_do_not_put_off_the_probe() -> None:
    """Failures of requests from before are no failed probes."""
    gate = CircuitBreaker(POLICY)
    permits = [gate.enter(NOW) for _ in range(10)]
    for n, permit in enumerate(permits):
        gate.leave(permit, BROKEN, NOW + n / 10)
    assert (OPEN, NOW + 0.4 + 1.0) == (gate.state, gate.admits_at)


def test_a_late_success_closes_the_gate() -> None:
    """A request from before it opened that succeeds is as good as a probe."""
    gate = CircuitBreaker(POLICY)
    *early, late = (gate.enter(NOW) for _ in range(6))
    for permit in early:
        gate.leave(permit, BROKEN, NOW)
    assert OPEN is gate.state
    gate.leave(late, OK, NOW + 0.5)
    assert (CLOSED, 1, True) == (gate.state, gate.limit, gate.admits(NOW + 0.5))


# --- Retry-After --------------------------------------------------------------------------------


def test_retry_after_holds_the_whole_endpoint() -> None:
    """Nothing passes until the receiver's time has come; then the gate is as it was."""
    gate = CircuitBreaker(POLICY)
    attempt(gate, BUSY)
    assert (CLOSED, NOW + 30.0) == (gate.state, gate.admits_at)
    assert not gate.admits(NOW + 29.9)
    assert gate.admits(NOW + 30.0)


def test_the_longest_retry_after_holds() -> None:
    """A shorter one that comes later takes nothing away."""
    gate = CircuitBreaker(POLICY)
    first, second = gate.enter(NOW), gate.enter(NOW)
    gate.leave(first, BUSY, NOW)
    gate.leave(second, Transient(Reason.HTTP_503, 503, pause=1.0), NOW)
    assert NOW + 30.0 == gate.admits_at


def test_retry_after_holds_probes_too() -> None:
    """An open gate asks at the later of the two times."""
    gate = CircuitBreaker(POLICY)
    for n in range(5):
        gate.leave(gate.enter(NOW), BUSY, NOW + n)
    assert (OPEN, NOW + 34.0) == (gate.state, gate.admits_at)


def test_a_success_does_not_end_the_receivers_pause() -> None:
    """Another request's 2xx does not mean that the receiver takes its word back."""
    gate = CircuitBreaker(POLICY)
    other = gate.enter(NOW)
    attempt(gate, BUSY)
    gate.leave(other, OK, NOW)
    assert NOW + 30.0 == gate.admits_at


# --- Gone ---------------------------------------------------------------------------------------


def test_one_410_is_not_the_end() -> None:
    """Only a second one, long enough after the first, confirms it."""
    gate = CircuitBreaker(POLICY)
    attempt(gate, GONE, NOW)
    attempt(gate, GONE, NOW + 59.9)
    assert [CLOSED, NOW] == [gate.state, gate.gone_since]
    attempt(gate, GONE, NOW + 60.0)
    assert [GONE_STATE, None] == [gate.state, gate.admits_at]
    assert not gate.admits(NOW + 1_000_000)


def test_a_2xx_between_two_410_takes_the_first_back() -> None:
    """The endpoint was there in between: the second is a first."""
    gate = CircuitBreaker(POLICY)
    attempt(gate, GONE, NOW)
    attempt(gate, OK, NOW + 30)
    assert gate.gone_since is None
    attempt(gate, GONE, NOW + 100)
    assert [CLOSED, NOW + 100] == [gate.state, gate.gone_since]


def test_other_answers_between_do_not_take_a_410_back() -> None:
    """Trouble or a rejection says nothing of the endpoint's being there."""
    gate = CircuitBreaker(POLICY)
    attempt(gate, GONE, NOW)
    attempt(gate, REFUSED, NOW + 10)
    attempt(gate, BROKEN, NOW + 20)
    attempt(gate, GONE, NOW + 61)
    assert GONE_STATE is gate.state


def test_a_restart_remembers_the_first_410() -> None:
    """What is confirmed, or on the way to it, outlives the process."""
    assert GONE_STATE is CircuitBreaker(POLICY, gone=True).state
    gate = CircuitBreaker(POLICY, gone_since=NOW - 60)
    attempt(gate, GONE, NOW)
    assert GONE_STATE is gate.state


# --- Operators ----------------------------------------------------------------------------------


def test_a_pause_holds_everything() -> None:
    """Until it is resumed nothing passes; what is in flight may end."""
    gate = CircuitBreaker(POLICY)
    permit = gate.enter(NOW)
    gate.pause()
    assert (PAUSED, None, False) == (gate.state, gate.admits_at, gate.admits(NOW + 1e9))
    gate.leave(permit, OK, NOW)
    gate.resume()
    assert (CLOSED, True, 16) == (gate.state, gate.admits(NOW), gate.limit)


def test_a_pause_outlives_the_process() -> None:
    """A gate starts as the journal says."""
    assert PAUSED is CircuitBreaker(POLICY, paused=True).state


def test_gone_goes_before_paused() -> None:
    """An operator sees first what asks for a decision."""
    assert GONE_STATE is CircuitBreaker(POLICY, paused=True, gone=True).state


def test_resuming_revives_an_endpoint_that_is_gone() -> None:
    """It is tried at once, and a 410 is a first one again."""
    gate = CircuitBreaker(POLICY, gone=True, gone_since=NOW - 1000)
    gate.resume()
    assert (CLOSED, None, True) == (gate.state, gate.gone_since, gate.admits(NOW))
    attempt(gate, GONE, NOW)
    assert CLOSED is gate.state


def test_resuming_pokes_an_open_gate() -> None:
    """The probe goes at once, even against the receiver's own Retry-After."""
    gate = CircuitBreaker(POLICY)
    for _ in range(5):
        gate.leave(gate.enter(NOW), BUSY, NOW)
    gate.resume()
    assert (OPEN, True) == (gate.state, gate.admits(NOW))


def test_resuming_does_not_send_a_second_probe() -> None:
    """One that is under way decides."""
    gate = opened()
    gate.enter(NOW + 1)
    gate.resume()
    assert (PROBING, False) == (gate.state, gate.admits(NOW + 1))


# --- Of whom a verdict tells --------------------------------------------------------------------


# --- Other settings ------------------------------------------------------------------------------


def test_another_policy_keeps_what_was_learnt() -> None:
    """An open gate stays open, with its next probe at its time, and its count of failures."""
    gate = opened()
    before = (gate.state, gate.admits_at)
    gate.adopt(BreakerPolicy(concurrency=2))
    assert before == (gate.state, gate.admits_at)
    gate = CircuitBreaker(POLICY)
    attempt(gate, BROKEN)
    gate.adopt(BreakerPolicy(open_after=2))
    attempt(gate, BROKEN)
    assert OPEN is gate.state


def test_another_limit_holds_at_once() -> None:
    """A lower one for those in flight as well; a higher one unless the receiver was in a jam."""
    gate = CircuitBreaker(POLICY)
    permits = [gate.enter(NOW) for _ in range(4)]
    gate.adopt(BreakerPolicy(concurrency=2))
    for permit in permits[:2]:
        assert not gate.admits(NOW)
        gate.leave(permit, None, NOW)
    assert not gate.admits(NOW)
    gate.leave(permits[2], None, NOW)
    assert gate.admits(NOW)
    gate.adopt(BreakerPolicy(concurrency=8))
    assert 8 == gate.limit
    gate = with_limit(4)
    gate.adopt(BreakerPolicy(concurrency=32))
    assert 4 == gate.limit
    gate.adopt(BreakerPolicy(concurrency=3))
    assert 3 == gate.limit


def test_another_receiver_is_unknown() -> None:
    """Nothing that the old one did is held against the new one: trouble, Retry-After, a 410."""
    gate = opened(policy=BreakerPolicy(open_after=1, gone_confirm=0.0))
    attempt(gate, BUSY, NOW + 10)
    gate.resume()
    attempt(gate, GONE, NOW + 20)
    gate.resume()
    attempt(gate, GONE, NOW + 30)
    gate.renew(POLICY)
    assert (CLOSED, 16, None) == (gate.state, gate.limit, gate.gone_since)
    assert gate.admits(NOW)
    for _ in range(4):
        attempt(gate, BROKEN)
    assert CLOSED is gate.state


def test_a_pause_is_not_the_receivers() -> None:
    """Another receiver gets nothing either while an operator has paused the endpoint."""
    gate = CircuitBreaker(POLICY, paused=True)
    gate.renew(POLICY)
    assert PAUSED is gate.state


def test_what_the_old_receiver_still_answers_counts_only_as_in_flight() -> None:
    """Its verdict moves nothing, not even as the probe that it was; its place is free again."""
    policy = BreakerPolicy(concurrency=1, open_after=1, gone_confirm=0.0)
    for verdict in (BROKEN, BUSY, GONE, OK, None):
        gate = opened(policy=policy)
        probe = gate.enter(NOW + 10)
        gate.renew(policy)
        assert (1, False) == (gate.in_flight, gate.admits(NOW + 10))
        assert not gate.knows(probe)
        gate.leave(probe, verdict, NOW + 11)
        assert (CLOSED, 0, True) == (gate.state, gate.in_flight, gate.admits(NOW + 11))
        assert gate.gone_since is None
