"""What every journal promises of runs, and of what it holds."""

from collections import Counter

import pytest

from relay.journal.open import OpenJournal
from relay.model.admin import UnreadableRecord
from relay.model.journal import (
    BotCensus,
    EndpointNote,
    UnreadableFrame,
)
from relay.model.messages import (
    BreakerState,
    EndpointKey,
    MessageOutcome,
    Postponed,
    PriorOutcome,
    Reason,
    Transient,
)
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    attempt,
    dead,
    delivered,
    due,
    ids,
    imbalance,
    keep_unreadable,
    note_endpoint,
    postponed,
    receive,
    record,
    settle,
    settle_receipts,
    uuid,
)

# --- Runs -----------------------------------------------------------------------------------------


async def test_an_unclean_stop_leaves_doubt(journal: Journal) -> None:
    """After a stop that was not clean every unfinished delivery may have been taken (W3)."""
    await receive(journal, arrival(1, CRM))
    assert not await journal.start([CRM, LOG], NOW)
    (delivery,) = (await due(journal)).deliveries
    assert PriorOutcome.UNKNOWN is delivery.prior_outcome


async def test_a_clean_stop_leaves_none(journal: Journal) -> None:
    """After a clean stop nothing is doubtful, and numbers go on ascending."""
    (before,) = await receive(journal, arrival(1, CRM))
    await journal.stop()
    assert await journal.start([CRM, LOG], NOW)
    (after,) = await receive(journal, arrival(2, CRM))
    assert before.id < after.id
    assert [PriorOutcome.NONE] * 2 == [
        delivery.prior_outcome for delivery in (await due(journal)).deliveries
    ]


async def test_an_endpoint_that_is_owed_something_is_not_removed(journal: Journal) -> None:
    """Nothing changes, neither what is owed nor who is configured; the answer says how much."""
    await receive(journal, arrival(1, CRM, LOG), arrival(2, CRM))
    new = EndpointKey("bot", "new")
    assert {CRM: 2} == await journal.reconfigure(added=[new], removed=[CRM], now=NOW)
    assert [uuid(1), uuid(2)] == ids(await due(journal))
    assert {CRM, LOG} == set((await journal.census()).dead_letters)


async def test_an_endpoint_that_is_owed_nothing_is_removed(opened: OpenJournal) -> None:
    """Others come in the same moment; what a start buried for them is due again."""
    journal = opened.journal
    await journal.start([CRM, LOG], NOW)
    (crm, log) = await receive(journal, arrival(1, CRM, LOG))
    await settle(journal, [delivered(crm)], NOW)
    await journal.stop()
    await journal.start([CRM], NOW)
    assert {} == await journal.reconfigure(added=[LOG], removed=[CRM], now=LATER)
    configured = {each.endpoint: each.configured for each in await opened.admin.endpoints()}
    assert {CRM: False, LOG: True} == configured
    assert [log.id] == [each.id for each in (await due(journal, LOG)).deliveries]
    assert 0 == await imbalance(journal)


async def test_what_is_owed_is_given_up_in_groups(journal: Journal) -> None:
    """A message is discarded with its last delivery, is not READ, and the lane is closed."""
    await receive(journal, *(arrival(number, CRM) for number in range(1, 6)), arrival(6, CRM, LOG))
    some = await journal.discard_owed([CRM], NOW, limit=4)
    rest = await journal.discard_owed([CRM], NOW, limit=4)
    assert (4, 2) == (some.deliveries, rest.deliveries)
    finished = Counter(some.finished) + Counter(rest.finished)
    assert {("bot", MessageOutcome.DISCARDED): 5} == finished
    assert 0 == (await journal.discard_owed([CRM], NOW, limit=4)).deliveries
    assert {} == await journal.reconfigure(added=(), removed=[CRM], now=NOW)
    assert ([], None) == (ids(await due(journal)), (await due(journal)).next_due_at)
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    assert 0 == await imbalance(journal)


async def test_a_removed_endpoint_leaves_dead_letters(journal: Journal) -> None:
    """What is owed to an endpoint that is gone from the settings is kept, and is not READ."""
    await receive(journal, arrival(1, CRM))
    await journal.stop()
    await journal.start([LOG], NOW)
    assert 1 == (await journal.census()).dead_letters[CRM]
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)


async def test_an_endpoint_that_is_back_gets_what_it_is_owed(journal: Journal) -> None:
    """A removed endpoint's dead letters revive when it is configured again."""
    await receive(journal, arrival(1, CRM))
    for endpoints in ([LOG], [CRM, LOG]):
        await journal.stop()
        await journal.start(endpoints, NOW)
    assert [uuid(1)] == ids(await due(journal))
    assert BotCensus(1, NOW + 1, 0, 0) == (await journal.census()).bots["bot"]


@pytest.mark.parametrize("back", [600.0, 3000.0, 6 * 3600.0])
async def test_a_wait_is_no_longer_for_a_clock_that_was_set_back(
    journal: Journal, back: float
) -> None:
    """Whoever waited for ten seconds then waits for ten seconds now, however far it went back."""
    failed, _ = await receive(journal, arrival(1, CRM, lane="a"), arrival(2, CRM, lane="b"))
    await settle(journal, [postponed(failed, NOW)], NOW)
    (again,) = (each for each in (await due(journal)).deliveries if each.id == failed.id)
    later = attempt(again, Transient(Reason.HTTP_5XX, 500), at=NOW + back)
    await settle(journal, [Postponed(again, later, NOW + back + 10)], NOW + back)
    await journal.stop()
    then = NOW
    await journal.start([CRM, LOG], then)
    assert [uuid(2)] == ids(await due(journal, now=then + 0.1))
    assert {uuid(1), uuid(2)} == set(ids(await due(journal, now=then + 10.1)))


async def test_a_clock_that_goes_on_changes_no_wait(journal: Journal) -> None:
    """A start in between is no reason to try anything earlier."""
    (failed,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [postponed(failed, NOW + 600)], NOW)
    await journal.stop()
    await journal.start([CRM, LOG], NOW + 5)
    assert [] == ids(await due(journal, now=NOW + 599))
    assert [uuid(1)] == ids(await due(journal, now=NOW + 600))


async def test_notes_of_an_endpoint_are_kept(journal: Journal) -> None:
    """What a relay writes of an endpoint is there for the next start."""
    assert EndpointNote(BreakerState.CLOSED) == await journal.endpoint_note(CRM)
    note = EndpointNote(BreakerState.OPEN, "http_5xx, status 500", LATER, NOW)
    await note_endpoint(journal, CRM, note)
    assert note == await journal.endpoint_note(CRM)


async def test_unreadable_frames_are_kept_once(opened: OpenJournal, journal: Journal) -> None:
    """The same frame again is counted, not kept twice; the last seen comes first."""
    frame = UnreadableFrame("digest", "not gzip", b"\x00\xff")
    await keep_unreadable(journal, "bot", frame, NOW)
    await keep_unreadable(journal, "other", frame, NOW + 1)
    await keep_unreadable(journal, "bot", frame, NOW + 2)
    kept = UnreadableRecord("bot", "digest", "not gzip", 2, NOW, NOW + 2, b"\x00\xff")
    others = UnreadableRecord("other", "digest", "not gzip", 1, NOW + 1, NOW + 1, b"\x00\xff")
    assert [kept, others] == await opened.admin.unreadable(None, 10)
    assert [kept] == await opened.admin.unreadable(None, 1)
    assert [others] == await opened.admin.unreadable("other", 10)


async def test_unreadable_frames_are_bounded(
    opened: OpenJournal, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that is sent rubbish for ever keeps only the last of it."""
    for module in ("relay.journal.unreadable",):
        monkeypatch.setattr(f"{module}.MAX_UNREADABLE", 2)
    for number in range(4):
        frame = UnreadableFrame(f"digest {number}", "not gzip", b"")
        await keep_unreadable(journal, "bot", frame, NOW + number)
    kept = await opened.admin.unreadable("bot", 10)
    assert ["digest 3", "digest 2"] == [record.digest for record in kept]


# --- Stock ----------------------------------------------------------------------------------------


async def test_the_census_balances(journal: Journal) -> None:
    """Received is finished plus pending, whatever has happened."""
    one, two, three, _ = await receive(
        journal, *(arrival(n, CRM, lane=f"l{n}") for n in (1, 2, 3, 4))
    )
    await record(journal, [arrival(5), arrival(6, unwanted_read=False)])
    await settle(journal, [delivered(one), dead(two), postponed(three, LATER)], NOW)
    census = await journal.census()
    assert BotCensus(4, NOW + 1, 2, 0) == census.bots["bot"]
    assert {CRM: 1, LOG: 0} == census.dead_letters
    assert census.size_bytes > 0


async def test_the_oldest_that_each_endpoint_is_owed(journal: Journal) -> None:
    """Each endpoint's own, whatever others took, and whoever is owed nothing is not named."""
    assert {} == (await journal.census()).oldest_pending
    one, *_ = await receive(journal, arrival(1, CRM, lane="a"), arrival(2, CRM, LOG, lane="b"))
    assert {CRM: NOW + 1, LOG: NOW + 2} == (await journal.census()).oldest_pending
    await settle(journal, [delivered(one)], NOW)
    assert {CRM: NOW + 2, LOG: NOW + 2} == (await journal.census()).oldest_pending
    (due_at_log,) = (await due(journal, LOG)).deliveries
    await settle(journal, [delivered(due_at_log)], NOW)
    assert {CRM: NOW + 2} == (await journal.census()).oldest_pending


async def test_the_oldest_unread_ignores_what_needs_an_operator(journal: Journal) -> None:
    """Only what is still on its way to READ counts as unread."""
    one, _, two, _ = await receive(journal, arrival(1, CRM, LOG), arrival(2, CRM, LOG))
    await settle(journal, [dead(one)], NOW)
    assert NOW + 2 == (await journal.census()).bots["bot"].oldest_unread_at
    await settle(journal, [dead(two)], NOW)
    assert (await journal.census()).bots["bot"].oldest_unread_at is None


async def test_finished_messages_are_pruned_and_no_others(journal: Journal) -> None:
    """Pruning removes what finished before, in small groups, and never a dead letter."""
    deliveries = await receive(journal, *(arrival(n, CRM, lane=f"l{n}") for n in range(1, 6)))
    await settle(journal, [delivered(delivery) for delivery in deliveries[:3]], NOW)
    await settle(journal, [dead(deliveries[3])], NOW)
    owed = await journal.owed_receipts("bot", after=0, limit=2)
    seqs = [receipt.seq for receipt in owed]
    await settle_receipts(journal, "bot", confirmed=seqs, refused=[], now=NOW)
    assert 0 == await journal.prune(NOW, limit=10)
    assert [1, 1, 0] == [await journal.prune(LATER, limit=1) for _ in range(3)]
    assert 1 == (await journal.census()).dead_letters[CRM]
    assert BotCensus(2, NOW + 3, 1, 0) == (await journal.census()).bots["bot"]
