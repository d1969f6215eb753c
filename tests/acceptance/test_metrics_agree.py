"""The numbers in /metrics are those that Mixin and the receivers saw."""

import shutil
from pathlib import Path

import tests
from tests.acceptance.house import BOT, House
from tests.acceptance.process import Metrics
from tests.acceptance.receiver import OK, REDIRECT, Answer, Reset
from tests.support.simulator import CATEGORIES
from tests.telemetry.series_table import Series, documented_series

REFERENCE = Path(tests.__file__).parents[1] / "docs" / "reference.md"


def labels_of(metrics: Metrics, series: Series) -> set[frozenset[str]]:
    """Find the sets of labels that a series has in a scrape, without those of its type."""
    name = series.name.removesuffix("_total")
    own = {"le"} if series.type == "histogram" else set()
    return {frozenset(sample.labels) - own for sample in metrics.families[name].samples}


async def test_every_documented_series_exists_from_the_start(house: House) -> None:
    """Every series of the documented table is there at the first scrape, with those labels."""
    await house.receiver()
    relay = await house.relay()
    metrics = await relay.metrics()
    for series in documented_series(REFERENCE.read_text()):
        labels = {"version", "python"} if series.name == "relay_build_info" else series.labels
        assert {frozenset(labels)} == labels_of(metrics, series), series.name


async def test_the_counts_agree_with_both_sides(house: House) -> None:
    """Messages, attempts, outcomes, receipts and dead letters are counted as they happened."""
    crm = await house.receiver("crm")
    archive = await house.receiver("archive", categories=["PLAIN_TEXT", "SYSTEM_*"])
    texts = house.push(8)
    pictures = house.push(4, category="PLAIN_IMAGE")
    archive.wants = set(texts).__contains__
    crm.script(texts[0], Answer(500), REDIRECT, OK)
    crm.script(texts[1], Reset(), OK)
    crm.script(texts[2], *[Answer(400)] * 3)
    archive.script(texts[3], Answer(503), Answer(429), OK)
    relay = await house.relay()
    read = [each for each in (*texts, *pictures) if each != texts[2]]
    await house.read(read)
    await relay.said("message.finished", times=12)
    house.simulator.push_again(texts[4])
    await relay.said("message.duplicated")
    await relay.said("receipts.confirmed", message_ids=[texts[4]])
    metrics = await relay.metrics()

    def count(name: str, **labels: str) -> float:
        return metrics.total(f"relay_{name}_total", bot=BOT, **labels)

    assert (8, 4) == (
        count("messages_received", category="PLAIN_TEXT", source="pending"),
        count("messages_received", category="PLAIN_IMAGE", source="pending"),
    )
    assert (12, 1) == (count("messages_received"), count("messages_duplicate"))
    assert (11, 1, 12) == (
        count("messages_finished", outcome="read"),
        count("messages_finished", outcome="dead"),
        count("messages_finished"),
    )
    for receiver in (crm, archive):
        name = receiver.name
        assert len(receiver.posts) == count("attempts", endpoint=name)
        assert len(receiver.taken) == count("attempts", endpoint=name, outcome="success")
        assert len(receiver.taken) == count("deliveries", endpoint=name, outcome="delivered")
        duration = "relay_attempt_duration_seconds_count"
        assert len(receiver.posts) == metrics.value(duration, bot=BOT, endpoint=name)
        assert 0 == metrics.value("relay_endpoint_in_flight", bot=BOT, endpoint=name)
    failures = {
        reason: count("attempt_failures", endpoint="crm", reason=reason)
        for reason in ("http_5xx", "redirect", "reset", "http_4xx")
    }
    assert {"http_5xx": 1, "redirect": 1, "reset": 1, "http_4xx": 3} == failures
    assert 1 == count("attempt_failures", endpoint="archive", reason="http_503")
    assert 1 == count("attempt_failures", endpoint="archive", reason="http_429")
    assert 1 == count("deliveries", endpoint="crm", outcome="dead")
    applied = [ack for ack in house.simulator.journal.acks if ack.applied]
    assert len(applied) == count("receipts", result="confirmed") == 12


async def test_the_stock_agrees_and_nothing_goes_astray(house: House) -> None:
    """After a restart pending messages, dead letters and the balance are what they should be."""
    receiver = await house.receiver()
    dead, failing, *read = house.push(5)
    receiver.script(dead, *[Answer(400)] * 3)
    receiver.script(failing, *[Answer(500)] * 10_000)
    relay = await house.relay()
    await house.read(read)
    await relay.said("message.finished", times=4)
    assert 0 == await relay.stop()
    relay = await house.relay()
    metrics = await relay.metrics()

    async def counted() -> bool:
        nonlocal metrics
        metrics = await relay.metrics()
        return metrics.value("relay_journal_bytes") > 0

    await house.eventually(counted, "the census")
    assert 0 < metrics.value("relay_journal_free_bytes") <= shutil.disk_usage(house.directory).total
    assert 1 == metrics.value("relay_messages_pending", bot=BOT)
    assert 1 == metrics.value("relay_dead_letters", bot=BOT, endpoint="crm")
    assert 0 == metrics.value("relay_receipts_pending", bot=BOT)
    assert 0 == metrics.value("relay_conservation_imbalance", bot=BOT)
    ((oldest,),) = house.rows(f"SELECT received_at FROM messages WHERE message_id = '{failing}'")
    assert oldest == metrics.value("relay_oldest_unread_timestamp_seconds", bot=BOT)


async def test_every_category_is_counted_under_its_name_or_other(house: House) -> None:
    """A category that nobody knows counts as `other`, so that a stranger can't make series."""
    await house.receiver()
    relay = await house.relay()
    known = [category for category in CATEGORIES if not category.startswith("KRAKEN_")]
    ids = [house.simulator.push(category=category) for category in known]
    ids += [house.simulator.push("?", category=f"PLAIN_{number}") for number in range(5)]
    await house.read(ids)
    metrics = await relay.metrics()
    assert 5 == metrics.total("relay_messages_received_total", category="other")
    for category in set(known):
        counted = metrics.total("relay_messages_received_total", category=category)
        assert known.count(category) == counted
