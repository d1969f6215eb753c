"""What is said of webhooks: attempts, deliveries, messages that are done with, and gates."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from relay.model.messages import (
    BreakerState,
    Delivered,
    EndpointKey,
    Gone,
    MessageOutcome,
    Outcome,
    Postponed,
    Rejected,
    Success,
    Transient,
)
from relay.model.times import rfc3339
from relay.telemetry.events import (
    AttemptCrashed,
    AttemptDeferred,
    AttemptEnded,
    AttemptsEnded,
    AttemptStarted,
    BreakerMoved,
    DeliveriesSettled,
    DeliverySettled,
    EndpointLeft,
    EndpointServed,
    MessageDamaged,
    MessageFinished,
    MessagesDiscarded,
    MessagesFinished,
)
from relay.telemetry.logs import Log
from relay.telemetry.loudness import EndpointTold
from relay.telemetry.metrics import Made, Metrics

_GATE_VALUES = {
    BreakerState.CLOSED: 0,
    BreakerState.PROBING: 1,
    BreakerState.OPEN: 2,
    BreakerState.PAUSED: 3,
    BreakerState.GONE: 4,
}


class DeliveriesVoice:
    """Says what happens between the journal and the webhooks."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._bots = metrics.bots
        self._forget_series = metrics.forget
        self._series = metrics.endpoints
        self._log = log
        self._at_length = log.is_enabled_for(logging.DEBUG)
        self._told: Made[EndpointKey, EndpointTold] = Made(lambda _: EndpointTold(clock))
        self._gate_says = {
            BreakerState.CLOSED: partial(log.info, "gate.closed"),
            BreakerState.OPEN: partial(log.warning, "gate.opened"),
            BreakerState.PAUSED: partial(log.info, "gate.paused"),
            BreakerState.GONE: partial(log.warning, "endpoint.gone"),
        }
        self.handlers: dict[type, Callable[[Any], None]] = {
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            AttemptsEnded: self._attempts_ended,
            AttemptDeferred: self._attempt_deferred,
            AttemptCrashed: self._attempt_crashed,
            MessageDamaged: self._message_damaged,
            DeliverySettled: self._delivery_settled,
            DeliveriesSettled: self._deliveries_settled,
            MessageFinished: self._message_finished,
            MessagesDiscarded: self._messages_discarded,
            MessagesFinished: self._messages_finished,
            BreakerMoved: self._gate_moved,
            EndpointServed: self._endpoint_served,
            EndpointLeft: self._endpoint_left,
        }

    # --- One attempt ----------------------------------------------------------------------------

    def _attempt_started(self, fact: AttemptStarted) -> None:
        in_flight = self._told[fact.endpoint].in_flight
        in_flight.add(fact.message_id)
        self._series[fact.endpoint].in_flight.set(len(in_flight))
        self._log.debug(
            "attempt.started",
            **_names(fact.endpoint),
            message_id=fact.message_id,
            number=fact.number,
        )

    def _attempt_ended(self, fact: AttemptEnded) -> None:
        self._landed(fact.endpoint, fact.message_id)
        series, verdict = self._series[fact.endpoint], fact.attempt.verdict
        series.attempts[verdict.outcome].inc()
        series.duration.observe(fact.attempt.duration)
        if verdict.reason is not None:
            series.failures[verdict.reason].inc()
        if self._at_length:
            self._log.debug("attempt.ended", **_of(fact))
        told = self._told[fact.endpoint]
        match verdict:
            case Success():
                self._went_well(told, fact)
            case Rejected():
                self._was_rejected(told, fact)
            case Transient() | Gone():
                self._was_in_trouble(told, fact)

    def _attempts_ended(self, fact: AttemptsEnded) -> None:
        for outcome in fact.outcomes:
            message_id = outcome.delivery.message.message_id
            self._attempt_ended(
                AttemptEnded(fact.endpoint, message_id, outcome.attempt, _due_at(outcome))
            )

    def _went_well(self, told: EndpointTold, fact: AttemptEnded) -> None:
        told.rejection = None
        if told.trouble is not None and told.allowance.spend():
            told.trouble = None
            self._log.info("endpoint.recovered", **_names(fact.endpoint))

    def _was_rejected(self, told: EndpointTold, fact: AttemptEnded) -> None:
        error = _error(fact)
        if error != told.rejection and told.allowance.spend():
            told.rejection = error
            self._log.warning("delivery.rejected", **_of(fact))

    def _was_in_trouble(self, told: EndpointTold, fact: AttemptEnded) -> None:
        error = _error(fact)
        if error != told.trouble and told.allowance.spend():
            told.trouble = error
            self._log.warning("endpoint.failed", **_of(fact))

    def _attempt_deferred(self, fact: AttemptDeferred) -> None:
        self._landed(fact.endpoint, fact.message_id)
        self._log.debug("attempt.deferred", **_names(fact.endpoint), message_id=fact.message_id)

    def _attempt_crashed(self, fact: AttemptCrashed) -> None:
        """Show the trace; the crash is counted as the failed attempt that it ends as."""
        loud = self._told[fact.endpoint].allowance.spend()
        (self._log.error if loud else self._log.debug)(
            "attempt.crashed",
            **_names(fact.endpoint),
            message_id=fact.message_id,
            exception=fact.trace,
        )

    def _message_damaged(self, fact: MessageDamaged) -> None:
        """Say what is wrong; it is counted as the failed attempt that it ends as."""
        loud = self._told[fact.endpoint].allowance.spend()
        (self._log.error if loud else self._log.debug)(
            "message.damaged",
            **_names(fact.endpoint),
            message_id=fact.message_id,
            detail=fact.why,
            advice="restore the journal from a backup, or discard the dead letter",
        )

    def _landed(self, endpoint: EndpointKey, message_id: str) -> None:
        in_flight = self._told[endpoint].in_flight
        in_flight.discard(message_id)
        self._series[endpoint].in_flight.set(len(in_flight))

    # --- What comes of it -----------------------------------------------------------------------

    def _delivery_settled(self, fact: DeliverySettled) -> None:
        series = self._series[fact.endpoint]
        if fact.replay:
            (series.replayed if fact.delivered else series.replayed_dead).inc()
        elif fact.delivered:
            series.delivered.inc()
            series.delay.observe(fact.delay)
        else:
            series.dead.inc()
        if self._at_length or not fact.delivered:
            say = self._log.debug if fact.delivered else self._log.warning
            say(
                "delivery.settled" if fact.delivered else "delivery.dead_lettered",
                **_names(fact.endpoint),
                message_id=fact.message_id,
                attempts=fact.attempts,
                delay=round(fact.delay, 3),
                reason=fact.reason,
                **({"replay": True} if fact.replay else {}),
            )

    def _deliveries_settled(self, fact: DeliveriesSettled) -> None:
        for outcome in fact.outcomes:
            message, attempt = outcome.delivery.message, outcome.attempt
            self._delivery_settled(
                DeliverySettled(
                    fact.endpoint,
                    message.message_id,
                    delivered=isinstance(outcome, Delivered),
                    attempts=attempt.number,
                    delay=attempt.started_at + attempt.duration - message.received_at,
                    reason=attempt.verdict.reason,
                    replay=outcome.delivery.replay is not None,
                )
            )

    def _message_finished(self, fact: MessageFinished) -> None:
        self._bots[fact.bot].finished[fact.outcome].inc()
        self._log.debug(
            "message.finished", bot=fact.bot, message_id=fact.message_id, outcome=fact.outcome
        )

    def _messages_discarded(self, fact: MessagesDiscarded) -> None:
        self._bots[fact.bot].finished[MessageOutcome.DISCARDED].inc(fact.count)
        self._log.info("messages.discarded", bot=fact.bot, count=fact.count)

    def _messages_finished(self, fact: MessagesFinished) -> None:
        self._bots[fact.bot].finished[fact.outcome].inc(fact.count)
        for message_id in fact.message_ids if self._at_length else ():
            self._log.debug(
                "message.finished", bot=fact.bot, message_id=message_id, outcome=fact.outcome
            )

    def _endpoint_served(self, fact: EndpointServed) -> None:
        self._series[fact.endpoint].in_flight.set_function(fact.in_flight)

    def _endpoint_left(self, fact: EndpointLeft) -> None:
        self._told.pop(fact.endpoint, None)
        self._forget_series(fact.endpoint)

    # --- The gate -------------------------------------------------------------------------------

    def _gate_moved(self, fact: BreakerMoved) -> None:
        series, told = self._series[fact.endpoint], self._told[fact.endpoint]
        series.state.set(_GATE_VALUES[fact.state])
        series.limit.set(fact.limit)
        # A probe that fails comes back to where it started: nothing that changed.
        moved = fact.state is not told.gate and fact.state is not BreakerState.PROBING
        if moved:
            told.gate = fact.state
        say = self._gate_says[fact.state] if moved else partial(self._log.debug, "gate.moved")
        say(
            **_names(fact.endpoint),
            state=fact.state,
            limit=fact.limit,
            until=rfc3339(fact.until),
            detail=fact.detail,
        )


def _names(endpoint: EndpointKey) -> dict[str, str]:
    return {"bot": endpoint.bot, "endpoint": endpoint.name}


def _due_at(outcome: Outcome) -> float | None:
    return outcome.due_at if isinstance(outcome, Postponed) else None


def _error(fact: AttemptEnded) -> tuple[object, ...]:
    verdict = fact.attempt.verdict
    return verdict.outcome, verdict.reason, verdict.status


def _of(fact: AttemptEnded) -> dict[str, Any]:
    attempt = fact.attempt
    return {
        **_names(fact.endpoint),
        "message_id": fact.message_id,
        "number": attempt.number,
        "outcome": attempt.verdict.outcome,
        "reason": attempt.verdict.reason,
        "status": attempt.verdict.status,
        # A receiver's own words may quote the message: they are for `relay messages show`.
        "detail": "" if attempt.verdict.status else attempt.verdict.detail,
        "duration": round(attempt.duration, 3),
        "due_at": rfc3339(fact.due_at),
    }
