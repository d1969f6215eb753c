"""What is logged and counted of webhooks: attempts, deliveries, circuit breakers."""

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from relay.model.messages import (
    Attempt,
    BreakerState,
    Delivered,
    Delivery,
    EndpointKey,
    MessageOutcome,
    Outcome,
    Postponed,
    Rejected,
    Success,
)
from relay.model.times import rfc3339
from relay.telemetry import events
from relay.telemetry.logs import EndpointLoudness, Log
from relay.telemetry.metrics import DEAD, DELIVERED, Metrics

_STATES = {
    BreakerState.CLOSED: 0,
    BreakerState.PROBING: 1,
    BreakerState.OPEN: 2,
    BreakerState.PAUSED: 3,
    BreakerState.GONE: 4,
}


class OnDeliveries:
    """Listens to what happens between the journal and the webhooks."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._at_length = log.is_enabled_for(logging.DEBUG)
        self._loudness: defaultdict[EndpointKey, EndpointLoudness] = defaultdict(
            lambda: EndpointLoudness(clock)
        )
        self._circuit_lines = {
            BreakerState.CLOSED: (log.info, "circuit.closed", "gate.closed"),
            BreakerState.OPEN: (log.warning, "circuit.opened", "gate.opened"),
            BreakerState.PAUSED: (log.info, "circuit.paused", "gate.paused"),
            BreakerState.GONE: (log.warning, "endpoint.gone", ""),
        }

    def _on_endpoint_served(self, event: events.EndpointServed) -> None:
        self._metrics.in_flight[event.endpoint] = event.in_flight

    def _on_endpoint_left(self, event: events.EndpointLeft) -> None:
        self._loudness.pop(event.endpoint, None)
        self._metrics.forget(event.endpoint)

    # --- Attempts -------------------------------------------------------------------------------

    def _on_attempts_ended(self, event: events.AttemptsEnded) -> None:
        key, metrics, loudness = event.endpoint, self._metrics, self._loudness[event.endpoint]
        duration = metrics.duration[key]
        for outcome in event.outcomes:
            verdict = outcome.attempt.verdict
            metrics.attempts[key, verdict.outcome] += 1
            duration.observe(outcome.attempt.duration)
            if verdict.reason is not None:
                metrics.failures[key, verdict.reason] += 1
            if self._at_length:
                self._log.debug("attempt.ended", **_attempt(key, outcome))
            if verdict.reason is not None or loudness.trouble is not None or loudness.rejection:
                self._say_what_changed(key, loudness, outcome)

    def _say_what_changed(
        self, key: EndpointKey, loudness: EndpointLoudness, outcome: Outcome
    ) -> None:
        verdict = outcome.attempt.verdict
        error = verdict.outcome, verdict.reason, verdict.status
        match verdict:
            case Success():
                loudness.rejection = None
                if loudness.trouble is not None and loudness.allowance.spend():
                    loudness.trouble = None
                    self._log.info("endpoint.recovered", **_names(key))
            case Rejected():
                if error != loudness.rejection and loudness.allowance.spend():
                    loudness.rejection = error
                    self._log.warning("delivery.rejected", **_attempt(key, outcome))
            case _:
                if error != loudness.trouble and loudness.allowance.spend():
                    loudness.trouble = error
                    self._log.warning("endpoint.failed", **_attempt(key, outcome))

    def _on_attempt_deferred(self, event: events.AttemptDeferred) -> None:
        self._log.debug("attempt.deferred", **event.fields())

    def _on_attempt_crashed(self, event: events.AttemptCrashed) -> None:
        self._say_error(event, "attempt.crashed", exception=event.trace)

    def _on_message_damaged(self, event: events.MessageDamaged) -> None:
        advice = "restore the journal from a backup, or discard the dead letter"
        self._say_error(event, "message.damaged", detail=event.why, advice=advice)

    def _say_error(
        self, event: events.AttemptCrashed | events.MessageDamaged, what: str, **fields: str
    ) -> None:
        """Show what is wrong; it is counted as the failed attempt that it ends as."""
        loud = self._loudness[event.endpoint].allowance.spend()
        say = self._log.error if loud else self._log.debug
        say(what, **_names(event.endpoint), message_id=event.message_id, **fields)

    # --- Deliveries -----------------------------------------------------------------------------

    def _on_deliveries_settled(self, event: events.DeliveriesSettled) -> None:
        key, metrics = event.endpoint, self._metrics
        delay = metrics.delay[key]
        for outcome in event.outcomes:
            delivery, attempt = outcome.delivery, outcome.attempt
            delivered = isinstance(outcome, Delivered)
            ended = metrics.deliveries if delivery.replay is None else metrics.replayed
            ended[key, DELIVERED if delivered else DEAD] += 1
            if delivered and delivery.replay is None:
                delay.observe(_delay(delivery, attempt))
            if not delivered:
                self._log.warning("delivery.dead_lettered", **_ended(key, delivery, attempt))
            elif self._at_length:
                self._log.debug("delivery.settled", **_ended(key, delivery, attempt))

    def _on_messages_finished(self, event: events.MessagesFinished) -> None:
        self._metrics.finished[event.bot, event.outcome] += event.count
        for message_id in event.message_ids if self._at_length else ():
            self._log.debug(
                "message.finished", bot=event.bot, message_id=message_id, outcome=event.outcome
            )

    def _on_messages_discarded(self, event: events.MessagesDiscarded) -> None:
        self._metrics.finished[event.bot, MessageOutcome.DISCARDED] += event.count
        self._log.info("messages.discarded", **event.fields())

    # --- The circuit breaker --------------------------------------------------------------------

    def _on_breaker_moved(self, event: events.BreakerMoved) -> None:
        key, state, loudness = event.endpoint, event.state, self._loudness[event.endpoint]
        self._metrics.circuit_state[key] = self._metrics.endpoint_state[key] = _STATES[state]
        self._metrics.limit[key] = event.limit
        say, what, formerly = self._log.debug, "circuit.moved", "gate.moved"
        # A probe that fails comes back to where it started: nothing that changed.
        if state not in (loudness.circuit, BreakerState.PROBING):
            loudness.circuit = state
            say, what, formerly = self._circuit_lines[state]
        old_name = {"formerly": formerly} if formerly else {}
        say(what, **event.fields() | {"until": rfc3339(event.until)} | old_name)


def _names(key: EndpointKey) -> dict[str, Any]:
    return {"bot": key.bot, "endpoint": key.name}


def _delay(delivery: Delivery, attempt: Attempt) -> float:
    return attempt.started_at + attempt.duration - delivery.message.received_at


def _ended(key: EndpointKey, delivery: Delivery, attempt: Attempt) -> dict[str, Any]:
    return {
        **_names(key),
        "message_id": delivery.message.message_id,
        "attempts": attempt.number,
        "delay": round(_delay(delivery, attempt), 3),
        "reason": attempt.verdict.reason,
        **({} if delivery.replay is None else {"replay": True}),
    }


def _attempt(key: EndpointKey, outcome: Outcome) -> dict[str, Any]:
    attempt, verdict = outcome.attempt, outcome.attempt.verdict
    return {
        **_names(key),
        "message_id": outcome.delivery.message.message_id,
        "number": attempt.number,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "status": verdict.status,
        # A receiver's own words may quote the message: they are for `relay messages show`.
        "detail": "" if verdict.status else verdict.detail,
        "duration": round(attempt.duration, 3),
        "due_at": rfc3339(outcome.due_at if isinstance(outcome, Postponed) else None),
    }
