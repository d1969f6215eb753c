"""What is logged and counted of the relay itself: journal, operators, settings, process."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict

from relay.model.admin import Reloaded
from relay.model.journal import BotCensus, OperatorEventKind
from relay.telemetry import events
from relay.telemetry.logs import PERIOD, Allowance, Log
from relay.telemetry.metrics import Metrics

LOUD_LAG = 1.0
"""Seconds; from about here on, pings and timeouts are off as well."""

_WITHOUT_COUNT = frozenset({OperatorEventKind.REPLAY_ASKED, OperatorEventKind.REPLAY_CANCELLED})
"""What is done to a replay as a whole: how many messages that is, only `replay.ended` can say."""

LAGS_KEPT = 60
"""Half a minute of beats: a scrape every 15 s misses none."""


class OnService:
    """Listens to how the relay itself fares."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._at_length = log.is_enabled_for(logging.DEBUG)
        self._clock = clock
        self._allowance = Allowance(clock)
        self._journal_error: str | None = None
        self._imbalance: defaultdict[str, int] = defaultdict(int)
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        # Of its own: who guesses tokens must not silence what is said of the journal.
        self._refusals_allowed = Allowance(clock)
        self._refusals = 0
        self._refusal_told = ("", ""), 0.0

    # --- The journal ----------------------------------------------------------------------------

    def _on_journal_committed(self, event: events.JournalCommitted) -> None:
        self._metrics.commit[()].observe(event.seconds)
        if self._at_length:
            self._log.debug("journal.committed", seconds=round(event.seconds, 6), items=event.items)

    def _on_journal_failed(self, event: events.JournalFailed) -> None:
        loud = self._journal_error != event.detail and self._allowance.spend()
        if loud:
            self._journal_error = event.detail
        (self._log.error if loud else self._log.debug)("journal.failed", **event.fields())

    def _on_journal_recovered(self, _: events.JournalRecovered) -> None:
        said, self._journal_error = self._journal_error is not None, None
        (self._log.info if said else self._log.debug)("journal.recovered")

    def _on_journal_pruned(self, event: events.JournalPruned) -> None:
        self._log.debug("journal.pruned", **event.fields())

    def _on_journal_shrunk(self, event: events.JournalShrunk) -> None:
        self._log.info("journal.shrunk", bytes=event.size_bytes)

    def _on_journal_unchecked(self, event: events.JournalUnchecked) -> None:
        advice = "it is large, and was not stopped cleanly; damage would show in the run"
        self._log.warning("journal.unchecked", after=event.seconds, advice=advice)

    def _on_damage_found(self, event: events.DamageFound) -> None:
        self._log.error("journal.damaged", **event.fields())

    def _on_journal_set_aside(self, event: events.JournalSetAside) -> None:
        """Say it at any time, whatever else is being said: it is what only this line tells."""
        self._log.error(
            "journal.set_aside",
            **event.fields(),
            lost="dead letters and what was unread for more than 7 days are in the old file only",
            advice="Mixin sends again what is unread; some may come twice without notice (W8)",
        )

    def _on_stats_collected(self, event: events.StatsCollected) -> None:
        census, metrics = event.census, self._metrics
        metrics.journal_bytes.set(census.size_bytes)
        for bot in metrics.pending.keys() & census.bots.keys():
            self._count_bot(bot, census.bots[bot])
        for key in metrics.oldest_pending:
            metrics.oldest_pending[key] = census.oldest_pending.get(key, 0)
        # An endpoint that was configured once and still has dead letters is no stranger's name.
        for key in {*metrics.dead_letters, *(k for k, dead in census.dead_letters.items() if dead)}:
            metrics.dead_letters[key] = census.dead_letters.get(key, 0)

    def _count_bot(self, bot: str, counted: BotCensus) -> None:
        metrics = self._metrics
        metrics.pending[bot] = counted.pending
        metrics.oldest_unread[bot] = counted.oldest_unread_at or 0
        metrics.receipts_pending[bot] = counted.receipts_pending
        metrics.imbalance[bot] = counted.imbalance
        if counted.imbalance != self._imbalance[bot]:
            self._imbalance[bot] = counted.imbalance
            say = self._log.error if counted.imbalance else self._log.info
            say("journal.imbalanced", bot=bot, imbalance=counted.imbalance)

    # --- Operators ------------------------------------------------------------------------------

    def _on_operator_noticed(self, event: events.OperatorNoticed) -> None:
        fields = event.fields()
        if event.kind in _WITHOUT_COUNT:
            del fields["count"]
        self._log.info("operator.noticed", **fields)

    def _on_operator_acted(self, event: events.OperatorActed) -> None:
        self._log.info("operator.acted", **event.fields())

    def _on_admin_refused(self, event: events.AdminRefused) -> None:
        reason = "throttled" if event.throttled else "wrong" if event.given else "missing"
        self._metrics.admin_refused[(), reason] += 1
        self._refusals += 1
        who = event.peer, "wrong token" if event.given else "no token"
        last, until = self._refusal_told
        if (who != last or self._clock() >= until) and self._refusals_allowed.spend():
            self._refusal_told = who, self._clock() + PERIOD
            times, self._refusals = self._refusals, 0
            self._log.warning("admin.refused", peer=who[0], why=who[1], times=times)

    def _on_replay_begun(self, event: events.ReplayBegun) -> None:
        """Say why a new endpoint gets so much; what an operator asks for is `operator.noticed`."""
        (bot, endpoint), number = event.replay.endpoint, event.replay.number
        why = "from: retained"
        self._log.info("replay.begun", bot=bot, endpoint=endpoint, number=number, why=why)

    def _on_replay_ended(self, event: events.ReplayEnded) -> None:
        self._log.info(
            "replay.ended",
            bot=event.replay.endpoint.bot,
            endpoint=event.replay.endpoint.name,
            number=event.replay.number,
            delivered=event.replay.delivered,
            dead_letters=event.replay.dead,
        )

    # --- The settings ---------------------------------------------------------------------------

    def _on_settings_reloaded(self, event: events.SettingsReloaded) -> None:
        self._metrics.reload_successful.set(1)
        self._metrics.reloaded_at.set(time.time())
        changed = event.changed
        for bot in changed.bots_added:
            self._metrics.foresee(bot)
        for key in event.added:
            self._metrics.foresee(key)
        told = {name: value for name, value in asdict(changed).items() if name != "discarded"}
        told["changed"] = [f"{each.endpoint}: {', '.join(each.keys)}" for each in changed.changed]
        same = changed == Reloaded()
        self._log.info("settings.unchanged" if same else "settings.reloaded", **told)

    def _on_reload_failed(self, event: events.ReloadFailed) -> None:
        self._metrics.reload_successful.set(0)
        for mistake in event.mistakes:
            self._log.error("settings.refused", mistake=mistake)

    def _on_endpoint_removed(self, event: events.EndpointRemoved) -> None:
        advice = "put it back into the settings, or see `relay dead-letters`"
        self._log.warning("endpoint.removed", **event.fields(), advice=advice)

    def _on_deliveries_discarded(self, event: events.DeliveriesDiscarded) -> None:
        names = [str(key) for key in event.endpoints]
        self._log.warning("deliveries.discarded", endpoints=names, count=event.deliveries)

    # --- The process ----------------------------------------------------------------------------

    def _on_loop_lagged(self, event: events.LoopLagged) -> None:
        self._lags.append(event.seconds)
        self._metrics.loop_lag.set(max(self._lags))
        if event.seconds >= LOUD_LAG and self._allowance.spend():
            self._log.warning("loop.lagged", seconds=round(event.seconds, 3))

    def _on_relay_started(self, event: events.RelayStarted) -> None:
        self._log.info("relay.started", **event.fields())

    def _on_relay_stopping(self, event: events.RelayStopping) -> None:
        self._log.info("relay.stopping", **event.fields())

    def _on_relay_stopped(self, event: events.RelayStopped) -> None:
        if event.written:
            self._log.info("relay.stopped", cut=event.cut)
        else:
            advice = "the journal took no more: what it lacks comes again, or is said to be unknown"
            self._log.error("relay.stopped", **event.fields(), advice=advice)
