"""What every journal promises of lanes: it knows of those that memory does not hold."""

from collections.abc import Sequence

from relay.model.journal import Batch, WholeLane
from relay.model.messages import Delivery
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    dead,
    delivered,
    due,
    fresh,
    ids,
    postponed,
    receive,
    record,
    settle,
    uuid,
)


async def forget(journal: Journal, upto: int, lane: str = "c") -> None:
    """Say that a lane is in memory up to a delivery."""
    await journal.commit(Batch(NOW, whole=[WholeLane(CRM, lane, upto)]))


async def in_memory(journal: Journal, *numbers: int) -> list[Delivery]:
    """Receive messages that have a place in memory."""
    return await receive(journal, *(arrival(n, CRM, in_window=True) for n in numbers))


async def loaded(journal: Journal, now: float = LATER) -> Sequence[str]:
    """Load what is due; answers with the messages' ids."""
    return ids(await due(journal, now=now))


async def test_what_memory_holds_is_not_loaded(journal: Journal) -> None:
    """A place in memory is enough: neither the delivery nor its end makes its lane known."""
    one, _ = await in_memory(journal, 1, 2)
    assert [] == await loaded(journal)
    await settle(journal, [delivered(one)], NOW)
    assert [] == await loaded(journal)


async def test_what_does_not_fit_makes_its_lane_known_whole(journal: Journal) -> None:
    """Whoever loads the lane gets all that is unfinished in it, in order."""
    await in_memory(journal, 1)
    await receive(journal, arrival(2, CRM))
    answer = await due(journal)
    assert ([uuid(1), uuid(2)], frozenset({"c"})) == (ids(answer), answer.whole)


async def test_a_lane_that_was_loaded_whole_is_forgotten(journal: Journal) -> None:
    """From then on memory has it, until something comes that does not fit."""
    (one,) = await receive(journal, arrival(1, CRM))
    await forget(journal, one.id)
    assert [] == await loaded(journal)
    await receive(journal, arrival(2, CRM))
    assert [uuid(1), uuid(2)] == await loaded(journal)


async def test_a_lane_that_has_more_is_not_forgotten(journal: Journal) -> None:
    """What came while it was loaded is not in memory."""
    one, two = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    await forget(journal, one.id)
    assert [uuid(1), uuid(2)] == await loaded(journal)
    await settle(journal, [delivered(one), delivered(two)], NOW)
    await forget(journal, one.id)
    assert (frozenset(), False) == ((await due(journal)).whole, (await due(journal)).more)


async def test_only_what_nothing_precedes_in_the_journal_leads(journal: Journal) -> None:
    """A lane of which the journal has something to load, or an earlier one of its group."""
    leads = [
        len(fresh(each).leading)
        for each in await record(journal, [arrival(n, CRM, in_window=True) for n in (1, 2)])
    ]
    assert [1, 0] == leads
    (answer,) = await record(journal, [arrival(3, CRM)])
    assert 1 == len(fresh(answer).leading)
    (answer,) = await record(journal, [arrival(4, CRM, in_window=True)])
    assert 0 == len(fresh(answer).leading)


async def test_what_is_postponed_leaves_memory_with_its_lane(journal: Journal) -> None:
    """All of it is due again when the first one is."""
    one, _ = await in_memory(journal, 1, 2)
    await settle(journal, [postponed(one, LATER)], NOW)
    assert [] == await loaded(journal, LATER - 1)
    assert [uuid(1), uuid(2)] == await loaded(journal)


async def test_what_memory_lets_go_is_known_again(journal: Journal) -> None:
    """Each lane with something unfinished is due now, but one that waits for its retry."""
    one, two, three = await receive(
        journal, *(arrival(n, CRM, lane=f"l{n}", in_window=True) for n in (1, 2, 3))
    )
    await settle(journal, [delivered(one), postponed(two, LATER)], NOW)
    await journal.commit(Batch(NOW + 9, dropped=[CRM, LOG]))
    answer = await due(journal, now=NOW + 9)
    assert ([three.id], LATER) == ([each.id for each in answer.deliveries], answer.next_due_at)


async def test_a_start_has_everything_to_load(journal: Journal) -> None:
    """Nothing is in memory then; lanes that wait for a retry go on waiting."""
    one, two = await receive(
        journal, *(arrival(n, CRM, lane=f"l{n}", in_window=True) for n in (1, 2))
    )
    await settle(journal, [postponed(two, NOW + 60)], NOW)
    await receive(journal, arrival(3, CRM, lane="l3"))
    await settle(journal, [dead(one)], NOW)
    await journal.stop()
    await journal.start([CRM, LOG], NOW + 20)
    answer = await due(journal, now=NOW + 20)
    assert ([uuid(3)], NOW + 60) == (ids(answer), answer.next_due_at)
