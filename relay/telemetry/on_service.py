"""What is said of the house: the journal, the event loop, operators, starting and stopping."""

from collections import deque
from collections.abc import Callable
from typing import Any

from relay.model.journal import BotCensus, OperatorEventKind
from relay.model.replays import ReplayRecord
from relay.telemetry.events import (
    AdminRefused,
    DamageFound,
    DeliveriesDiscarded,
    EndpointRemoved,
    JournalCommitted,
    JournalFailed,
    JournalPruned,
    JournalRecovered,
    JournalSetAside,
    JournalShrunk,
    JournalUnchecked,
    LoopLagged,
    OperatorActed,
    OperatorNoticed,
    RelayStarted,
    RelayStopped,
    RelayStopping,
    ReloadFailed,
    ReplayBegun,
    ReplayEnded,
    SettingsReloaded,
    StatsCollected,
)
from relay.telemetry.logs import Log
from relay.telemetry.loudness import PERIOD, Allowance
from relay.telemetry.metrics import Made, Metrics

LOUD_LAG = 1.0
"""Seconds; from about here on, pings and timeouts are off as well."""

_WITHOUT_COUNT = frozenset({OperatorEventKind.REPLAY_ASKED, OperatorEventKind.REPLAY_CANCELLED})
"""What is done to a replay as a whole: how many messages that is, only `replay.ended` can say."""

LAGS_KEPT = 60
"""Half a minute of beats: a scrape every 15 s misses none."""


class ServiceVoice:
    """Says how the relay itself fares."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._allowance = Allowance(clock)
        self._journal_error: str | None = None
        self._imbalance: Made[str, int] = Made(lambda _: 0)
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        # Of its own: who guesses tokens must not silence what is said of the journal.
        self._refusals_allowed = Allowance(clock)
        self._refusals = 0
        self._refusal_told = ("", ""), 0.0
        self._clock = clock
        self.handlers: dict[type, Callable[[Any], None]] = {
            JournalCommitted: self._journal_committed,
            JournalFailed: self._journal_failed,
            JournalRecovered: self._journal_recovered,
            JournalPruned: self._journal_pruned,
            JournalShrunk: self._journal_shrunk,
            JournalUnchecked: self._journal_unchecked,
            DamageFound: self._damage_found,
            JournalSetAside: self._journal_set_aside,
            StatsCollected: self._census_taken,
            LoopLagged: self._loop_lagged,
            OperatorNoticed: self._operator_noticed,
            OperatorActed: self._operator_acted,
            AdminRefused: self._admin_refused,
            RelayStarted: self._relay_started,
            EndpointRemoved: self._endpoint_removed,
            ReplayBegun: self._replay_begun,
            ReplayEnded: self._replay_ended,
            SettingsReloaded: self._settings_reloaded,
            ReloadFailed: self._reload_failed,
            DeliveriesDiscarded: self._deliveries_discarded,
            RelayStopping: self._relay_stopping,
            RelayStopped: self._relay_stopped,
        }

    # --- The journal ----------------------------------------------------------------------------

    def _journal_committed(self, fact: JournalCommitted) -> None:
        self._metrics.commit.observe(fact.seconds)
        self._log.debug("journal.committed", seconds=round(fact.seconds, 6), items=fact.items)

    def _journal_failed(self, fact: JournalFailed) -> None:
        loud = self._journal_error != fact.detail and self._allowance.spend()
        if loud:
            self._journal_error = fact.detail
        (self._log.error if loud else self._log.debug)(
            "journal.failed", detail=fact.detail, retry_in=fact.retry_in
        )

    def _journal_recovered(self, _: JournalRecovered) -> None:
        said, self._journal_error = self._journal_error is not None, None
        (self._log.info if said else self._log.debug)("journal.recovered")

    def _journal_pruned(self, fact: JournalPruned) -> None:
        self._log.debug("journal.pruned", messages=fact.messages)

    def _journal_shrunk(self, fact: JournalShrunk) -> None:
        self._log.info("journal.shrunk", bytes=fact.size_bytes)

    def _journal_unchecked(self, fact: JournalUnchecked) -> None:
        advice = "it is large, and was not stopped cleanly; damage would show in the run"
        self._log.warning("journal.unchecked", after=fact.seconds, advice=advice)

    def _damage_found(self, fact: DamageFound) -> None:
        self._log.error("journal.damaged", detail=fact.detail)

    def _journal_set_aside(self, fact: JournalSetAside) -> None:
        """Say it at any time, whatever else is being said: it is what only this line tells."""
        self._log.error(
            "journal.set_aside",
            journal=fact.journal,
            kept_as=fact.kept_as,
            detail=fact.detail,
            lost="dead letters and what was unread for more than 7 days are in the old file only",
            advice="Mixin sends again what is unread; some may come twice without notice (W8)",
        )

    def _census_taken(self, fact: StatsCollected) -> None:
        census = fact.census
        self._metrics.journal_bytes.set(census.size_bytes)
        for bot in self._metrics.bots.keys() & census.bots.keys():
            self._count_bot(bot, census.bots[bot])
        for key, series in self._metrics.endpoints.items():
            series.dead_letters.set(census.dead_letters.get(key, 0))
            series.oldest_pending.set(census.oldest_pending.get(key, 0))
        # An endpoint that was configured once and still has dead letters is no stranger's name.
        for key in census.dead_letters.keys() - self._metrics.endpoints.keys():
            if dead := census.dead_letters[key]:
                self._metrics.endpoints[key].dead_letters.set(dead)

    def _count_bot(self, bot: str, counted: BotCensus) -> None:
        series = self._metrics.bots[bot]
        series.pending.set(counted.pending)
        series.oldest_unread.set(counted.oldest_unread_at or 0)
        series.receipts_pending.set(counted.receipts_pending)
        series.imbalance.set(counted.imbalance)
        if counted.imbalance != self._imbalance[bot]:
            self._imbalance[bot] = counted.imbalance
            say = self._log.error if counted.imbalance else self._log.info
            say("journal.imbalanced", bot=bot, imbalance=counted.imbalance)

    # --- The process ----------------------------------------------------------------------------

    def _loop_lagged(self, fact: LoopLagged) -> None:
        self._lags.append(fact.seconds)
        self._metrics.loop_lag.set(max(self._lags))
        if fact.seconds >= LOUD_LAG and self._allowance.spend():
            self._log.warning("loop.lagged", seconds=round(fact.seconds, 3))

    def _operator_noticed(self, fact: OperatorNoticed) -> None:
        self._log.info(
            "operator.noticed",
            kind=fact.kind,
            bot=fact.endpoint.bot,
            endpoint=fact.endpoint.name,
            actor=fact.actor,
            asked=fact.asked,
            **({} if fact.kind in _WITHOUT_COUNT else {"count": fact.count}),
        )

    def _operator_acted(self, fact: OperatorActed) -> None:
        self._log.info(
            "operator.acted",
            actor=fact.actor,
            peer=fact.peer,
            action=fact.action,
            asked=fact.asked,
            count=fact.count,
            result=fact.result,
        )

    def _admin_refused(self, fact: AdminRefused) -> None:
        reason = "throttled" if fact.throttled else "wrong" if fact.given else "missing"
        self._metrics.admin_refused[reason].inc()
        self._refusals += 1
        who = fact.peer, "wrong token" if fact.given else "no token"
        last, until = self._refusal_told
        if (who != last or self._clock() >= until) and self._refusals_allowed.spend():
            self._refusal_told = who, self._clock() + PERIOD
            times, self._refusals = self._refusals, 0
            self._log.warning("admin.refused", peer=who[0], why=who[1], times=times)

    def _relay_started(self, fact: RelayStarted) -> None:
        self._log.info(
            "relay.started",
            version=fact.version,
            bots=list(fact.bots),
            clean=fact.clean,
            listen=fact.listen,
        )

    def _endpoint_removed(self, fact: EndpointRemoved) -> None:
        self._log.warning(
            "endpoint.removed",
            bot=fact.endpoint.bot,
            endpoint=fact.endpoint.name,
            dead_letters=fact.dead_letters,
            advice="put it back into the settings, or see `relay dead-letters`",
        )

    def _replay_begun(self, fact: ReplayBegun) -> None:
        """Say why a new endpoint gets so much; what an operator asks for is `operator.noticed`."""
        self._log.info("replay.begun", **_names(fact.replay), why="from: retained")

    def _replay_ended(self, fact: ReplayEnded) -> None:
        replay = fact.replay
        counts = {"delivered": replay.delivered, "dead_letters": replay.dead}
        self._log.info("replay.ended", **_names(replay), **counts)

    # --- The settings ---------------------------------------------------------------------------

    def _settings_reloaded(self, fact: SettingsReloaded) -> None:
        self._metrics.reload_successful.set(1)
        self._metrics.reloaded_at.set_to_current_time()
        for key in fact.added:
            _ = self._metrics.endpoints[key]  # its series exist from now on, at 0
        for bot in fact.bots_added:
            _ = self._metrics.bots[bot]
        self._log.info(
            "settings.unchanged" if fact.unchanged else "settings.reloaded",
            added=[str(key) for key in fact.added],
            removed=[str(key) for key in fact.removed],
            changed=[f"{key}: {', '.join(names)}" for key, names in fact.changed],
            settings=list(fact.settings),
            **{name: list(bots) for name, bots in _bots(fact).items() if bots},
        )

    def _reload_failed(self, fact: ReloadFailed) -> None:
        self._metrics.reload_successful.set(0)
        for mistake in fact.mistakes:
            self._log.error("settings.refused", mistake=mistake)

    def _deliveries_discarded(self, fact: DeliveriesDiscarded) -> None:
        names = [str(key) for key in fact.endpoints]
        self._log.warning("deliveries.discarded", endpoints=names, count=fact.deliveries)

    # --- Its end ----------------------------------------------------------------------------------

    def _relay_stopping(self, fact: RelayStopping) -> None:
        self._log.info("relay.stopping", signal=fact.signal)

    def _relay_stopped(self, fact: RelayStopped) -> None:
        if fact.written:
            self._log.info("relay.stopped", cut=fact.cut)
        else:
            advice = "the journal took no more: what it lacks comes again, or is said to be unknown"
            self._log.error("relay.stopped", cut=fact.cut, written=False, advice=advice)


def _bots(fact: SettingsReloaded) -> dict[str, tuple[str, ...]]:
    return {
        "bots_added": fact.bots_added,
        "bots_removed": fact.bots_removed,
        "bots_restarted": fact.bots_restarted,
    }


def _names(replay: ReplayRecord) -> dict[str, Any]:
    endpoint = replay.endpoint
    return {"bot": endpoint.bot, "endpoint": endpoint.name, "number": replay.number}
