"""How one endpoint fares: told when it changes, and written down for the next start."""

from relay.delivery.breaker import CircuitBreaker
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey, Verdict
from relay.model.ports import Clock
from relay.telemetry.events import BreakerMoved, Telemetry

NOTE_EVERY = 1.0
"""Another error alone is written down so often at most: it must not cost every attempt a write."""


class EndpointStatus:
    """Follows one endpoint's breaker and its last error; `noted` is what the journal has of it."""

    def __init__(
        self,
        endpoint: EndpointKey,
        breaker: CircuitBreaker,
        *,
        telemetry: Telemetry,
        clock: Clock,
        noted: EndpointNote | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._breaker = breaker
        self._telemetry = telemetry
        self._clock = clock
        self._noted = noted or EndpointNote(BreakerState.CLOSED)
        self._noted_at = 0.0
        self._last_error = self._noted.last_error
        self._told: tuple[BreakerState, int] | None = None

    def learn(self, verdict: Verdict) -> None:
        """Keep what went wrong last, in words that hold nothing of what the receiver said."""
        if verdict.reason is not None:
            said = f"status {verdict.status}" if verdict.status else verdict.detail
            self._last_error = f"{verdict.reason}, {said}" if said else verdict.reason.value

    def forget(self) -> None:
        """Forget what went wrong last: it was said of another receiver."""
        self._last_error = None

    def tell(self) -> None:
        """Tell the breaker's state and limit, if they have changed."""
        breaker = self._breaker
        state, limit = breaker.state, breaker.limit
        if self._told != (state, limit):
            self._told = state, limit
            until, detail = self._probe_at(state), self._last_error or ""
            self._telemetry(BreakerMoved(self._endpoint, state, limit, until, detail))

    @property
    def calm(self) -> bool:
        """Whether nothing is written down, or to be, that a success changes."""
        noted = self._noted
        return (
            noted.state is BreakerState.CLOSED
            and noted.gone_since is None
            and noted.next_probe_at is None
            and noted.last_error == self._last_error
        )

    def news(self) -> EndpointNote | None:
        """Give what is to be written down now; None while nothing has changed."""
        breaker, noted = self._breaker, self._noted
        if breaker.state is BreakerState.PAUSED:
            return None  # the operator's own note, and to be gone with it
        state = BreakerState.OPEN if breaker.state is BreakerState.PROBING else breaker.state
        until, now = self._probe_at(breaker.state), self._clock()
        same = state is noted.state and breaker.gone_since == noted.gone_since
        if same and (
            (self._last_error == noted.last_error and until == noted.next_probe_at)
            or 0 <= now - self._noted_at < NOTE_EVERY
        ):
            return None
        self._noted_at = now
        self._noted = EndpointNote(state, self._last_error, until, breaker.gone_since)
        return self._noted

    def _probe_at(self, state: BreakerState) -> float | None:
        """Say when the endpoint is attempted next, if that is not now: a probe, or Retry-After."""
        if state is BreakerState.CLOSED and self._breaker.held_until > self._clock():
            return self._breaker.held_until
        return self._breaker.admits_at if state is BreakerState.OPEN else None
