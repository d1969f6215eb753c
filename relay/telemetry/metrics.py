"""The metric series (docs/reference.md, Metrics)."""

import math
import platform
import time
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import InfoMetricFamily, Metric

from relay.model.messages import AttemptOutcome, EndpointKey, MessageOutcome, Reason, Source
from relay.telemetry.events import ConnectResult, DisconnectReason
from relay.telemetry.metric_families import Counter, Family, Gauge, Histogram, Owner

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

ENDINGS = DELIVERED, DEAD = "delivered", "dead"
"""How a delivery ends."""

RECEIPTS = CONFIRMED, RETRIED, REFUSED = "confirmed", "retried", "refused"
"""What becomes of a READ receipt."""

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

BOT: Owner = ("bot",)
EACH: Owner = ("bot", "endpoint")
NONE: Owner = ()


class Metrics:
    """Every series of the relay; known label sets exist from the start, at 0."""

    def __init__(
        self, *, version: str, bots: Iterable[str] = (), endpoints: Iterable[EndpointKey] = ()
    ) -> None:
        self._version = version
        self._process = ProcessCollector(registry=None), PlatformCollector(registry=None)
        self._make_of_bots()
        self._make_of_endpoints()
        self._make_of_process()
        for bot in bots:
            self.foresee(bot)
        for key in endpoints:
            self.foresee(key)
        self.journal_free.set(math.nan)
        self.reload_successful.set(1)
        self.reloaded_at.set(time.time())

    def _make_of_bots(self) -> None:
        self.connected = Gauge("blaze_connected", "1 while the Blaze socket is up.", BOT)
        self.connects = Counter("blaze_connects", "Connects.", BOT, result=ConnectResult)
        self.disconnects = Counter(
            "blaze_disconnects", "Sockets given up.", BOT, reason=DisconnectReason
        )
        self.last_frame = Gauge(
            "blaze_last_frame_timestamp_seconds", "When a frame last came in.", BOT
        )
        self.session_shared = Gauge(
            "blaze_session_shared", "1 while another relay here has the same session.", BOT
        )
        self.received = Counter(
            *("messages_received", "Messages, each once.", BOT),
            category=KNOWN_CATEGORIES,
            source=Source,
        )
        self.duplicates = Counter("messages_duplicate", "Messages that came again.", BOT)
        self.unreadable = Counter("frames_unreadable", "Frames that were no event.", BOT)
        self.finished = Counter(
            "messages_finished", "Messages that need nothing more.", BOT, outcome=MessageOutcome
        )
        self.pending = Gauge("messages_pending", "Messages that are not finished.", BOT)
        self.oldest_unread = Gauge(
            "oldest_unread_timestamp_seconds", "When the oldest unread one came; or 0.", BOT
        )
        self.receipts = Counter("receipts", "READ receipts, by result.", BOT, result=RECEIPTS)
        self.receipts_pending = Gauge("receipts_pending", "READ receipts that are owed.", BOT)
        self.receipts_stuck = Gauge(
            "receipts_stuck", "READ receipts that fail for long while others get through.", BOT
        )
        self.imbalance = Gauge(
            "conservation_imbalance", "Received - (finished + pending); always 0.", BOT
        )

    def _make_of_endpoints(self) -> None:
        self.deliveries = Counter("deliveries", "Deliveries that ended.", EACH, outcome=ENDINGS)
        self.replayed = Counter(
            "replayed", "Deliveries of replays that ended.", EACH, outcome=ENDINGS
        )
        self.attempts = Counter("attempts", "Requests that ended.", EACH, outcome=AttemptOutcome)
        self.failures = Counter("attempt_failures", "Requests that failed.", EACH, reason=Reason)
        self.duration = Histogram(
            "attempt_duration_seconds", "How long requests took.", EACH, ATTEMPT_BUCKETS
        )
        self.delay = Histogram(
            "delivery_delay_seconds", "From reception to the 2xx.", EACH, DELAY_BUCKETS
        )
        states = "0 closed, 1 probing, 2 open, 3 paused, 4 gone."
        self.circuit_state = Gauge("circuit_state", states, EACH)
        self.endpoint_state = Gauge("endpoint_state", "As relay_circuit_state.", EACH)
        self.in_flight = Gauge("endpoint_in_flight", "Requests under way.", EACH)
        self.limit = Gauge("endpoint_concurrency_limit", "Most requests under way.", EACH)
        self.oldest_pending = Gauge(
            "endpoint_oldest_pending_timestamp_seconds",
            "When the oldest message came that the endpoint is owed; or 0.",
            EACH,
        )
        self.dead_letters = Gauge("dead_letters", "Dead letters that are kept.", EACH)

    def _make_of_process(self) -> None:
        self.commit = Histogram(
            "journal_commit_seconds", "How long group commits took.", NONE, COMMIT_BUCKETS
        )
        self.journal_bytes = Gauge("journal_bytes", "The journal's size on disk.", NONE)
        self.journal_free = Gauge(
            "journal_free_bytes", "Free on the journal's volume; NaN for one in memory.", NONE
        )
        self.journal_set_aside = Gauge(
            "journal_set_aside_timestamp_seconds",
            "When a damaged journal was set aside that still lies there; or 0.",
            NONE,
        )
        self.journal_writable = Gauge(
            "journal_writable", "1 while the journal accepts writes.", NONE
        )
        self.ready = Gauge("ready", "1 while /readyz answers 200.", NONE)
        self.loop_lag = Gauge(
            "event_loop_lag_seconds",
            "How late the event loop was, at worst, in the last half minute.",
            NONE,
        )
        told = "Requests to the admin API without the right token."
        self.admin_refused = Counter("admin_refused", told, NONE, reason=REFUSALS)
        self.reload_successful = Gauge(
            "config_last_reload_successful",
            "1 unless the settings were refused when they were last read anew.",
            NONE,
        )
        self.reloaded_at = Gauge(
            "config_last_reload_success_timestamp_seconds",
            "When settings were last read that hold.",
            NONE,
        )

    def foresee(self, owner: str | EndpointKey) -> None:
        """Have the series of a bot or an endpoint from now on, at 0."""
        for family in self._of(owner):
            family.foresee(owner)

    def forget(self, owner: str | EndpointKey) -> None:
        """Drop the series of a bot or an endpoint: the last values would be taken for news."""
        for family in self._of(owner):
            family.forget(owner)

    def _of(self, owner: str | EndpointKey) -> Iterator[Family[Any]]:
        labels = BOT if isinstance(owner, str) else EACH
        return (family for family in self._families() if family.owner == labels)

    def _families(self) -> Iterator[Family[Any]]:
        return (each for each in vars(self).values() if isinstance(each, Family))

    def collect(self) -> Iterator[Metric]:
        """Read every series; a `prometheus_client.registry.Collector`."""
        for family in self._families():
            yield family.read()
        build = {"version": self._version, "python": platform.python_version()}
        yield InfoMetricFamily("relay_build", "What runs.", build)
        for collector in self._process:
            yield from collector.collect()


def category_label(category: str) -> str:
    """Give a category as its series has it, whatever upstream calls it."""
    return category if category in _KNOWN else OTHER
