"""The series of docs/reference.md."""

import platform
from collections.abc import Callable, Iterable

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from relay.model.messages import EndpointKey, Source
from relay.telemetry.metrics import KNOWN_CATEGORIES, Metrics, category_label
from tests.telemetry.listening import value_of
from tests.telemetry.series_table import Series, documented_series

BOT = {"bot"}
ENDPOINT = {"bot", "endpoint"}

TABLE: dict[str, tuple[str, set[str]]] = {
    "relay_blaze_connected": ("gauge", BOT),
    "relay_blaze_connects_total": ("counter", BOT | {"result"}),
    "relay_blaze_disconnects_total": ("counter", BOT | {"reason"}),
    "relay_blaze_last_frame_timestamp_seconds": ("gauge", BOT),
    "relay_blaze_session_shared": ("gauge", BOT),
    "relay_messages_received_total": ("counter", BOT | {"category", "source"}),
    "relay_messages_duplicate_total": ("counter", BOT),
    "relay_frames_unreadable_total": ("counter", BOT),
    "relay_messages_finished_total": ("counter", BOT | {"outcome"}),
    "relay_messages_pending": ("gauge", BOT),
    "relay_oldest_unread_timestamp_seconds": ("gauge", BOT),
    "relay_deliveries_total": ("counter", ENDPOINT | {"outcome"}),
    "relay_replayed_total": ("counter", ENDPOINT | {"outcome"}),
    "relay_attempts_total": ("counter", ENDPOINT | {"outcome"}),
    "relay_attempt_failures_total": ("counter", ENDPOINT | {"reason"}),
    "relay_attempt_duration_seconds": ("histogram", ENDPOINT),
    "relay_delivery_delay_seconds": ("histogram", ENDPOINT),
    "relay_receipts_total": ("counter", BOT | {"result"}),
    "relay_receipts_pending": ("gauge", BOT),
    "relay_receipts_stuck": ("gauge", BOT),
    "relay_circuit_state": ("gauge", ENDPOINT),
    "relay_endpoint_state": ("gauge", ENDPOINT),
    "relay_endpoint_in_flight": ("gauge", ENDPOINT),
    "relay_endpoint_concurrency_limit": ("gauge", ENDPOINT),
    "relay_endpoint_oldest_pending_timestamp_seconds": ("gauge", ENDPOINT),
    "relay_dead_letters": ("gauge", ENDPOINT),
    "relay_journal_commit_seconds": ("histogram", set()),
    "relay_journal_bytes": ("gauge", set()),
    "relay_journal_free_bytes": ("gauge", set()),
    "relay_journal_set_aside_timestamp_seconds": ("gauge", set()),
    "relay_journal_writable": ("gauge", set()),
    "relay_ready": ("gauge", set()),
    "relay_conservation_imbalance": ("gauge", BOT),
    "relay_event_loop_lag_seconds": ("gauge", set()),
    "relay_config_last_reload_successful": ("gauge", set()),
    "relay_config_last_reload_success_timestamp_seconds": ("gauge", set()),
    "relay_admin_refused_total": ("counter", {"reason"}),
    "relay_build_info": ("info", {"version", "python"}),
}
EXPECTED = {Series(name, kind, frozenset(labels)) for name, (kind, labels) in TABLE.items()}

VALUES = {
    ("relay_blaze_connects_total", "result"): {"ok", "failed", "unauthorized"},
    ("relay_blaze_disconnects_total", "reason"): {
        *("closed", "stale", "error", "unauthorized", "stopping"),
    },
    ("relay_messages_received_total", "source"): {"pending", "live"},
    ("relay_messages_finished_total", "outcome"): {"read", "unwanted", "dead", "discarded"},
    ("relay_deliveries_total", "outcome"): {"delivered", "dead"},
    ("relay_replayed_total", "outcome"): {"delivered", "dead"},
    ("relay_attempts_total", "outcome"): {"success", "transient", "rejected", "gone"},
    ("relay_attempt_failures_total", "reason"): {
        *("dns", "connect", "tls", "timeout", "reset", "redirect", "http_4xx", "http_429"),
        *("http_410", "http_5xx", "http_503", "blocked_address", "protocol", "other"),
    },
    ("relay_receipts_total", "result"): {"confirmed", "retried", "refused"},
    ("relay_admin_refused_total", "reason"): {"missing", "wrong", "throttled"},
}

ODD_TABLE = """
| series | type | labels |
| --- | --- | --- |
| `relay_a` | gauge | bot |
| `relay_b_total` / `relay_c_total` | counter | bot, result (`ok`, `failed`) / bot, reason (`x`) |
| `relay_d_total` | counter, each message once | bot, category (known names, else `other`) |
| `relay_e` | gauge: 0 closed, 1 open | bot, endpoint |
| `relay_f_seconds` / `relay_g_bytes` | histogram / gauge | \u2013 |
| `relay_h` / `relay_i` | gauge | bot (0 when none) |
| not a series | gauge | bot |
"""


def make() -> Metrics:
    return Metrics(version="1.2.3", bots=["a", "b"], endpoints=[EndpointKey("a", "crm")])


def families(metrics: Metrics) -> dict[str, Metric]:
    """Name each family as docs/reference.md does."""
    suffixes = {"counter": "_total", "info": "_info"}
    return {f"{f.name}{suffixes.get(f.type, '')}": f for f in metrics.collect()}


def test_exactly_the_documented_series_exist() -> None:
    """Every documented series is there, with its type and labels, and no other of ours."""
    ours = {
        Series(
            name,
            family.type,
            frozenset(key for sample in family.samples for key in sample.labels) - {"le"},
        )
        for name, family in families(make()).items()
        if name.startswith("relay_")
    }

    assert EXPECTED == ours


@pytest.mark.parametrize(("name", "label"), list(VALUES))
def test_known_label_sets_exist_from_the_start(name: str, label: str) -> None:
    """Every documented value of a label has its series before anything has happened, at 0."""
    samples = families(make())[name].samples

    assert VALUES[name, label] == {sample.labels[label] for sample in samples}
    assert {0.0} == {sample.value for sample in samples}


def test_every_configured_name_has_its_series() -> None:
    """Bots and endpoints are there from the start, an endpoint under its own bot only."""
    found = families(make())

    assert {"a", "b"} == {s.labels["bot"] for s in found["relay_messages_pending"].samples}
    endpoints = {
        (s.labels["bot"], s.labels["endpoint"]) for s in found["relay_dead_letters"].samples
    }
    assert {("a", "crm")} == endpoints


def test_known_categories_exist_from_the_start() -> None:
    """What a bot may be sent has its series from the start, for each source."""
    metrics = make()

    samples = families(metrics)["relay_messages_received_total"].samples

    assert set(KNOWN_CATEGORIES) == {sample.labels["category"] for sample in samples}
    assert 2 * len(KNOWN_CATEGORIES) * len(Source) == len(samples)
    assert len(KNOWN_CATEGORIES) == len(set(KNOWN_CATEGORIES))


@pytest.mark.parametrize(
    ("category", "label"),
    [
        ("PLAIN_TEXT", "PLAIN_TEXT"),
        ("ENCRYPTED_TRANSCRIPT", "ENCRYPTED_TRANSCRIPT"),
        ("SIGNAL_KEY", "SIGNAL_KEY"),
        ("WEBRTC_AUDIO_OFFER", "WEBRTC_AUDIO_OFFER"),
        ("ENCRYPTED_JSON", "other"),
        ("KRAKEN_ANYTHING", "other"),
        ("", "other"),
        ("other", "other"),
        ('x"} 1\n', "other"),
    ],
)
def test_only_known_categories_become_labels(category: str, label: str) -> None:
    """Upstream can't make series: whatever is not in docs/protocol.md counts as `other`."""
    metrics = make()

    metrics.received["a", category_label(category), Source.LIVE] += 1

    name, labels = "relay_messages_received_total", {"bot": "a", "source": "live"}
    assert 1.0 == value_of(metrics, name, category=label, **labels)


def test_known_categories_are_bounded() -> None:
    """The label has fewer than a hundred values, whatever comes."""
    assert len(KNOWN_CATEGORIES) < 100


def test_build_info_names_version_and_python() -> None:
    """The build is told as an info series of value 1."""
    labels = {"version": "1.2.3", "python": platform.python_version()}

    assert 1.0 == value_of(make(), "relay_build_info", **labels)


def test_a_name_not_foreseen_is_counted_all_the_same() -> None:
    """An event about a bot that is not configured does no harm."""
    metrics = make()

    metrics.duplicates["late"] += 1

    assert 1.0 == value_of(metrics, "relay_messages_duplicate_total", bot="late")


def test_values_may_be_asked_for_when_they_are_read() -> None:
    """What is known elsewhere is kept there, and nowhere twice."""
    metrics, under_way = make(), ["m1", "m2"]
    metrics.in_flight[EndpointKey("a", "crm")] = lambda: len(under_way)
    name, labels = "relay_endpoint_in_flight", {"bot": "a", "endpoint": "crm"}
    assert 2.0 == value_of(metrics, name, **labels)

    under_way.clear()
    assert 0.0 == value_of(metrics, name, **labels)


def test_values_are_counted_in_buckets() -> None:
    """Each counts in every bucket whose bound it does not exceed, and in the sum."""
    metrics, key = make(), EndpointKey("a", "crm")
    for seconds in (0.005, 0.3, 0.5, 99.0):
        metrics.duration[key].observe(seconds)

    name, labels = "relay_attempt_duration_seconds", {"bot": "a", "endpoint": "crm"}
    assert [1.0, 1.0, 3.0, 3.0, 4.0] == [
        value_of(metrics, f"{name}_bucket", le=bound, **labels)
        for bound in ("0.005", "0.25", "0.5", "60.0", "+Inf")
    ]
    assert 4.0 == value_of(metrics, f"{name}_count", **labels)
    assert 99.805 == value_of(metrics, f"{name}_sum", **labels)


def test_what_is_forgotten_leaves_nothing_else() -> None:
    """Neither a bot whose name begins alike, nor another bot's endpoint of the same name."""
    keys = [EndpointKey("a", "crm"), EndpointKey("ab", "crm")]
    metrics = Metrics(version="1", bots=["a", "ab"], endpoints=keys)
    metrics.forget("a")
    metrics.forget(keys[0])

    labels = [sample.labels for family in metrics.collect() for sample in family.samples]
    assert {"ab"} == {each["bot"] for each in labels if "bot" in each}


def test_both_formats_can_be_read_back() -> None:
    """Text and OpenMetrics are well-formed, and hold no `_created` series."""
    metrics = make()
    metrics.duration[EndpointKey("a", "crm")].observe(0.1)

    read: Callable[[str], Iterable[Metric]] = read_openmetrics  # the library leaves it untyped

    text = choose_encoder("text/plain")[0](metrics).decode()
    openmetrics = choose_encoder("application/openmetrics-text;version=1.0.0")[0](metrics).decode()

    in_text = {sample.name for family in read_text(text) for sample in family.samples}
    in_openmetrics = {s.name for family in read(openmetrics) for s in family.samples}
    assert in_text == in_openmetrics
    assert not [name for name in in_text if name.endswith("_created")]
    assert "process_resident_memory_bytes" in in_text


def test_documented_series_reads_a_table_of_markdown() -> None:
    """The reader of documents understands every way in which docs/reference.md writes a row."""
    expected = {
        Series("relay_a", "gauge", frozenset({"bot"})),
        Series("relay_b_total", "counter", frozenset({"bot", "result"})),
        Series("relay_c_total", "counter", frozenset({"bot", "reason"})),
        Series("relay_d_total", "counter", frozenset({"bot", "category"})),
        Series("relay_e", "gauge", frozenset({"bot", "endpoint"})),
        Series("relay_f_seconds", "histogram", frozenset()),
        Series("relay_g_bytes", "gauge", frozenset()),
        Series("relay_h", "gauge", frozenset({"bot"})),
        Series("relay_i", "gauge", frozenset({"bot"})),
    }

    assert expected == documented_series(ODD_TABLE)
