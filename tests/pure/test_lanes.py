"""What lanes promise: one delivery of a lane at a time, in order, and what fits into memory."""

from collections.abc import Iterator

from msgspec import structs

from relay.delivery.lanes import Lanes
from relay.model.journal import Due
from relay.model.messages import Delivery
from tests.core.samples import delivery

NOW = 1000.0


def due(
    *deliveries: Delivery,
    whole: tuple[str, ...] = (),
    more: bool = False,
    next_due_at: float | None = None,
) -> Due:
    """Answer a load."""
    return Due(deliveries, frozenset(whole), more, next_due_at)


def loaded(lanes: Lanes | None = None, answer: Due | None = None) -> Lanes:
    """Make lanes that have done their first load, and found nothing unless told."""
    lanes = lanes if lanes is not None else Lanes()
    lanes.begin_load()
    lanes.finish_load(answer or due())
    return lanes


def come(lanes: Lanes, delivery: Delivery, *, leads: bool = True) -> None:
    """Let a delivery arrive: a place is kept for it, if there is one, and it is journaled."""
    reserved = lanes.reserve(delivery.lane, len(delivery.message.frame), NOW)
    lanes.offer(delivery, reserved=reserved, leads=leads)


def taken(lanes: Lanes) -> Delivery:
    """Take what is next."""
    taken = lanes.take()
    assert taken is not None
    return taken


def drain(lanes: Lanes) -> Iterator[int]:
    """Take and end everything."""
    while lanes.ready:
        each = taken(lanes)
        yield each.id
        lanes.ended(each)


# --- The window ---------------------------------------------------------------------------------


def test_a_start_begins_with_the_journal() -> None:
    """There may be deliveries from before: the first thing is to load."""
    assert 0.0 == Lanes().load_at
    assert loaded().load_at is None


def test_what_arrives_goes_straight_through() -> None:
    """While there is room a new delivery needs no load."""
    lanes = loaded()
    come(lanes, delivery(1, "a"), leads=True)
    come(lanes, delivery(2, "b"), leads=True)
    assert [1, 2] == list(drain(lanes))
    assert (0, None, None) == (len(lanes), lanes.load_at, lanes.take())


def test_a_lane_goes_one_by_one() -> None:
    """The next of a lane waits until the one before has ended; other lanes don't."""
    lanes = loaded()
    for number, lane in ((1, "a"), (2, "a"), (3, "b")):
        come(lanes, delivery(number, lane), leads=number != 2)
    first, other = taken(lanes), taken(lanes)
    assert ((1, 3), None) == ((first.id, other.id), lanes.take())
    lanes.ended(first)
    assert 2 == taken(lanes).id


def test_lanes_take_turns() -> None:
    """A lane that had its turn goes behind those that wait."""
    lanes = loaded()
    for number, lane in enumerate("aabbc"):
        come(lanes, delivery(number, lane), leads=number in (0, 2, 4))
    assert [0, 2, 4, 1, 3] == list(drain(lanes))


def test_a_probe_gets_the_oldest() -> None:
    """The oldest of those that could go, whichever has been ready longest."""
    lanes = loaded()
    for number, lane in ((5, "a"), (3, "b"), (4, "c")):
        come(lanes, delivery(number, lane), leads=True)
    oldest = lanes.take(oldest=True)
    assert oldest is not None
    assert [3, 5, 4] == [oldest.id, taken(lanes).id, taken(lanes).id]
    assert lanes.take(oldest=True) is None


def test_what_does_not_fit_stays_in_the_journal() -> None:
    """The window is bounded in count; what is left out is loaded when there is room."""
    lanes = loaded(Lanes(max_deliveries=2))
    for number in (1, 2, 3):
        come(lanes, delivery(number, str(number)), leads=True)
    assert (2, None) == (len(lanes), lanes.load_at)
    lanes.ended(taken(lanes))
    assert 0.0 == lanes.load_at
    load = lanes.begin_load()
    assert (frozenset({"2"}), 1) == (load.skip, load.limit)


def test_the_window_is_bounded_in_bytes() -> None:
    """One delivery always fits, however large; a second only if there is room."""
    lanes = loaded(Lanes(max_bytes=10))
    come(lanes, delivery(1, "a", size=100), leads=True)
    come(lanes, delivery(2, "b", size=1), leads=True)
    assert (1, None) == (len(lanes), lanes.load_at)
    assert [1] == list(drain(lanes))
    assert 0.0 == lanes.load_at


def test_a_lane_with_a_gap_takes_no_more_in() -> None:
    """Once one of a lane was left out, the ones behind it are left out too, and loaded later."""
    lanes = loaded(Lanes(max_bytes=10))
    come(lanes, delivery(1, "a", size=5), leads=True)
    come(lanes, delivery(2, "a", size=50), leads=False)
    come(lanes, delivery(3, "a", size=1), leads=False)
    assert [1] == list(drain(lanes))
    assert 0.0 == lanes.load_at


def test_the_window_is_filled_again_when_it_is_half_empty() -> None:
    """A load is worth its while only if something fits."""
    lanes = loaded(
        Lanes(max_deliveries=4),
        due(*(delivery(n, str(n)) for n in range(4)), whole=("0", "1", "2", "3"), more=True),
    )
    for load_at in (None, 0.0):
        lanes.ended(taken(lanes))
        assert load_at == lanes.load_at
    assert 2 == lanes.begin_load().limit


def test_a_delivery_behind_an_unknown_one_is_left_to_the_journal() -> None:
    """What does not lead its lane, of which nothing is here, waits for what precedes it."""
    lanes = loaded()
    come(lanes, delivery(2, "a"), leads=False)
    assert (0, False) == (len(lanes), lanes.ready)


# --- Retries ------------------------------------------------------------------------------------


def test_a_postponed_lane_leaves_until_it_is_due() -> None:
    """The whole lane waits, outside of the window; the earliest retry says when to load."""
    lanes = loaded()
    for number, lane in ((1, "a"), (2, "a"), (3, "b")):
        come(lanes, delivery(number, lane), leads=number != 2)
    first, second = taken(lanes), taken(lanes)
    lanes.postponed(first, NOW + 60)
    lanes.postponed(second, NOW + 30)
    assert (0, False, NOW + 30) == (len(lanes), lanes.ready, lanes.load_at)


def test_a_load_says_when_the_next_is_needed() -> None:
    """What the journal knows to fall due later is loaded then."""
    assert NOW + 5 == loaded(answer=due(next_due_at=NOW + 5)).load_at


def test_a_retry_that_is_due_earlier_than_the_answer_says_is_not_missed() -> None:
    """A lane that was postponed while the journal was read may be missing in its answer."""
    lanes = loaded()
    come(lanes, delivery(1, "a"), leads=True)
    first = taken(lanes)
    lanes.begin_load()
    lanes.postponed(first, NOW + 1)
    lanes.finish_load(due(next_due_at=NOW + 60))
    assert NOW + 1 == lanes.load_at


# --- Loading ------------------------------------------------------------------------------------


def test_a_loaded_lane_keeps_its_order() -> None:
    """Lanes come as the journal gives them."""
    lanes = loaded(answer=due(delivery(1, "a"), delivery(3, "a"), delivery(2, "b"), whole=("a",)))
    assert [1, 2, 3] == list(drain(lanes))


def test_a_whole_lane_takes_new_deliveries_in() -> None:
    """Nothing is between what is here and what comes."""
    lanes = loaded(answer=due(delivery(1, "a"), whole=("a",)))
    come(lanes, delivery(2, "a"), leads=False)
    assert [1, 2] == list(drain(lanes))


def test_a_lane_that_is_not_whole_takes_nothing_in() -> None:
    """Others in the journal go first: they are loaded when those in the window have ended."""
    lanes = loaded(answer=due(delivery(1, "a")))
    come(lanes, delivery(9, "a"), leads=False)
    first = taken(lanes)
    lanes.ended(first)
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_a_load_skips_what_is_here() -> None:
    """Lanes in the window are not asked for."""
    lanes = loaded()
    come(lanes, delivery(1, "a"), leads=True)
    assert frozenset({"a"}) == lanes.begin_load().skip


def test_only_one_load_at_a_time() -> None:
    """While the journal is being read no other load is wanted."""
    lanes = Lanes()
    lanes.begin_load()
    assert lanes.load_at is None


def test_more_in_the_journal_is_loaded_next() -> None:
    """As soon as there is room."""
    assert 0.0 == loaded(answer=due(delivery(1, "a"), whole=("a",), more=True)).load_at


def test_a_load_that_fails_is_wanted_again() -> None:
    """A disk that can't be read loses nothing."""
    lanes = Lanes()
    lanes.begin_load()
    lanes.fail_load()
    assert 0.0 == lanes.load_at


# --- What happens while the journal is read -----------------------------------------------------


def test_an_old_answer_does_not_bring_back_what_has_ended() -> None:
    """A lane that came and left meanwhile is read again instead."""
    lanes = Lanes()
    lanes.begin_load()
    come(lanes, delivery(1, "a"), leads=True)
    lanes.ended(taken(lanes))
    lanes.finish_load(due(delivery(1, "a"), whole=("a",)))
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_an_old_answer_does_not_replace_what_is_here() -> None:
    """A lane that came meanwhile stays as it is."""
    lanes = Lanes()
    lanes.begin_load()
    come(lanes, delivery(1, "a"), leads=True)
    first = taken(lanes)
    lanes.finish_load(due(delivery(1, "a"), whole=("a",)))
    assert (1, False) == (len(lanes), lanes.ready)
    lanes.ended(first)


def test_an_old_answer_does_not_make_a_grown_lane_whole() -> None:
    """One that came behind it meanwhile is in the journal only, and is not passed by."""
    lanes = Lanes()
    lanes.begin_load()
    lanes.offer(delivery(2, "a"), reserved=False, leads=False)
    assert [] == lanes.finish_load(due(delivery(1, "a"), whole=("a",)))
    come(lanes, delivery(3, "a"), leads=False)
    assert [1] == list(drain(lanes))
    assert 0.0 == lanes.load_at


def test_an_answer_that_has_the_news_makes_a_lane_whole() -> None:
    """What came behind it meanwhile is in it: nothing is left in the journal."""
    lanes = Lanes()
    lanes.begin_load()
    lanes.offer(delivery(2, "a"), reserved=False, leads=False)
    answer = due(delivery(1, "a"), delivery(2, "a"), whole=("a",))
    assert [("a", 2)] == lanes.finish_load(answer)


def test_a_load_may_be_quicker_than_the_news() -> None:
    """A delivery that a load has brought already is not taken in a second time."""
    lanes = Lanes()
    lanes.begin_load()
    lanes.finish_load(due(delivery(1, "a"), delivery(2, "a"), whole=("a",)))
    lanes.offer(delivery(1, "a"), reserved=False, leads=True)
    lanes.offer(delivery(2, "a"), reserved=False, leads=False)
    come(lanes, delivery(3, "a"), leads=False)
    assert [1, 2, 3] == list(drain(lanes))


def test_the_news_may_be_quicker_than_an_outcome() -> None:
    """One that leads its lane, as the journal knows, before we have heard that the last ended."""
    lanes = loaded(Lanes(max_bytes=10))
    come(lanes, delivery(1, "a", size=8), leads=True)
    first = taken(lanes)
    come(lanes, delivery(2, "a", size=8), leads=True)
    lanes.ended(first)
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_what_the_journal_says_of_a_lane_counts() -> None:
    """A place that was kept is given up if the journal has something to load before it."""
    lanes = loaded(answer=due(next_due_at=NOW + 60))
    come(lanes, delivery(2, "a"), leads=False)
    assert (0, False, NOW + 60) == (len(lanes), lanes.ready, lanes.load_at)
    come(lanes, delivery(3, "b"), leads=True)
    assert [3] == list(drain(lanes))


def test_what_the_journal_has_is_due_if_nothing_waits() -> None:
    """A row that nobody knew of is looked at, and does not wait for one that is to come."""
    lanes = loaded()
    come(lanes, delivery(2, "a"), leads=False)
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_a_load_waits_for_the_commit_of_what_it_finds_preceded() -> None:
    """A journal that is read while it can't be written is not read again and again."""
    lanes = loaded(answer=due(next_due_at=NOW + 60))
    lanes.reserve("a", 1, NOW)
    lanes.begin_load()
    lanes.finish_load(due(delivery(1, "a"), whole=("a",)))
    assert lanes.load_at is None
    lanes.offer(delivery(2, "a", size=1), reserved=True, leads=False)
    assert 0.0 == lanes.load_at


def test_a_lane_that_grew_before_it_was_forgotten_has_a_row_still() -> None:
    """The journal did not forget it then: once it has ended here, it is to forget it again."""
    lanes = loaded(answer=due(delivery(1, "a"), whole=("a",)))
    come(lanes, delivery(2, "a"))
    lanes.forgotten("a", 1)
    assert [False, True] == [lanes.ended(taken(lanes)) for _ in range(2)]
    assert 0.0 == lanes.load_at


def test_a_load_asks_for_a_lane_that_only_a_place_is_kept_in() -> None:
    """Its row may fall due before its commit has told that there is one."""
    lanes = loaded()
    lanes.reserve("a", 1, NOW)
    assert frozenset() == lanes.begin_load().skip
    lanes.finish_load(due(delivery(1, "a"), whole=("a",)))
    lanes.offer(delivery(2, "a", size=1), reserved=True, leads=False)
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_a_place_is_given_back() -> None:
    """What the journal knew already, or does not take, leaves nothing behind."""
    lanes = loaded(Lanes(max_deliveries=1))
    assert lanes.reserve("a", 5, NOW)
    assert not lanes.reserve("b", 5, NOW)
    lanes.release("a", 5)
    assert (0, None) == (len(lanes), lanes.load_at)
    assert lanes.reserve("b", 5, NOW)


def test_a_lane_waits_for_what_is_about_to_come() -> None:
    """It stays while a place is kept in it, and goes on with what comes there."""
    lanes = loaded()
    come(lanes, delivery(1, "a"))
    assert lanes.reserve("a", 2, NOW)
    assert not lanes.ended(taken(lanes))
    assert (1, False) == (len(lanes), lanes.ready)
    lanes.offer(delivery(2, "a"), reserved=True, leads=False)
    assert [2] == list(drain(lanes))


def test_the_journal_forgets_what_has_ended_here() -> None:
    """Of a lane that was not whole it may remember something to load, though nothing is left."""
    lanes = loaded(answer=due(delivery(1, "a"), delivery(2, "b"), whole=("b",)))
    assert [True, False] == [lanes.ended(taken(lanes)) for _ in range(2)]


# --- Operators ----------------------------------------------------------------------------------


def test_reading_again_keeps_only_what_is_in_flight() -> None:
    """The journal has changed: everything else is asked for again, once it has noted that."""
    lanes = loaded()
    for number, lane in ((1, "a"), (2, "a"), (3, "b")):
        come(lanes, delivery(number, lane), leads=number != 2)
    first = taken(lanes)
    lanes.reserve("a", 1, NOW)
    lanes.reread()
    assert (1, False, None) == (len(lanes), lanes.ready, lanes.load_at)
    lanes.noted()
    assert 0.0 == lanes.load_at
    lanes.offer(delivery(4, "a", size=1), reserved=True, leads=False)
    assert frozenset({"a"}) == lanes.begin_load().skip
    lanes.finish_load(due(delivery(3, "b"), whole=("b",)))
    assert lanes.ended(first)
    assert [3] == list(drain(lanes))
    assert 0.0 == lanes.load_at


def test_reading_again_disbelieves_an_answer_under_way() -> None:
    """It may be from before the change."""
    lanes = Lanes()
    lanes.begin_load()
    lanes.reread()
    lanes.finish_load(due(delivery(2, "a"), whole=("a",)))
    lanes.noted()
    assert (0, 0.0) == (len(lanes), lanes.load_at)


def test_what_was_revived_does_not_wait_for_a_retry() -> None:
    """An operator's retry that comes while another of its lane is in flight goes first."""
    lanes = loaded()
    come(lanes, delivery(2, "a"), leads=True)
    second = taken(lanes)
    lanes.reread()
    lanes.noted()
    lanes.begin_load()
    lanes.finish_load(due())
    assert lanes.load_at is None
    lanes.postponed(second, NOW + 600)
    assert 0.0 == lanes.load_at


# --- Replays --------------------------------------------------------------------------------------


def again(number: int, lane: str) -> Delivery:
    """Make a delivery of a replay."""
    return structs.replace(delivery(number, f"replay {lane}"), replay=1)


def test_what_is_new_goes_before_a_replay() -> None:
    """A replay goes when nothing else is ready, in its order."""
    answer = due(again(1, "a"), again(2, "a"), again(3, "b"), whole=("replay a", "replay b"))
    lanes = loaded(answer=answer)
    come(lanes, delivery(4, "a"), leads=True)
    assert [4, 1, 3, 2] == list(drain(lanes))


def test_so_many_of_a_replay_are_under_way() -> None:
    """Until one of them has ended, however that is, nothing more of it is given out."""
    lanes = loaded(answer=due(*(again(n, str(n)) for n in range(6))))
    first, second = lanes.take(most_replays=2), lanes.take(most_replays=2)
    assert first is not None
    assert second is not None
    assert lanes.take(most_replays=2) is None
    assert lanes.ready
    lanes.ended(first)
    third = lanes.take(most_replays=2)
    assert third is not None
    lanes.postponed(second, NOW)
    assert lanes.take(most_replays=2) is not None
    lanes.returned(third)
    assert lanes.take(most_replays=2) == third
    assert lanes.take(most_replays=2) is None


def test_a_probe_is_what_is_new_first() -> None:
    """The oldest of what is owed, and of a replay only if nothing is."""
    lanes = loaded(answer=due(again(1, "a"), again(2, "b")))
    come(lanes, delivery(4, "d"), leads=True)
    come(lanes, delivery(3, "c"), leads=True)
    assert [3, 4, 1] == [each.id for each in (lanes.take(oldest=True) for _ in range(3)) if each]


def test_more_in_the_journal_is_loaded() -> None:
    """What is in memory stays there, and the next load brings the rest, whenever that is."""
    lanes = loaded()
    come(lanes, delivery(1, "a"), leads=True)
    lanes.look_again()
    assert 0.0 == lanes.load_at
    assert ["a"] == list(lanes.begin_load().skip)
    lanes.look_again()
    lanes.finish_load(due())
    assert 0.0 == lanes.load_at


def test_a_replay_that_is_fed_may_grow_where_it_is_in_memory() -> None:
    """Its lanes are not whole any more, and the journal is asked when they have ended."""
    lanes = loaded(answer=due(again(1, "a"), whole=("replay a",)))
    lanes.begin_load()
    lanes.replay_fed()
    lanes.finish_load(due(again(2, "b"), whole=("replay b",)))
    lanes.begin_load()
    lanes.finish_load(due())
    assert [True, True] == [lanes.ended(taken(lanes)) for _ in range(2)]
    assert 0.0 == lanes.load_at


def test_a_reread_drops_replays_too() -> None:
    """What an operator cancelled is not in memory any more."""
    lanes = loaded(answer=due(again(1, "a"), again(2, "b")))
    lanes.reread()
    assert lanes.take() is None
