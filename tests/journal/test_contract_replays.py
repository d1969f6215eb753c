"""What every journal promises of replays."""

from collections.abc import Callable

import pytest

from relay.journal.open import OpenJournal
from relay.journal.replays import LOOKED_THROUGH_AT_ONCE, REPLAYED_BYTES
from relay.model.admin import AdminStore, DeadLetterQuery
from relay.model.journal import OperatorEventKind, Settled
from relay.model.messages import (
    Deferred,
    Delivery,
    DeliveryState,
    EndpointKey,
    Message,
    Outcome,
    PriorOutcome,
    ReceiptState,
)
from relay.model.ports import Journal
from relay.model.replays import EndpointInfo, ReplayOrder, ReplayTurn, Survey
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    confirm,
    dead,
    defer,
    delivered,
    due,
    ids,
    imbalance,
    postponed,
    receive,
    record,
    settle,
    uuid,
)

ALL = ReplayOrder(CRM)
OTHER = EndpointKey("other", "crm")


def everything(message: Message) -> str | None:
    """Want every message, in order."""
    return message.conversation_id


async def taken(journal: Journal, *numbers: int, at: float = NOW) -> None:
    """Let messages come, be taken by both endpoints, and be READ."""
    made = await receive(journal, *(arrival(number, CRM, LOG) for number in numbers))
    await settle(journal, [delivered(each) for each in made], at)
    await confirm(journal)


async def fed(journal: Journal, most: int = 100) -> ReplayTurn:
    """Let the replay to the CRM go on."""
    return await journal.feed_replay(CRM, everything, NOW, most=most)


async def again(journal: Journal) -> list[Delivery]:
    """Give the deliveries of replays that are due."""
    return [each for each in (await due(journal)).deliveries if each.replay is not None]


async def state(desk: AdminStore, number: int = 1) -> tuple[object, ...]:
    """Tell of a message what a replay must not touch."""
    (history,) = await desk.history(uuid(number))
    summary = history.message
    return summary.outcome, summary.finished_at, summary.receipt, history.receipt_at


# --- What goes again ------------------------------------------------------------------------------


async def test_what_was_taken_goes_again_in_order(journal: Journal, desk: AdminStore) -> None:
    """Oldest first, as deliveries of their own that nobody has attempted, in lanes of their own."""
    await taken(journal, 1, 2, 3)
    asked = await desk.ask_replay(ALL, NOW)
    assert asked is not None
    assert asked.accepted
    assert ReplayTurn(3) == await fed(journal)
    assert [uuid(1), uuid(2), uuid(3)] == [each.message.message_id for each in await again(journal)]
    (first, *_) = await again(journal)
    assert (0, PriorOutcome.NONE, 1) == (first.attempts, first.prior_outcome, first.replay)
    assert first.lane != "c"
    assert b"{}" == first.message.frame
    assert [] == ids(await due(journal, LOG))


async def test_nothing_of_a_message_depends_on_its_replay(
    journal: Journal, desk: AdminStore
) -> None:
    """Its outcome, end and receipt stay; the books balance; it is not unfinished again."""
    await taken(journal, 1)
    before, census = await state(desk), await journal.census()
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    (delivery,) = await again(journal)
    for outcome in (postponed(delivery, NOW), dead(delivery)):
        (settled,) = await settle(journal, [outcome], LATER)
        assert Settled() == settled
        assert before == await state(desk)
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    assert census.bots == (await journal.census()).bots
    assert 0 == await imbalance(journal)


@pytest.mark.parametrize("end", [delivered, dead])
async def test_what_was_left_unread_stays_so(
    journal: Journal, desk: AdminStore, end: object
) -> None:
    """A message that nobody wanted then and somebody gets now is not marked READ for that."""
    await receive(journal, arrival(1, unwanted_read=False))
    before = await state(desk)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    (delivery,) = await again(journal)
    await settle(journal, [end(delivery)], LATER)  # type: ignore[operator]
    await desk.discard(DeadLetterQuery(), LATER, mark_read=True)
    assert before == await state(desk)
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)


async def test_a_replay_does_not_hold_an_unfinished_message_up(
    journal: Journal, desk: AdminStore
) -> None:
    """What another endpoint has still to take is READ after that, whatever the replay does."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    await settle(journal, [delivered(crm)], NOW)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    (settled,) = await settle(journal, [delivered(log)], NOW)
    assert settled.receipt_owed
    assert [uuid(1)] == [ended.message_id for ended in await confirm(journal)]
    assert 1 == len(await again(journal))


async def test_what_is_owed_or_given_up_is_left_alone(journal: Journal, desk: AdminStore) -> None:
    """What is pending or dead has a way of its own, and what was discarded stays so."""
    made = await receive(journal, *(arrival(number, CRM, lane=f"l{number}") for number in range(5)))
    await settle(journal, [delivered(made[0]), dead(made[1]), dead(made[2]), dead(made[3])], NOW)
    await desk.discard(DeadLetterQuery(message_ids=(uuid(2),)), NOW, mark_read=True)
    await desk.discard(DeadLetterQuery(message_ids=(uuid(3),)), NOW, mark_read=False)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    assert [uuid(0)] == [each.message.message_id for each in await again(journal)]


async def test_what_was_never_owed_goes_too(journal: Journal, desk: AdminStore) -> None:
    """For a filter that lets it through now, or an endpoint that is new; of this bot only."""
    await receive(journal, arrival(1, LOG), arrival(2), arrival(3, bot="other"))
    await desk.ask_replay(ALL, NOW)
    assert 2 == (await fed(journal)).queued


async def test_filters_choose_and_name_the_lane(journal: Journal, desk: AdminStore) -> None:
    """What the endpoint doesn't want today is passed over; the lane is today's, too."""
    await taken(journal, 1, 2, 3)

    def odd(message: Message) -> str | None:
        return None if message.message_id == uuid(2) else "x"

    survey = await desk.survey_replay(ALL, odd, Survey())
    assert (2, True) == (survey.messages, survey.whole)
    await desk.ask_replay(ALL, NOW)
    await journal.feed_replay(CRM, odd, NOW, most=100)
    assert [(uuid(1), "replay x"), (uuid(3), "replay x")] == [
        (each.message.message_id, each.lane) for each in await again(journal)
    ]


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (0.0, None, [1, 2, 3, 4]),
        (NOW + 2, None, [1, 2, 3, 4]),
        (NOW + 2, NOW + 3, [2, 3]),
        (NOW + 99, NOW + 101, [1]),
        (NOW + 101, None, []),
        (0.0, NOW + 1, [1]),
    ],
)
async def test_a_time_is_when_it_came_or_was_delivered(
    journal: Journal, desk: AdminStore, since: float, until: float | None, numbers: list[int]
) -> None:
    """What came before a receiver's backup and was delivered after it is lost there as well."""
    await taken(journal, 1, at=NOW + 100)
    await taken(journal, 2, 3, 4, at=NOW + 3.5)
    order = ReplayOrder(CRM, since, until)
    assert len(numbers) == (await desk.survey_replay(order, everything, Survey())).messages
    await desk.ask_replay(order, NOW)
    await fed(journal)
    expected = [uuid(number) for number in numbers]
    assert expected == [each.message.message_id for each in await again(journal)]


# --- Bit by bit -----------------------------------------------------------------------------------


async def test_it_goes_on_where_it_was(
    opened: OpenJournal, journal: Journal, desk: AdminStore
) -> None:
    """No more than there is room for goes into lanes, over a restart too; each message once."""
    await taken(journal, *range(1, 6))
    await desk.ask_replay(ALL, NOW)
    assert ReplayTurn(2) == await fed(journal, 2)
    assert ReplayTurn() == await fed(journal, 0)
    await opened.journal.start([CRM, LOG], NOW)
    assert {PriorOutcome.UNKNOWN} == {each.prior_outcome for each in await again(journal)}
    assert ReplayTurn(3) == await fed(journal)
    assert [uuid(n) for n in range(1, 6)] == [d.message.message_id for d in await again(journal)]
    (record,) = await desk.replays()
    assert (1.0, 5, 5, None) == (
        record.looked_through,
        record.queued,
        record.pending,
        record.ended_at,
    )


async def test_it_ends_with_its_last_message(journal: Journal, desk: AdminStore) -> None:
    """It is under way until every message of it has ended; then it is told once."""
    await taken(journal, 1, 2)
    await desk.ask_replay(ALL, NOW)
    (under_way,) = await journal.replays_under_way()
    assert (CRM, 0, False) == (under_way.endpoint, under_way.waiting, under_way.read)
    await fed(journal)
    (under_way,) = await journal.replays_under_way()
    assert (2, True) == (under_way.waiting, under_way.read)
    first, second = await again(journal)
    await settle(journal, [delivered(first)], NOW)
    assert ReplayTurn() == await fed(journal)
    await settle(journal, [dead(second)], NOW)
    ended = (await fed(journal)).ended
    assert ended is not None
    assert (1, 1, NOW) == (ended.delivered, ended.dead, ended.ended_at)
    assert [] == await journal.replays_under_way()
    assert [ended] == await desk.replays()
    assert ReplayTurn() == await fed(journal)


async def test_much_is_looked_through_page_by_page(journal: Journal, desk: AdminStore) -> None:
    """One turn looks through so much and no more, whether it finds anything or not."""
    many = LOOKED_THROUGH_AT_ONCE + 10
    await record(journal, [arrival(number, LOG) for number in range(many)])
    first = await desk.survey_replay(ALL, everything, Survey())
    assert (LOOKED_THROUGH_AT_ONCE, False) == (first.messages, first.whole)
    whole = await desk.survey_replay(ALL, everything, first)
    assert (many, True) == (whole.messages, whole.whole)
    await desk.ask_replay(ReplayOrder(CRM, since=NOW + many - 5), NOW)
    assert ReplayTurn(0, more=True) == await fed(journal)
    assert ReplayTurn(5) == await fed(journal)


async def test_large_messages_go_a_few_at_a_time(journal: Journal, desk: AdminStore) -> None:
    """What waits in lanes is bounded in bytes; a single message always goes."""
    frame = b"x" * (REPLAYED_BYTES - 10)
    sizes = [b"x" * 10, frame, frame + frame, b"", b""]
    await record(journal, [arrival(n, LOG, frame=frame) for n, frame in enumerate(sizes)])
    await desk.ask_replay(ALL, NOW)
    for expected in (2, 1, 2):
        assert ReplayTurn(expected) == await fed(journal)
        if expected < len(sizes) - 3:
            assert ReplayTurn() == await fed(journal)
        while deliveries := (await due(journal, max_bytes=REPLAYED_BYTES * 3)).deliveries:
            await settle(journal, [delivered(deliveries[0])], NOW)


async def test_what_comes_later_is_not_in_it(journal: Journal, desk: AdminStore) -> None:
    """A replay ends with what had come when it was asked: the rest is owed anyway."""
    await taken(journal, 1)
    await desk.ask_replay(ALL, NOW)
    await taken(journal, 2)
    assert 1 == (await fed(journal)).queued


# --- Asking ---------------------------------------------------------------------------------------


async def test_one_at_a_time(journal: Journal, desk: AdminStore) -> None:
    """Who asks twice is told of the first, and nothing goes twice; after its end it may."""
    await taken(journal, 1)
    first = await desk.ask_replay(ALL, NOW)
    second = await desk.ask_replay(ReplayOrder(CRM, NOW), NOW)
    assert first is not None
    assert second is not None
    assert (first.replay, False) == (second.replay, second.accepted)
    assert [OperatorEventKind.REPLAY_ASKED] == [
        each.kind for each in await journal.operator_events(0)
    ]
    await fed(journal)
    await settle(journal, [delivered(each) for each in await again(journal)], NOW)
    await fed(journal)
    third = await desk.ask_replay(ALL, NOW)
    assert third is not None
    assert (2, True) == (third.replay.number, third.accepted)
    assert 1 == (await fed(journal)).queued


async def test_nobody_is_asked_for_who_is_not_configured(
    opened: OpenJournal, journal: Journal, desk: AdminStore
) -> None:
    """A replay to an endpoint that nobody knows, or that was removed, is none."""
    assert await desk.ask_replay(ReplayOrder(OTHER), NOW) is None
    await opened.journal.start([LOG], NOW)
    assert await desk.ask_replay(ALL, NOW) is None


async def test_a_cancelled_one_sends_no_more(journal: Journal, desk: AdminStore) -> None:
    """What waits is given up, what has been sent has been sent; its lanes are gone."""
    await taken(journal, 1, 2, 3)
    await desk.ask_replay(ALL, NOW)
    await fed(journal, 2)
    first, second = await again(journal)
    await settle(journal, [delivered(first)], NOW)
    record = await desk.cancel_replay(1, NOW)
    assert record is not None
    assert (True, NOW, 1, 0) == (
        record.cancelled,
        record.ended_at,
        record.delivered,
        record.pending,
    )
    assert [] == ids(await due(journal))
    assert [Settled()] == await settle(journal, [delivered(second)], NOW)
    assert [Settled()] == await settle(journal, [postponed(second, NOW)], NOW)
    assert [] == ids(await due(journal))
    assert ReplayTurn() == await fed(journal)
    assert OperatorEventKind.REPLAY_CANCELLED is (await journal.operator_events(0))[-1].kind
    assert await desk.cancel_replay(9, NOW) is None


async def test_what_has_ended_is_not_cancelled(journal: Journal, desk: AdminStore) -> None:
    """Cancelling what has ended changes nothing."""
    await desk.ask_replay(ALL, NOW)
    ended = (await fed(journal)).ended
    assert ended is not None
    assert ended == await desk.cancel_replay(1, LATER)


# --- Dead letters, endpoints that are gone, pruning -----------------------------------------------


async def test_a_replay_that_dies_is_a_dead_letter(journal: Journal, desk: AdminStore) -> None:
    """It is listed with its replay, retried and discarded as any, and its message stays READ."""
    await taken(journal, 1)
    before = await state(desk)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    await settle(journal, [dead(each) for each in await again(journal)], NOW)
    (letter,) = await desk.dead_letters(DeadLetterQuery())
    assert (1, "http_4xx") == (letter.replay, letter.reason)
    assert 1 == (await journal.census()).dead_letters[CRM]
    await desk.retry(DeadLetterQuery(), NOW)
    (delivery,) = await again(journal)
    assert before == await state(desk)
    await settle(journal, [dead(delivery)], NOW)
    for mark_read in (False, True):
        await desk.discard(DeadLetterQuery(), NOW, mark_read=mark_read)
        assert before == await state(desk)
    assert ReceiptState.CONFIRMED is before[2]
    assert [0] == [notice.count for notice in (await journal.operator_events(0))[-1:]]


async def test_a_removed_endpoint_gets_the_rest_when_it_is_back(
    opened: OpenJournal, journal: Journal, desk: AdminStore
) -> None:
    """What was in lanes is dead till then, what was not waits; no message changes."""
    await taken(journal, 1, 2)
    before = await state(desk)
    await desk.ask_replay(ALL, NOW)
    await fed(journal, 1)
    await opened.journal.start([LOG], NOW)
    assert ["removed"] == [each.reason for each in await desk.dead_letters(DeadLetterQuery())]
    assert [] == await journal.replays_under_way()
    await opened.journal.start([CRM, LOG], NOW)
    assert before == await state(desk)
    await fed(journal)
    assert [uuid(1), uuid(2)] == [each.message.message_id for each in await again(journal)]
    await opened.journal.start([LOG], NOW)
    await desk.cancel_replay(1, NOW)
    assert [] == await desk.dead_letters(DeadLetterQuery())


async def test_what_a_replay_may_still_send_is_not_pruned(
    opened: OpenJournal, journal: Journal, desk: AdminStore
) -> None:
    """Neither what waits in a lane nor what has not been looked at; the rest is."""
    await taken(journal, 1, 2)
    await desk.ask_replay(ALL, NOW)
    await taken(journal, 3)
    assert 1 == await journal.prune(LATER, limit=10)
    await fed(journal, 1)
    assert 0 == await journal.prune(LATER, limit=10)
    await fed(journal)
    assert 0 == await journal.prune(LATER, limit=10)
    first, second = await again(journal)
    await settle(journal, [delivered(first)], NOW)
    assert 1 == await journal.prune(LATER, limit=10)
    await opened.journal.start([LOG], NOW)
    assert 0 == await journal.prune(LATER, limit=10)
    await opened.journal.start([CRM, LOG], NOW)
    await settle(journal, [delivered(second)], NOW)
    await fed(journal)
    assert 1 == await journal.prune(LATER, limit=10)
    assert [] == await desk.replays()


@pytest.mark.parametrize("end", [delivered, dead, lambda delivery: postponed(delivery, LATER)])
async def test_what_is_pruned_in_flight_costs_nothing(
    journal: Journal, desk: AdminStore, end: Callable[[Delivery], Outcome]
) -> None:
    """An attempt may outlive its cancelled replay and its message; what ends beside it counts."""
    await taken(journal, 1)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    (in_flight,) = await again(journal)
    await desk.cancel_replay(1, NOW)
    assert 1 == await journal.prune(LATER, limit=10)
    (other,) = await receive(journal, arrival(2, CRM))
    gone, settled = await settle(journal, [end(in_flight), delivered(other)], LATER)
    assert Settled() == gone
    assert settled.receipt_owed
    assert [Settled()] == await settle(journal, [end(in_flight)], LATER)
    await defer(journal, [Deferred(in_flight)])
    assert [uuid(2)] == [ended.message_id for ended in await confirm(journal)]
    assert 0 == await imbalance(journal)


async def test_a_removed_endpoint_keeps_nothing(
    opened: OpenJournal, journal: Journal, desk: AdminStore
) -> None:
    """What it has not been sent is pruned in its time, as if nobody had asked."""
    await taken(journal, 1)
    await desk.ask_replay(ALL, NOW)
    await opened.journal.start([LOG], NOW)
    assert 1 == await journal.prune(LATER, limit=10)


async def test_an_endpoint_that_goes_gets_nothing_more(journal: Journal, desk: AdminStore) -> None:
    """Whoever feeds a replay a moment too late leaves nothing behind that nobody will deliver."""
    await taken(journal, 1)
    await desk.ask_replay(ALL, NOW)
    assert {} == await journal.reconfigure(added=(), removed=[CRM], now=NOW)
    assert ReplayTurn() == await fed(journal)
    assert [] == await again(journal)
    await journal.reconfigure(added=[CRM], removed=(), now=NOW)
    assert ReplayTurn(1) == await fed(journal)


async def test_operators_see_it(journal: Journal, desk: AdminStore) -> None:
    """A message's history names its replays; an endpoint counts them beside what it is owed."""
    await taken(journal, 1)
    await desk.ask_replay(ALL, NOW)
    await fed(journal)
    (history,) = await desk.history(uuid(1))
    assert [(None, DeliveryState.DELIVERED), (1, DeliveryState.PENDING)] == [
        (each.replay, each.state) for each in history.deliveries if each.endpoint == CRM
    ]
    (crm, log) = await desk.endpoints()
    assert (0, None, 1) == (crm.pending, crm.oldest_at, crm.replaying)
    assert 0 == log.replaying
    await record(journal, [arrival(2, CRM)])
    (crm, _) = await desk.endpoints()
    assert (1, NOW + 2, 1) == (crm.pending, crm.oldest_at, crm.replaying)


# --- New endpoints --------------------------------------------------------------------------------


def newcomer(
    key: EndpointKey = CRM, address: str = "there", *, retained: bool = True
) -> EndpointInfo:
    """Make an endpoint as a start introduces it."""
    return EndpointInfo(key, address, retained)


async def test_a_new_endpoint_gets_what_is_retained_once(
    opened: OpenJournal, desk: AdminStore
) -> None:
    """Finished and unfinished messages, and no READ waits for it; a second start begins nothing."""
    journal = opened.journal
    await journal.start([LOG], NOW)
    await journal.register_endpoints([newcomer(LOG)], NOW)
    (first, _) = await receive(journal, arrival(1, LOG), arrival(2, LOG))
    await settle(journal, [delivered(first)], NOW)
    await journal.start([CRM, LOG], NOW)
    for expected in ([1], []):
        begun = await journal.register_endpoints([newcomer(CRM), newcomer(LOG)], NOW)
        assert expected == [record.number for record in begun]
        await journal.start([CRM, LOG], NOW)
    assert 2 == (await fed(journal)).queued
    (second,) = (await due(journal, LOG)).deliveries
    (settled,) = await settle(journal, [delivered(second)], NOW)
    assert settled.receipt_owed
    assert [1] == [record.number for record in await desk.replays()]


@pytest.mark.parametrize("case", ["from now", "renamed", "nothing there", "known before"])
async def test_who_gets_nothing_that_came_before(opened: OpenJournal, case: str) -> None:
    """Without `retained`, by another name, on an empty journal, or when it was known already."""
    journal, before = opened.journal, EndpointKey("bot", "before")
    await journal.start([before, CRM] if case == "known before" else [before], NOW)
    known = [newcomer(CRM, "there", retained=False)] if case == "known before" else []
    await journal.register_endpoints([newcomer(before, "here"), *known], NOW)
    if case != "nothing there":
        await receive(journal, arrival(1, before))
    await journal.start([CRM], NOW)
    address = "here" if case == "renamed" else "there"
    came = newcomer(CRM, address, retained=case != "from now")
    assert [] == await journal.register_endpoints([came], NOW)
    await journal.start([CRM], NOW)
    assert [] == await journal.register_endpoints([newcomer(CRM, "elsewhere")], NOW)


async def test_a_second_endpoint_at_one_address_is_new(opened: OpenJournal) -> None:
    """Only who takes the place of another is the same by another name."""
    journal = opened.journal
    await journal.start([LOG], NOW)
    await journal.register_endpoints([newcomer(LOG)], NOW)
    await receive(journal, arrival(1, LOG))
    await journal.start([CRM, LOG], NOW)
    assert 1 == len(await journal.register_endpoints([newcomer(CRM), newcomer(LOG)], NOW))
