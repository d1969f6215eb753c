"""What every journal promises to the relay."""

import pytest

from relay.desk import UnreadableRecord
from relay.journal import OpenJournal
from relay.ledger import (
    BotCensus,
    Duplicate,
    EndpointNote,
    Finished,
    Fresh,
    Settled,
    UnreadableFrame,
)
from relay.model import Deferred, GateState, MessageOutcome, PriorOutcome, Reason, Transient
from relay.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    confirm,
    dead,
    delivered,
    due,
    fresh,
    ids,
    postponed,
    receive,
    uuid,
)

# --- Receiving ----------------------------------------------------------------------------------


async def test_a_new_message_becomes_its_deliveries(journal: Journal) -> None:
    """A message is recorded with one delivery per endpoint, each leading its empty lane."""
    (recorded,) = await journal.record([arrival(1, CRM, LOG)])
    deliveries = fresh(recorded).deliveries
    assert [CRM, LOG] == [delivery.endpoint for delivery in deliveries]
    assert {delivery.id for delivery in deliveries} == fresh(recorded).leading
    assert not recorded.receipt_owed
    assert list(deliveries) == [
        *(await due(journal)).deliveries,
        *(await due(journal, LOG)).deliveries,
    ]


async def test_a_message_is_recorded_once(journal: Journal) -> None:
    """A message that comes again, in the same group or later, changes nothing."""
    first, second = await journal.record([arrival(1, CRM), arrival(1, CRM)])
    (third,) = await journal.record([arrival(1, CRM)])
    assert isinstance(first, Fresh)
    assert (Duplicate(), Duplicate()) == (second, third)
    assert [uuid(1)] == ids(await due(journal))


async def test_only_the_first_of_a_lane_leads(journal: Journal) -> None:
    """A delivery leads its lane only if nothing unfinished precedes it."""
    first, second = await journal.record([arrival(1, CRM), arrival(2, CRM)])
    (third,) = await journal.record([arrival(3, CRM)])
    (other,) = await journal.record([arrival(4, CRM, lane="d")])
    leading = [bool(fresh(recorded).leading) for recorded in (first, second, third, other)]
    assert [True, False, False, True] == leading


async def test_a_receipted_message_that_comes_again_is_receipted_again(journal: Journal) -> None:
    """A message that the journal knows as finished owes its receipt again, without a delivery."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await journal.settle([delivered(delivery)], NOW)
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    (waiting,) = await journal.record([arrival(1, CRM)])
    await journal.settle_receipts("bot", confirmed=[owed.seq], refused=[], now=NOW)
    (again,) = await journal.record([arrival(1, CRM)])
    assert (Duplicate(receipt_owed=False), Duplicate(receipt_owed=True)) == (waiting, again)
    assert [owed] == await journal.owed_receipts("bot", after=0, limit=10)
    assert () == (await due(journal)).deliveries


async def test_a_receipted_message_that_comes_twice_is_owed_once(journal: Journal) -> None:
    """Of two pushes of one message in a group only the first owes its receipt again."""
    await journal.record([arrival(1)])
    await confirm(journal)
    answers = await journal.record([arrival(1), arrival(1)])
    assert [Duplicate(receipt_owed=True), Duplicate(receipt_owed=False)] == answers
    assert 1 == len(await journal.owed_receipts("bot", after=0, limit=10))


async def test_nothing_is_no_trouble(journal: Journal) -> None:
    """Whatever is asked of nothing answers with nothing."""
    assert [] == await journal.record([])
    assert [] == await journal.settle([], NOW)
    await journal.defer([])
    assert [] == await journal.settle_receipts("bot", confirmed=[], refused=[], now=NOW)
    assert 0 == await journal.prune(LATER, limit=10)
    assert () == (await due(journal)).deliveries


async def test_receipts_of_strangers_change_nothing(journal: Journal) -> None:
    """A receipt that is not owed, not any more, or by another bot, is passed over."""
    await journal.record([arrival(1), arrival(2, bot="other")])
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    (others,) = await journal.owed_receipts("other", after=0, limit=10)
    seqs = [owed.seq, owed.seq, others.seq, 999]
    ended = await journal.settle_receipts("bot", confirmed=seqs, refused=[], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.UNWANTED)] == ended
    again = await journal.settle_receipts("bot", confirmed=[], refused=seqs, now=NOW)
    assert [] == again
    assert [others] == await journal.owed_receipts("other", after=0, limit=10)


async def test_an_unwanted_message_is_receipted_or_left(journal: Journal) -> None:
    """A message that nobody is owed owes its receipt at once, or finishes without one."""
    read, left = await journal.record([arrival(1), arrival(2, unwanted_read=False)])
    assert Fresh((), frozenset(), receipt_owed=True) == read
    assert Fresh((), frozenset(), finished=MessageOutcome.UNWANTED) == left
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    ended = await journal.settle_receipts("bot", confirmed=[owed.seq], refused=[], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.UNWANTED)] == ended


async def test_hostile_text_is_kept_as_it_is(journal: Journal) -> None:
    """Quotes, NUL and every plane of Unicode come back as they went in."""
    frame = bytes(range(256))
    lane = "'; DROP TABLE messages; -- \x00 \U0001f600"
    await receive(journal, arrival(1, CRM, lane=lane, frame=frame))
    (delivery,) = (await due(journal)).deliveries
    assert (lane, frame) == (delivery.lane, delivery.message.frame)


# --- What is due --------------------------------------------------------------------------------


async def test_lanes_come_in_order_and_side_by_side(journal: Journal) -> None:
    """Each lane's deliveries come in the order of arrival, the lane due longest first."""
    await receive(
        journal, arrival(1, CRM), arrival(2, CRM, lane="d"), arrival(3, CRM), arrival(4, CRM)
    )
    answer = await due(journal)
    assert [uuid(1), uuid(3), uuid(4), uuid(2)] == ids(answer)
    assert (frozenset({"c", "d"}), False, None) == (answer.whole, answer.more, answer.next_due_at)


async def test_skipped_lanes_do_not_come(journal: Journal) -> None:
    """A lane that the window has is not read again."""
    await receive(journal, arrival(1, CRM), arrival(2, CRM, lane="d"))
    answer = await due(journal, skip=["c"])
    assert ([uuid(2)], False) == (ids(answer), answer.more)


async def test_a_read_is_bounded_in_count(journal: Journal) -> None:
    """At most so many deliveries come; what is cut off is said."""
    await receive(journal, *(arrival(n, CRM, lane=f"l{n % 3}") for n in range(1, 13)))
    answer = await due(journal, limit=6)
    assert [uuid(n) for n in (1, 4, 7, 10, 2, 5)] == ids(answer)
    assert (frozenset({"l1"}), True) == (answer.whole, answer.more)


async def test_a_read_is_bounded_in_bytes(journal: Journal) -> None:
    """Frames beyond the bound stay behind, but the first comes however large it is."""
    big = b"x" * 1000
    await receive(journal, *(arrival(n, CRM, lane=f"l{n}", frame=big) for n in range(1, 5)))
    assert [uuid(1), uuid(2)] == ids(await due(journal, max_bytes=2500))
    first = await due(journal, max_bytes=1)
    assert ([uuid(1)], True) == (ids(first), first.more)


async def test_a_long_lane_keeps_no_other_out(journal: Journal) -> None:
    """Of one lane only a front is read, and the lane is not said to be whole."""
    await receive(journal, *(arrival(n, CRM) for n in range(1, 101)), arrival(101, CRM, lane="d"))
    answer = await due(journal, limit=64)
    assert uuid(101) in ids(answer)
    assert frozenset({"d"}) == answer.whole


async def test_a_postponed_lane_waits_for_its_time(journal: Journal) -> None:
    """A lane whose first delivery is postponed is due again at that time, as a whole."""
    first, _ = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    assert [Settled(lane_continues=True)] == await journal.settle([postponed(first, LATER)], NOW)
    early, late = await due(journal, now=LATER - 1), await due(journal, now=LATER)
    assert ((), LATER) == (early.deliveries, early.next_due_at)
    assert [uuid(1), uuid(2)] == ids(late)


# --- Attempts -----------------------------------------------------------------------------------


async def test_a_failed_attempt_is_charged(journal: Journal) -> None:
    """Attempts, failures, rejections and the first attempt's time are counted."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await journal.settle([postponed(delivery, NOW)], NOW)
    (delivery,) = (await due(journal)).deliveries
    assert (1, 1, 0, NOW) == (
        delivery.attempts,
        delivery.failures,
        delivery.rejections,
        delivery.first_attempt_at,
    )
    assert PriorOutcome.FAILED is delivery.prior_outcome


async def test_a_doubtful_attempt_is_remembered(journal: Journal) -> None:
    """An attempt that may have been taken stays doubtful through later clear failures."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    timeout = Transient(Reason.TIMEOUT, doubtful=True)
    await journal.settle([postponed(delivery, NOW, timeout)], NOW)
    (delivery,) = (await due(journal)).deliveries
    await journal.settle([postponed(delivery, NOW)], NOW)
    (delivery,) = (await due(journal)).deliveries
    assert PriorOutcome.UNKNOWN is delivery.prior_outcome


async def test_a_deferred_attempt_is_charged_to_nobody(journal: Journal) -> None:
    """A cut attempt leaves the delivery doubtful and its count as it was."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await journal.defer([Deferred(delivery)])
    (delivery,) = (await due(journal)).deliveries
    assert (0, PriorOutcome.UNKNOWN) == (delivery.attempts, delivery.prior_outcome)


async def test_read_is_owed_after_the_last_required_delivery(journal: Journal) -> None:
    """READ is owed exactly when every required endpoint has taken the message."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    assert [Settled(lane_continues=False)] == await journal.settle([delivered(crm)], NOW)
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    settled = await journal.settle([delivered(log)], NOW)
    assert [Settled(lane_continues=False, receipt_owed=True)] == settled
    assert [uuid(1)] == [
        owed.message_id for owed in await journal.owed_receipts("bot", after=0, limit=10)
    ]


async def test_read_is_told_once_within_a_group(journal: Journal) -> None:
    """Two outcomes of one message in one group owe one receipt."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    settled = await journal.settle([delivered(crm), delivered(log)], NOW)
    assert [False, True] == [answer.receipt_owed for answer in settled]


async def test_an_optional_endpoint_holds_nothing_back(journal: Journal) -> None:
    """READ is owed although an optional delivery is unfinished or dead; the end waits for it."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    (settled,) = await journal.settle([delivered(crm)], NOW)
    assert settled.receipt_owed
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    assert [] == await journal.settle_receipts("bot", confirmed=[owed.seq], refused=[], now=NOW)
    (settled,) = await journal.settle([dead(log)], NOW)
    assert MessageOutcome.READ is settled.finished


async def test_a_message_for_optional_endpoints_only_is_read_at_once(journal: Journal) -> None:
    """READ is owed on arrival when no required endpoint wants the message."""
    (recorded,) = await journal.record([arrival(1, optional=(LOG,))])
    assert recorded.receipt_owed
    assert [uuid(1)] == ids(await due(journal, LOG))


async def test_a_dead_letter_keeps_its_message_unread(journal: Journal) -> None:
    """A message with a dead required delivery finishes dead, never owed, its lane goes on."""
    first, _ = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    settled = await journal.settle([dead(first)], NOW)
    assert [Settled(lane_continues=True, finished=MessageOutcome.DEAD)] == settled
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    assert [uuid(2)] == ids(await due(journal))


async def test_a_dead_letter_beside_a_delivered_one_is_still_unread(journal: Journal) -> None:
    """One required endpoint's 2xx does not make up for another's dead letter."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    await journal.settle([dead(crm)], NOW)
    (settled,) = await journal.settle([delivered(log)], NOW)
    assert Settled(lane_continues=False, finished=MessageOutcome.DEAD) == settled


async def test_a_group_mixes_everything(journal: Journal) -> None:
    """Answers come in the order of the outcomes, whatever they are."""
    one, two, three = await receive(journal, *(arrival(n, CRM, lane=f"l{n}") for n in (1, 2, 3)))
    settled = await journal.settle([postponed(one, LATER), delivered(two), dead(three)], NOW)
    assert [
        Settled(lane_continues=True),
        Settled(lane_continues=False, receipt_owed=True),
        Settled(lane_continues=False, finished=MessageOutcome.DEAD),
    ] == settled


# --- Receipts -----------------------------------------------------------------------------------


async def test_owed_receipts_come_in_pages(journal: Journal) -> None:
    """Owed receipts ascend, and a page goes on after the last."""
    await journal.record([arrival(n) for n in range(1, 6)])
    first = await journal.owed_receipts("bot", after=0, limit=3)
    rest = await journal.owed_receipts("bot", after=first[-1].seq, limit=3)
    assert [uuid(n) for n in range(1, 6)] == [owed.message_id for owed in [*first, *rest]]
    assert [] == await journal.owed_receipts("other", after=0, limit=3)


async def test_a_refused_receipt_finishes_its_message(journal: Journal) -> None:
    """A receipt that Mixin refuses for good is not sent again."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await journal.settle([delivered(delivery)], NOW)
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    ended = await journal.settle_receipts("bot", confirmed=[], refused=[owed.seq], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.READ)] == ended
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)


# --- Runs ---------------------------------------------------------------------------------------


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


async def test_notes_of_an_endpoint_are_kept(journal: Journal) -> None:
    """What a relay writes of an endpoint is there for the next start."""
    assert EndpointNote(GateState.CLOSED) == await journal.endpoint_note(CRM)
    note = EndpointNote(GateState.OPEN, "http_5xx, status 500", LATER, NOW)
    await journal.note_endpoint(CRM, note)
    assert note == await journal.endpoint_note(CRM)


async def test_unreadable_frames_are_kept_once(opened: OpenJournal, journal: Journal) -> None:
    """The same frame again is counted, not kept twice; the last seen comes first."""
    frame = UnreadableFrame("digest", "not gzip", b"\x00\xff")
    await journal.keep_unreadable("bot", frame, NOW)
    await journal.keep_unreadable("other", frame, NOW + 1)
    await journal.keep_unreadable("bot", frame, NOW + 2)
    kept = UnreadableRecord("bot", "digest", "not gzip", 2, NOW, NOW + 2, b"\x00\xff")
    others = UnreadableRecord("other", "digest", "not gzip", 1, NOW + 1, NOW + 1, b"\x00\xff")
    assert [kept, others] == await opened.desk.unreadable(None, 10)
    assert [kept] == await opened.desk.unreadable(None, 1)
    assert [others] == await opened.desk.unreadable("other", 10)


async def test_unreadable_frames_are_bounded(
    opened: OpenJournal, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that is sent rubbish for ever keeps only the last of it."""
    for module in ("relay.journal.keeping", "relay.journal.memory"):
        monkeypatch.setattr(f"{module}.MAX_UNREADABLE", 2)
    for number in range(4):
        frame = UnreadableFrame(f"digest {number}", "not gzip", b"")
        await journal.keep_unreadable("bot", frame, NOW + number)
    kept = await opened.desk.unreadable("bot", 10)
    assert ["digest 3", "digest 2"] == [record.digest for record in kept]


# --- Stock --------------------------------------------------------------------------------------


async def test_the_census_balances(journal: Journal) -> None:
    """Received is finished plus pending, whatever has happened."""
    one, two, three, _ = await receive(
        journal, *(arrival(n, CRM, lane=f"l{n}") for n in (1, 2, 3, 4))
    )
    await journal.record([arrival(5), arrival(6, unwanted_read=False)])
    await journal.settle([delivered(one), dead(two), postponed(three, LATER)], NOW)
    census = await journal.census()
    assert BotCensus(4, NOW + 1, 2, 0) == census.bots["bot"]
    assert {CRM: 1, LOG: 0} == census.dead_letters
    assert census.size_bytes > 0


async def test_the_oldest_unread_ignores_what_needs_an_operator(journal: Journal) -> None:
    """Only what is still on its way to READ counts as unread."""
    one, _, two, _ = await receive(journal, arrival(1, CRM, LOG), arrival(2, CRM, LOG))
    await journal.settle([dead(one)], NOW)
    assert NOW + 2 == (await journal.census()).bots["bot"].oldest_unread_at
    await journal.settle([dead(two)], NOW)
    assert (await journal.census()).bots["bot"].oldest_unread_at is None


async def test_finished_messages_are_pruned_and_no_others(journal: Journal) -> None:
    """Pruning removes what finished before, in small groups, and never a dead letter."""
    deliveries = await receive(journal, *(arrival(n, CRM, lane=f"l{n}") for n in range(1, 6)))
    await journal.settle([delivered(delivery) for delivery in deliveries[:3]], NOW)
    await journal.settle([dead(deliveries[3])], NOW)
    owed = await journal.owed_receipts("bot", after=0, limit=2)
    seqs = [receipt.seq for receipt in owed]
    await journal.settle_receipts("bot", confirmed=seqs, refused=[], now=NOW)
    assert 0 == await journal.prune(NOW, limit=10)
    assert [1, 1, 0] == [await journal.prune(LATER, limit=1) for _ in range(3)]
    assert 1 == (await journal.census()).dead_letters[CRM]
    assert BotCensus(2, NOW + 3, 1, 0) == (await journal.census()).bots["bot"]
