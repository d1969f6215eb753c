"""What every journal promises of messages that arrive and fall due."""

from relay.model.journal import (
    Duplicate,
    Finished,
    Fresh,
    Settled,
)
from relay.model.messages import MessageOutcome
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    confirm,
    defer,
    delivered,
    due,
    fresh,
    ids,
    postponed,
    receive,
    record,
    settle,
    settle_receipts,
    uuid,
)

# --- Receiving ------------------------------------------------------------------------------------


async def test_a_new_message_becomes_its_deliveries(journal: Journal) -> None:
    """A message is recorded with one delivery per endpoint, each leading its empty lane."""
    (recorded,) = await record(journal, [arrival(1, CRM, LOG)])
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
    first, second = await record(journal, [arrival(1, CRM), arrival(1, CRM)])
    (third,) = await record(journal, [arrival(1, CRM)])
    assert isinstance(first, Fresh)
    assert (Duplicate(), Duplicate()) == (second, third)
    assert [uuid(1)] == ids(await due(journal))


async def test_only_the_first_of_a_lane_leads(journal: Journal) -> None:
    """A delivery leads its lane only if nothing unfinished precedes it."""
    first, second = await record(journal, [arrival(1, CRM), arrival(2, CRM)])
    (third,) = await record(journal, [arrival(3, CRM)])
    (other,) = await record(journal, [arrival(4, CRM, lane="d")])
    leading = [bool(fresh(recorded).leading) for recorded in (first, second, third, other)]
    assert [True, False, False, True] == leading


async def test_a_receipted_message_that_comes_again_is_receipted_again(journal: Journal) -> None:
    """A message that the journal knows as finished owes its receipt again, without a delivery."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [delivered(delivery)], NOW)
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    (waiting,) = await record(journal, [arrival(1, CRM)])
    await settle_receipts(journal, "bot", confirmed=[owed.seq], refused=[], now=NOW)
    (again,) = await record(journal, [arrival(1, CRM)])
    assert (Duplicate(receipt_owed=False), Duplicate(receipt_owed=True)) == (waiting, again)
    assert [owed] == await journal.owed_receipts("bot", after=0, limit=10)
    assert () == (await due(journal)).deliveries


async def test_a_receipted_message_that_comes_twice_is_owed_once(journal: Journal) -> None:
    """Of two pushes of one message in a group only the first owes its receipt again."""
    await record(journal, [arrival(1)])
    await confirm(journal)
    answers = await record(journal, [arrival(1), arrival(1)])
    assert [Duplicate(receipt_owed=True), Duplicate(receipt_owed=False)] == answers
    assert 1 == len(await journal.owed_receipts("bot", after=0, limit=10))


async def test_nothing_is_no_trouble(journal: Journal) -> None:
    """Whatever is asked of nothing answers with nothing."""
    assert [] == await record(journal, [])
    assert [] == await settle(journal, [], NOW)
    await defer(journal, [])
    assert [] == await settle_receipts(journal, "bot", confirmed=[], refused=[], now=NOW)
    assert 0 == await journal.prune(LATER, limit=10)
    assert () == (await due(journal)).deliveries


async def test_an_unwanted_message_is_receipted_or_left(journal: Journal) -> None:
    """A message that nobody is owed owes its receipt at once, or finishes without one."""
    read, left = await record(journal, [arrival(1), arrival(2, unwanted_read=False)])
    assert Fresh((), frozenset(), receipt_owed=True) == read
    assert Fresh((), frozenset(), finished=MessageOutcome.UNWANTED) == left
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    ended = await settle_receipts(journal, "bot", confirmed=[owed.seq], refused=[], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.UNWANTED)] == ended


async def test_hostile_text_is_kept_as_it_is(journal: Journal) -> None:
    """Quotes, NUL and every plane of Unicode come back as they went in."""
    frame = bytes(range(256))
    lane = "'; DROP TABLE messages; -- \x00 \U0001f600"
    await receive(journal, arrival(1, CRM, lane=lane, frame=frame))
    (delivery,) = (await due(journal)).deliveries
    assert (lane, frame) == (delivery.lane, delivery.message.frame)


# --- What is due ----------------------------------------------------------------------------------


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
    assert [Settled()] == await settle(journal, [postponed(first, LATER)], NOW)
    early, late = await due(journal, now=LATER - 1), await due(journal, now=LATER)
    assert ((), LATER) == (early.deliveries, early.next_due_at)
    assert [uuid(1), uuid(2)] == ids(late)
