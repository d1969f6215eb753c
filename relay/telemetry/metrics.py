"""The metric series (docs/reference.md, Metrics), on a registry of their own."""

import math
import platform
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from relay.model.messages import AttemptOutcome, EndpointKey, MessageOutcome, Reason, Source
from relay.telemetry.events import ConnectResult, DisconnectReason

_CONTENTS = (
    *("TEXT", "POST", "IMAGE", "DATA", "AUDIO", "VIDEO", "STICKER"),
    *("CONTACT", "LIVE", "LOCATION", "TRANSCRIPT"),
)
_SYSTEM = (
    *("CONVERSATION", "USER", "CIRCLE", "SESSION"),
    *("ACCOUNT_SNAPSHOT", "SAFE_SNAPSHOT", "SAFE_INSCRIPTION"),
)
_CALLS = ("OFFER", "ANSWER", "CANCEL", "DECLINE", "END", "BUSY", "FAILED")

OTHER = "other"

REFUSALS = ("missing", "wrong", "throttled")
"""Why the admin API refuses: no token, a wrong one, one of too many wrong ones."""

KNOWN_CATEGORIES = (
    *(f"PLAIN_{content}" for content in _CONTENTS),
    "PLAIN_JSON",
    *(f"ENCRYPTED_{content}" for content in _CONTENTS),
    *(f"SIGNAL_{content}" for content in _CONTENTS),
    "SIGNAL_KEY",
    *("APP_CARD", "APP_BUTTON_GROUP", "MESSAGE_RECALL", "MESSAGE_PIN"),
    *(f"SYSTEM_{matter}" for matter in _SYSTEM),
    *(f"WEBRTC_AUDIO_{turn}" for turn in _CALLS),
    "WEBRTC_ICE_CANDIDATE",
    OTHER,
)
"""Every name of docs/protocol.md but KRAKEN_*; whatever else comes counts as `other`."""

_KNOWN = frozenset(KNOWN_CATEGORIES)

ATTEMPT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
"""From a receiver next door to the longest timeout in use; 15 s is the default one."""

DELAY_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 900.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0),
)
"""From at once to the 72 hours after which a delivery is given up."""

COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""From a commit to memory to a disk in trouble."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Family = TypeVar("_Family", bound=MetricWrapperBase)


class Made(dict[_Key, _Value]):
    """A dict that makes what it lacks: a fact about a name not foreseen is counted all the same."""

    def __init__(self, make: Callable[[_Key], _Value], foreseen: Iterable[_Key] = ()) -> None:
        super().__init__((key, make(key)) for key in foreseen)
        self._make = make

    def __missing__(self, key: _Key) -> _Value:
        value = self[key] = self._make(key)
        return value


class _Families:
    """Every labelled series, before its labels have values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.of_bots: list[MetricWrapperBase] = []
        self.of_endpoints: list[MetricWrapperBase] = []

        def kept(family: _Family, labels: tuple[str, ...]) -> _Family:
            (self.of_endpoints if "endpoint" in labels else self.of_bots).append(family)
            return family

        def counter(name: str, told: str, *labels: str) -> Counter:
            return kept(Counter(f"relay_{name}_total", told, labels, registry=registry), labels)

        def gauge(name: str, told: str, *labels: str) -> Gauge:
            return kept(Gauge(f"relay_{name}", told, labels, registry=registry), labels)

        def histogram(name: str, told: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            made = Histogram(f"relay_{name}", told, labels, buckets=buckets, registry=registry)
            return kept(made, labels)

        each = ("bot", "endpoint")
        self.connected = gauge("blaze_connected", "1 while the Blaze socket is up.", "bot")
        self.connects = counter("blaze_connects", "Connects, by result.", "bot", "result")
        self.disconnects = counter("blaze_disconnects", "Sockets given up.", "bot", "reason")
        self.last_frame = gauge(
            "blaze_last_frame_timestamp_seconds", "When a frame last came in.", "bot"
        )
        self.session_shared = gauge(
            "blaze_session_shared", "1 while another relay here has the same session.", "bot"
        )
        self.received = counter(
            "messages_received", "Messages, each once.", "bot", "category", "source"
        )
        self.duplicates = counter("messages_duplicate", "Messages that came again.", "bot")
        self.unreadable = counter("frames_unreadable", "Frames that were no event.", "bot")
        self.finished = counter(
            "messages_finished", "Messages that need nothing more.", "bot", "outcome"
        )
        self.pending = gauge("messages_pending", "Messages that are not finished.", "bot")
        self.oldest_unread = gauge(
            "oldest_unread_timestamp_seconds", "When the oldest unread one came; or 0.", "bot"
        )
        self.deliveries = counter("deliveries", "Deliveries that ended.", *each, "outcome")
        self.replayed = counter("replayed", "Deliveries of replays that ended.", *each, "outcome")
        self.attempts = counter("attempts", "Requests that ended.", *each, "outcome")
        self.failures = counter("attempt_failures", "Requests that failed.", *each, "reason")
        self.duration = histogram(
            "attempt_duration_seconds", "How long requests took.", ATTEMPT_BUCKETS, *each
        )
        self.delay = histogram(
            "delivery_delay_seconds", "From reception to the 2xx.", DELAY_BUCKETS, *each
        )
        self.receipts = counter("receipts", "READ receipts, by result.", "bot", "result")
        self.receipts_pending = gauge("receipts_pending", "READ receipts that are owed.", "bot")
        self.receipts_stuck = gauge(
            "receipts_stuck", "READ receipts that fail for long while others get through.", "bot"
        )
        self.state = gauge(
            "endpoint_state", "0 closed, 1 probing, 2 open, 3 paused, 4 gone.", *each
        )
        self.in_flight = gauge("endpoint_in_flight", "Requests under way.", *each)
        self.limit = gauge("endpoint_concurrency_limit", "Most requests under way.", *each)
        self.oldest_pending = gauge(
            "endpoint_oldest_pending_timestamp_seconds",
            "When the oldest message came that the endpoint is owed; or 0.",
            *each,
        )
        self.dead_letters = gauge("dead_letters", "Dead letters that are kept.", *each)
        self.imbalance = gauge(
            "conservation_imbalance", "Received - (finished + pending); always 0.", "bot"
        )


class BotSeries:
    """One bot's series, each looked up once."""

    def __init__(self, families: _Families, bot: str) -> None:
        self.connected = families.connected.labels(bot)
        self.connects = {r: families.connects.labels(bot, r) for r in ConnectResult}
        self.disconnects = {r: families.disconnects.labels(bot, r) for r in DisconnectReason}
        self.last_frame = families.last_frame.labels(bot)
        self.session_shared = families.session_shared.labels(bot)
        self.duplicates = families.duplicates.labels(bot)
        self.unreadable = families.unreadable.labels(bot)
        self.finished = {o: families.finished.labels(bot, o) for o in MessageOutcome}
        self.pending = families.pending.labels(bot)
        self.oldest_unread = families.oldest_unread.labels(bot)
        self.receipts_confirmed = families.receipts.labels(bot, "confirmed")
        self.receipts_retried = families.receipts.labels(bot, "retried")
        self.receipts_refused = families.receipts.labels(bot, "refused")
        self.receipts_pending = families.receipts_pending.labels(bot)
        self.receipts_stuck = families.receipts_stuck.labels(bot)
        self.imbalance = families.imbalance.labels(bot)
        self._received: Made[tuple[str, Source], Counter] = Made(
            lambda key: families.received.labels(bot, *key),
            ((category, source) for category in KNOWN_CATEGORIES for source in Source),
        )

    def received(self, category: str, source: Source) -> Counter:
        """Find the counter of a category, whatever upstream calls it."""
        return self._received[category if category in _KNOWN else OTHER, source]


class EndpointSeries:
    """One endpoint's series, each looked up once."""

    def __init__(self, families: _Families, key: EndpointKey) -> None:
        self.delivered = families.deliveries.labels(*key, "delivered")
        self.dead = families.deliveries.labels(*key, "dead")
        self.replayed = families.replayed.labels(*key, "delivered")
        self.replayed_dead = families.replayed.labels(*key, "dead")
        self.attempts = {o: families.attempts.labels(*key, o) for o in AttemptOutcome}
        self.failures = {r: families.failures.labels(*key, r) for r in Reason}
        self.duration = families.duration.labels(*key)
        self.delay = families.delay.labels(*key)
        self.state = families.state.labels(*key)
        self.in_flight = families.in_flight.labels(*key)
        self.limit = families.limit.labels(*key)
        self.oldest_pending = families.oldest_pending.labels(*key)
        self.dead_letters = families.dead_letters.labels(*key)


class Metrics:
    """Every series of the relay; known label sets exist from the start, at 0."""

    def __init__(
        self, *, version: str, bots: Iterable[str] = (), endpoints: Iterable[EndpointKey] = ()
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self._families = families = _Families(registry)
        self.bots = Made(lambda bot: BotSeries(families, bot), bots)
        self.endpoints = Made(lambda key: EndpointSeries(families, key), endpoints)
        self.commit = Histogram(
            "relay_journal_commit_seconds",
            "How long group commits took.",
            buckets=COMMIT_BUCKETS,
            registry=registry,
        )
        self.journal_bytes = Gauge(
            "relay_journal_bytes", "The journal's size on disk.", registry=registry
        )
        self.journal_free = Gauge(
            "relay_journal_free_bytes",
            "Free on the journal's volume; NaN for one in memory.",
            registry=registry,
        )
        self.journal_free.set(math.nan)
        self.journal_set_aside = Gauge(
            "relay_journal_set_aside_timestamp_seconds",
            "When a damaged journal was set aside that still lies there; or 0.",
            registry=registry,
        )
        self.journal_writable = Gauge(
            "relay_journal_writable", "1 while the journal accepts writes.", registry=registry
        )
        self.ready = Gauge("relay_ready", "1 while /readyz answers 200.", registry=registry)
        self.loop_lag = Gauge(
            "relay_event_loop_lag_seconds",
            "How late the event loop was, at worst, in the last half minute.",
            registry=registry,
        )
        refused = Counter(
            "relay_admin_refused_total",
            "Requests to the admin API without the right token.",
            ["reason"],
            registry=registry,
        )
        self.admin_refused = {reason: refused.labels(reason) for reason in REFUSALS}
        self.reload_successful = Gauge(
            "relay_config_last_reload_successful",
            "1 unless the settings were refused when they were last read anew.",
            registry=registry,
        )
        self.reload_successful.set(1)
        self.reloaded_at = Gauge(
            "relay_config_last_reload_success_timestamp_seconds",
            "When settings were last read that hold.",
            registry=registry,
        )
        self.reloaded_at.set_to_current_time()
        build = Info("relay_build", "What runs.", registry=registry)
        build.info({"version": version, "python": platform.python_version()})
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def forget(self, key: EndpointKey) -> None:
        """Drop an endpoint's series: it is gone, and its last values would be taken for news."""
        self.endpoints.pop(key, None)
        for family in self._families.of_endpoints:
            family.remove_by_labels({"bot": key.bot, "endpoint": key.name})

    def forget_bot(self, bot: str) -> None:
        """Drop a bot's series; those of its endpoints are dropped one by one."""
        self.bots.pop(bot, None)
        for family in self._families.of_bots:
            family.remove_by_labels({"bot": bot})

    def collect(self) -> Iterator[Metric]:
        """Read every series; without the `_created` twins, which are not documented."""
        for family in self.registry.collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family
