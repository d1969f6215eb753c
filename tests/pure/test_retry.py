"""What retrying promises, with every wait and every stop."""

from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.retry import RetryPolicy, backoff, ceiling
from relay.model.messages import (
    DeadLettered,
    Delivered,
    Delivery,
    Outcome,
    Postponed,
    Verdict,
)
from tests.core.samples import BROKEN, BUSY, GONE, OK, REFUSED, TIMEOUT, attempt, delivery
from tests.core.virtual_time import EPOCH

HOUR = 3600.0
POLICY = RetryPolicy(first=1.0, max=600.0, give_up_after=72 * HOUR, rejected_attempts=10)
ATTEMPTS = st.integers(1, 10_000)
JITTERS = st.floats(0.0, 1.0)
WAITS = st.floats(0.01, 10_000.0)


def after(
    verdict: Verdict,
    *,
    attempts: int = 0,
    failures: int = 0,
    rejections: int = 0,
    first_at: float | None = None,
    at: float = EPOCH,
    duration: float = 0.0,
    jitter: float = 1.0,
    policy: RetryPolicy = POLICY,
) -> Outcome:
    """Conclude one attempt of a delivery with such a past."""
    plain = delivery(1)
    tried = Delivery(
        plain.id,
        plain.endpoint,
        plain.lane,
        plain.message,
        attempts=attempts,
        failures=failures,
        rejections=rejections,
        first_attempt_at=first_at,
    )
    made = attempt(verdict, number=attempts + 1, at=at, duration=duration)
    return policy.conclude(tried, made, jitter=jitter)


def wait(outcome: Outcome) -> float:
    """Measure from the end of the attempt to the next one."""
    assert isinstance(outcome, Postponed)
    return outcome.due_at - outcome.attempt.started_at - outcome.attempt.duration


# --- Backoff ------------------------------------------------------------------------------------


def test_the_ceiling_doubles_up_to_the_longest() -> None:
    """Waits grow as 1, 2, 4, 8 … and then stay."""
    ceilings = [ceiling(n, first=1.0, longest=60.0) for n in range(1, 10)]
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] == ceilings


@given(ATTEMPTS, WAITS, WAITS, JITTERS)
def test_a_wait_is_anywhere_below_its_ceiling(
    number: int, first: float, longest: float, jitter: float
) -> None:
    """Full jitter: from nothing to the whole, and never above the longest."""
    waited = backoff(number, first=first, longest=longest, jitter=jitter)
    assert 0.0 <= waited <= ceiling(number, first=first, longest=longest) <= longest
    assert waited == jitter * ceiling(number, first=first, longest=longest)


@given(ATTEMPTS, WAITS, WAITS)
def test_ceilings_never_shrink(number: int, first: float, longest: float) -> None:
    """A later attempt never waits for less than an earlier one at most does."""
    earlier = ceiling(number, first=first, longest=longest)
    assert earlier <= ceiling(number + 1, first=first, longest=longest)


# --- Success ------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0.0, 1000 * HOUR))
def test_a_2xx_ends_a_delivery_whatever_came_before(attempts: int, age: float) -> None:
    """However late it comes, success is success."""
    outcome = after(OK, attempts=attempts, failures=attempts, first_at=EPOCH - age)
    assert isinstance(outcome, Delivered)


# --- Trouble ------------------------------------------------------------------------------------


def test_trouble_waits_for_longer_each_time() -> None:
    """The wait follows the failures so far, and begins when the attempt ended."""
    waits = [wait(after(BROKEN, failures=n, at=EPOCH, duration=15.0)) for n in range(4)]
    assert [1.0, 2.0, 4.0, 8.0] == waits


def test_waits_start_anew_when_a_delivery_is_revived() -> None:
    """It is the failures that count, not the attempts, which an operator's retry keeps."""
    assert 1.0 == wait(after(BROKEN, attempts=40, failures=0))


@given(st.sampled_from([BROKEN, TIMEOUT]), st.integers(0, 500), JITTERS)
def test_trouble_lasts_until_patience_ends(verdict: Verdict, failures: int, jitter: float) -> None:
    """No number of failures ends a delivery: only `give_up_after` since the first attempt does."""
    begun = EPOCH - 72 * HOUR
    young = after(verdict, failures=failures, first_at=begun + 1, jitter=jitter)
    old = after(verdict, failures=failures, first_at=begun, jitter=jitter)
    assert isinstance(young, Postponed)
    assert isinstance(old, DeadLettered)


def test_patience_counts_to_the_end_of_the_attempt() -> None:
    """An attempt that began in time and ended too late was the last."""
    begun = EPOCH - 72 * HOUR + 10
    assert isinstance(after(BROKEN, first_at=begun, duration=9.0), Postponed)
    assert isinstance(after(BROKEN, first_at=begun, duration=10.0), DeadLettered)


def test_a_first_attempt_is_never_too_late() -> None:
    """Patience begins with the first attempt, not with the message."""
    assert isinstance(after(BROKEN, first_at=None), Postponed)


def test_a_first_attempt_can_be_the_only_one() -> None:
    """With no patience at all the first failure ends the delivery."""
    assert isinstance(after(BROKEN, policy=RetryPolicy(give_up_after=0.0)), DeadLettered)


@given(st.integers(0, 100), JITTERS)
def test_a_receivers_own_wait_is_kept(failures: int, jitter: float) -> None:
    """Retry-After is the least: the backoff may be longer, never shorter."""
    waited = wait(after(BUSY, failures=failures, jitter=jitter))
    own = backoff(failures + 1, first=1.0, longest=600.0, jitter=jitter)
    assert abs(max(30.0, own) - waited) < 1e-3


# --- Rejection ----------------------------------------------------------------------------------


def test_the_tenth_rejection_is_the_last() -> None:
    """A poison message is tried for minutes, and no more."""
    assert isinstance(after(REFUSED, rejections=8), Postponed)
    assert isinstance(after(REFUSED, rejections=9), DeadLettered)


def test_only_rejections_count_as_rejections() -> None:
    """Trouble before the first rejection takes nothing away from a message's ten."""
    assert isinstance(after(REFUSED, attempts=50, failures=50, rejections=0), Postponed)


def test_a_rejection_does_not_end_by_age() -> None:
    """A message that waited for days behind an outage still has its ten rejections."""
    assert isinstance(after(REFUSED, first_at=EPOCH - 100 * HOUR, rejections=0), Postponed)


def test_rejections_last_for_minutes() -> None:
    """All ten fit into a quarter of an hour at the default settings, with the longest waits."""
    waits = [wait(after(REFUSED, failures=n, rejections=n)) for n in range(9)]
    assert 300.0 < sum(waits) < 900.0


# --- Gone ---------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0.0, 10_000 * HOUR), JITTERS)
def test_gone_never_kills(failures: int, age: float, jitter: float) -> None:
    """An endpoint that is gone keeps everything, until an operator decides."""
    outcome = after(
        GONE, failures=failures, rejections=failures, first_at=EPOCH - age, jitter=jitter
    )
    assert isinstance(outcome, Postponed)
