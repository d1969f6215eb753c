"""What every journal's desk tells of messages."""

import pytest

from relay.model.admin import AdminStore, AttemptRecord, MessageQuery, MessageSummary
from relay.model.journal import EndpointNote
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    Deferred,
    DeliveryState,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
    Transient,
)
from relay.model.ports import Journal
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
    note_endpoint,
    postponed,
    receive,
    record,
    settle,
    uuid,
)

OTHER_BOT = "other"


async def numbers(desk: AdminStore, query: MessageQuery) -> list[int]:
    """List the numbers of the messages in their order."""
    known = {uuid(number): number for number in range(1, 100)}
    return [known[summary.message_id] for summary in await desk.messages(query)]


@pytest.fixture
async def assorted(journal: Journal) -> None:
    """Receive a message of each kind: 1 is READ, 2 is dead, 3 waits, 4 to 6 are unwanted."""
    one, two, _ = await receive(
        journal,
        arrival(1, CRM),
        arrival(2, CRM, lane="d"),
        arrival(3, CRM, lane="e", category="APP_CARD"),
    )
    await settle(journal, [delivered(one), dead(two)], NOW)
    await confirm(journal)
    unwanted = [arrival(4), arrival(5, lane=""), arrival(6, bot=OTHER_BOT)]
    await record(journal, unwanted)
    await confirm(journal)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (MessageQuery(), [6, 5, 4, 3, 2, 1]),
        (MessageQuery(limit=2), [6, 5]),
        (MessageQuery(bot="bot"), [5, 4, 3, 2, 1]),
        (MessageQuery(bot=OTHER_BOT), [6]),
        (MessageQuery(bot=""), []),
        (MessageQuery(conversation_id="c"), [6, 4, 1]),
        (MessageQuery(conversation_id=""), [5]),
        (MessageQuery(category="APP_CARD"), [3]),
        (MessageQuery(category="NO_SUCH"), []),
        (MessageQuery(pending=True), [6, 3]),
        (MessageQuery(pending=False), [5, 4, 2, 1]),
        (MessageQuery(outcome=MessageOutcome.READ), [1]),
        (MessageQuery(outcome=MessageOutcome.DEAD), [2]),
        (MessageQuery(outcome=MessageOutcome.UNWANTED), [5, 4]),
        (MessageQuery(outcome=MessageOutcome.DISCARDED), []),
        (MessageQuery(bot="bot", conversation_id="c", pending=False, limit=1), [4]),
    ],
)
async def test_messages_are_listed_newest_first(
    assorted: None, desk: AdminStore, query: MessageQuery, expected: list[int]
) -> None:
    """Every condition of a query holds at once, and the newest come first."""
    assert expected == await numbers(desk, query)


async def test_a_summary_says_how_a_message_stands(journal: Journal, desk: AdminStore) -> None:
    """A summary holds what was pushed, the outcome and the receipt."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [delivered(delivery)], NOW)
    (owed,) = await desk.messages(MessageQuery())
    await confirm(journal, now=LATER)
    (read,) = await desk.messages(MessageQuery())
    pushed = ("bot", uuid(1), "c", "u", "PLAIN_TEXT", Source.LIVE, NOW + 1)
    assert MessageSummary(*pushed, None, None, ReceiptState.OWED) == owed
    assert MessageSummary(*pushed, MessageOutcome.READ, LATER, ReceiptState.CONFIRMED) == read


async def test_the_journal_knows_nothing_of_strangers(journal: Journal, desk: AdminStore) -> None:
    """An id that never came has no history."""
    await receive(journal, arrival(1, CRM))
    assert [] == await desk.history(uuid(2))


async def test_a_history_tells_each_attempt(journal: Journal, desk: AdminStore) -> None:
    """Attempts come in order, with status, duration and reason, and then what comes next."""
    (delivery,) = await receive(journal, arrival(1, CRM, frame=b"frame"))
    timeout = Transient(Reason.TIMEOUT, detail="15 s", doubtful=True)
    await settle(journal, [postponed(delivery, NOW, timeout)], NOW)
    (delivery,) = (await due(journal)).deliveries
    await settle(journal, [postponed(delivery, LATER)], NOW)
    (history,) = await desk.history(uuid(1))
    (record,) = history.deliveries
    failed = AttemptOutcome.TRANSIENT
    assert (
        AttemptRecord(1, NOW, 0.25, failed, None, Reason.TIMEOUT, "15 s"),
        AttemptRecord(2, NOW, 0.25, failed, 500, Reason.HTTP_5XX, ""),
    ) == record.attempts
    assert (CRM, True, DeliveryState.PENDING) == (record.endpoint, record.required, record.state)
    assert (LATER, False, True) == (record.due_at, record.waits, record.doubtful)
    assert (None, None) == (record.ended_at, record.ended_reason)
    assert (None, b"frame") == (history.receipt_at, history.frame)


async def test_a_history_tells_the_end(journal: Journal, desk: AdminStore) -> None:
    """Each endpoint's end is told with its time and reason, and the receipt with its time."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    await settle(journal, [delivered(crm), dead(log)], LATER)
    await confirm(journal, now=LATER + 1)
    (history,) = await desk.history(uuid(1))
    first, second = history.deliveries
    assert (DeliveryState.DELIVERED, LATER, None) == (
        first.state,
        first.ended_at,
        first.ended_reason,
    )
    assert (DeliveryState.DEAD, LATER, "http_4xx", False) == (
        second.state,
        second.ended_at,
        second.ended_reason,
        second.required,
    )
    assert [(None, False)] * 2 == [(each.due_at, each.waits) for each in history.deliveries]
    assert (ReceiptState.CONFIRMED, LATER + 1) == (history.message.receipt, history.receipt_at)


async def test_a_history_says_what_waits_behind_another(journal: Journal, desk: AdminStore) -> None:
    """A delivery behind another of its lane waits, and has no time of its own until it leads."""
    first, _ = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    (behind,) = (await desk.history(uuid(2)))[0].deliveries
    await settle(journal, [dead(first)], LATER)
    (leading,) = (await desk.history(uuid(2)))[0].deliveries
    assert (None, True) == (behind.due_at, behind.waits)
    assert (NOW + 1, False) == (leading.due_at, leading.waits)


@pytest.mark.parametrize("state", [BreakerState.OPEN, BreakerState.GONE, BreakerState.PAUSED])
async def test_a_history_says_what_holds_a_delivery_up(
    journal: Journal, desk: AdminStore, state: BreakerState
) -> None:
    """Beside the time of the next attempt is how its endpoint stands."""
    await receive(journal, arrival(1, CRM, LOG))
    await note_endpoint(journal, CRM, EndpointNote(state))
    if state is BreakerState.PAUSED:
        await desk.pause(CRM)
    (history,) = await desk.history(uuid(1))
    assert [state, BreakerState.CLOSED] == [record.circuit for record in history.deliveries]


async def test_a_history_says_that_an_attempt_was_cut(journal: Journal, desk: AdminStore) -> None:
    """A delivery whose attempt a stop cut short is doubtful, without an attempt on record."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await defer(journal, [Deferred(delivery)])
    ((record,),) = [history.deliveries for history in await desk.history(uuid(1))]
    assert (True, ()) == (record.doubtful, record.attempts)


async def test_two_bots_histories_of_one_id(journal: Journal, desk: AdminStore) -> None:
    """A message that two bots have is told for each, by the bots' names."""
    await record(journal, [arrival(1, bot=OTHER_BOT), arrival(1)])
    histories = await desk.history(uuid(1))
    assert ["bot", OTHER_BOT] == [history.message.bot for history in histories]
    assert [()] * 2 == [history.deliveries for history in histories]
