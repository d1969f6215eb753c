"""Whether and how many requests an endpoint gets at a time. Time is an argument.

Three things hold requests back: an operator's pause or a confirmed 410, the receiver's own
Retry-After, and trouble: after `open_after` failures in a row the circuit opens, and a single probe
at growing intervals decides when it closes again.
"""

from dataclasses import dataclass

from msgspec import Struct

from relay.delivery.retry import ceiling
from relay.model.messages import (
    BreakerState,
    Gone,
    Reason,
    Rejected,
    Success,
    Transient,
    Verdict,
)

_CONGESTION = frozenset({Reason.TIMEOUT, Reason.HTTP_429, Reason.HTTP_5XX, Reason.HTTP_503})
"""What says that the receiver has more than it can do, so that it gets less at a time."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """An endpoint's `breaker` and `concurrency` settings; seconds."""

    concurrency: int = 16
    open_after: int = 5
    probe_first: float = 1.0
    probe_max: float = 60.0
    gone_confirm: float = 60.0


class Permit(Struct, frozen=True, gc=False):
    """The right to make one attempt, to be given back with its verdict."""

    given_at: float
    probe: bool
    generation: int = 0


class CircuitBreaker:
    """One endpoint's circuit breaker."""

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        paused: bool = False,
        gone: bool = False,
        gone_since: float | None = None,
    ) -> None:
        self.policy = policy
        self.in_flight = 0
        self._generation = 0
        self._paused = paused
        self._gone = gone
        self._gone_since = gone_since
        self._open = False
        self._probing = False
        self._failures = 0
        self._failed_probes = 0
        self._probe_at = 0.0
        self._held_until = 0.0
        self._limit = float(policy.concurrency)
        self._limited_at = 0.0

    @property
    def state(self) -> BreakerState:
        """The state, as the metric `relay_circuit_state` counts it."""
        if self._gone:
            return BreakerState.GONE
        if self._paused:
            return BreakerState.PAUSED
        if self._open:
            return BreakerState.PROBING if self._probing else BreakerState.OPEN
        return BreakerState.CLOSED

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        return 1 if self._open else int(self._limit)

    @property
    def probes(self) -> bool:
        """Whether the next request to pass is a probe."""
        return self._open

    @property
    def gone_since(self) -> float | None:
        """When the first 410 came that no 2xx has followed."""
        return self._gone_since

    @property
    def held_until(self) -> float:
        """Until when the receiver asked to be left alone; long past if it did not."""
        return self._held_until

    @property
    def admits_at(self) -> float | None:
        """The time from which a request may pass; None while only an event can bring that about."""
        if self._gone or self._paused:
            return None
        if self._open:
            return None if self._probing else max(self._probe_at, self._held_until)
        return self._held_until if self.in_flight < int(self._limit) else None

    def admits(self, now: float) -> bool:
        """Say whether a request may pass now."""
        return (at := self.admits_at) is not None and at <= now

    def enter(self, now: float) -> Permit:
        """Count a request in."""
        permit = Permit(now, probe=self._open, generation=self._generation)
        self._probing = self._probing or permit.probe
        self.in_flight += 1
        return permit

    def leave(self, permit: Permit, verdict: Verdict | None, now: float) -> None:
        """Count a request out and learn from its verdict; None if a stop cut it short."""
        self.in_flight -= 1
        if not self.knows(permit):
            return
        if permit.probe:
            self._probing = False
        match verdict:
            case Success():
                self._succeeded()
            case Transient():
                self._failed(permit, now)
                self._slow_down(permit, verdict, now)
            case Gone():
                self._failed(permit, now)
                self._learn_gone(now)
            case Rejected():  # says nothing about the endpoint: the next probe is another message
                self._probe_at = max(self._probe_at, now + self.policy.probe_first)
            case None:
                pass

    def knows(self, permit: Permit) -> bool:
        """Say whether a request is one to this receiver, and not to the one before `renew`."""
        return permit.generation == self._generation

    def adopt(self, policy: BreakerPolicy) -> None:
        """Go by another policy, and keep what was learnt; what is above a new limit ends first."""
        most, slowed = float(policy.concurrency), self._limit < self.policy.concurrency
        self.policy = policy
        self._limit = min(self._limit, most) if slowed else most

    def renew(self, policy: BreakerPolicy) -> None:
        """Forget what was learnt: the receiver is another one. An operator's pause stays.

        What is still in flight to the one before counts, and says nothing about this one.
        """
        self.policy = policy
        self._generation += 1
        self._open = self._probing = self._gone = False
        self._gone_since = None
        self._failures = self._failed_probes = 0
        self._probe_at = self._held_until = self._limited_at = 0.0
        self._limit = float(policy.concurrency)

    def pause(self) -> None:
        """Hold everything until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Let requests pass again, paused or gone or open: an open circuit is probed at once."""
        self._paused = False
        self.back()

    def back(self) -> None:
        """Let requests pass as `resume` does, but for an operator's pause."""
        self._gone = False
        self._gone_since = None
        self._probe_at = self._held_until = 0.0

    def _succeeded(self) -> None:
        if self._open:
            self._limit = 1.0
        elif self._limit < self.policy.concurrency:
            self._limit = min(self._limit + 1 / self._limit, float(self.policy.concurrency))
        self._open = False
        self._failures = self._failed_probes = 0
        self._gone_since = None

    def _failed(self, permit: Permit, now: float) -> None:
        self._failures += 1
        if permit.probe:
            self._failed_probes += 1
        elif self._open or self._failures < self.policy.open_after:
            return
        self._open = True
        wait = ceiling(
            self._failed_probes + 1, first=self.policy.probe_first, longest=self.policy.probe_max
        )
        self._probe_at = now + wait

    def _slow_down(self, permit: Permit, verdict: Transient, now: float) -> None:
        if verdict.pause is not None:
            self._held_until = max(self._held_until, now + verdict.pause)
        # Requests that were under way together tell of one jam, not of many.
        if verdict.reason in _CONGESTION and permit.given_at >= self._limited_at:
            self._limit = max(1.0, self._limit / 2)
            self._limited_at = now

    def _learn_gone(self, now: float) -> None:
        if self._gone_since is None:
            self._gone_since = now
        elif now - self._gone_since >= self.policy.gone_confirm:
            self._gone = True
