"""How one endpoint fares: told when it changes, and written down for the next start."""

from relay.delivery.breaker import CircuitBreaker
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey, Verdict
from relay.model.ports import Clock, Journal, JournalUnavailable
from relay.telemetry.events import BreakerMoved, Telemetry

NOTE_EVERY = 1.0
"""Another error alone is written down so often at most: it must not cost every attempt a write."""


class Standing:
    """Follows one endpoint's gate and its last error; `noted` is what the journal has of it."""

    def __init__(
        self,
        endpoint: EndpointKey,
        gate: CircuitBreaker,
        *,
        journal: Journal,
        telemetry: Telemetry,
        clock: Clock,
        noted: EndpointNote | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._breaker = gate
        self._journal = journal
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
        """Tell the gate's state and limit, if they have changed."""
        gate = self._breaker
        if self._told != (gate.state, gate.limit):
            self._told = gate.state, gate.limit
            until = self._probe_at()
            fact = BreakerMoved(
                self._endpoint, gate.state, gate.limit, until, self._last_error or ""
            )
            self._telemetry(fact)

    async def write_down(self) -> None:
        """Write the standing into the journal, if it has changed."""
        note, now = self._note(), self._clock()
        if self._breaker.state is BreakerState.PAUSED or note == self._noted:
            return  # a pause is the operator's own note, and to be gone with it
        same = (note.state, note.gone_since) == (self._noted.state, self._noted.gone_since)
        if same and 0 <= now - self._noted_at < NOTE_EVERY:
            return
        try:
            await self._journal.note_endpoint(self._endpoint, note)
        except JournalUnavailable:
            return  # only a note: the next change writes it again
        self._noted, self._noted_at = note, now

    def _note(self) -> EndpointNote:
        state = self._breaker.state
        state = BreakerState.OPEN if state is BreakerState.PROBING else state
        return EndpointNote(state, self._last_error, self._probe_at(), self._breaker.gone_since)

    def _probe_at(self) -> float | None:
        """Say when the endpoint is attempted next, if that is not now: a probe, or Retry-After."""
        if self._breaker.state is BreakerState.CLOSED and self._breaker.held_until > self._clock():
            return self._breaker.held_until
        return self._breaker.admits_at if self._breaker.state is BreakerState.OPEN else None
