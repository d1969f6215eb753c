"""What an operator may do with dead letters, in every journal."""

from collections.abc import Callable, Sequence

import pytest

from relay.model.admin import AdminStore, DeadLetter, DeadLetterQuery, MessageQuery
from relay.model.journal import BotCensus, Finished, OperatorEvent, OperatorEventKind
from relay.model.messages import (
    Delivery,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Outcome,
    PriorOutcome,
    Reason,
    ReceiptState,
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
    delivered,
    due,
    ids,
    imbalance,
    postponed,
    receive,
    settle,
    uuid,
)

ALL = DeadLetterQuery()


async def bury(journal: Journal, number: int, *endpoints: EndpointKey, lane: str = "c") -> None:
    """Receive a message and end it as a dead letter at each endpoint."""
    deliveries = await receive(journal, arrival(number, *endpoints, lane=lane))
    await settle(journal, [dead(delivery) for delivery in deliveries], NOW + number)


def names(letters: Sequence[DeadLetter]) -> list[tuple[str, str]]:
    """Name dead letters by endpoint and message."""
    return [(letter.endpoint.name, letter.message_id) for letter in letters]


async def outcome(desk: AdminStore) -> MessageOutcome | None:
    """Give the outcome of the only message."""
    (summary,) = await desk.messages(MessageQuery())
    return summary.outcome


# --- Listing ------------------------------------------------------------------------------------


async def test_a_dead_letter_says_why(journal: Journal, desk: AdminStore) -> None:
    """A dead letter holds its message's ids and what its last attempt came to."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [postponed(delivery, NOW)], NOW)
    (delivery,) = (await due(journal)).deliveries
    await settle(journal, [dead(delivery)], LATER)
    why = ("http_4xx", 400, "no")
    letter = DeadLetter(CRM, uuid(1), "c", "PLAIN_TEXT", 2, *why, NOW + 1, LATER)
    assert [letter] == await desk.dead_letters(ALL)


async def test_a_removed_endpoint_is_a_reason(journal: Journal, desk: AdminStore) -> None:
    """A dead letter of an endpoint that is gone from the settings needs no attempt."""
    await receive(journal, arrival(1, CRM))
    await journal.stop()
    await journal.start([LOG], LATER)
    why = ("removed", None, "")
    letter = DeadLetter(CRM, uuid(1), "c", "PLAIN_TEXT", 0, *why, NOW + 1, LATER)
    assert [letter] == await desk.dead_letters(ALL)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ALL, [("crm", 1), ("crm", 2), ("log", 2), ("crm", 3)]),
        (DeadLetterQuery(limit=2), [("crm", 1), ("crm", 2)]),
        (DeadLetterQuery(message_ids=(uuid(3), uuid(1))), [("crm", 1), ("crm", 3)]),
        (DeadLetterQuery(message_ids=()), []),
        (DeadLetterQuery(bot="bot", endpoint="log"), [("log", 2)]),
        (DeadLetterQuery(bot="other"), []),
        (DeadLetterQuery(endpoint="nobody"), []),
        (DeadLetterQuery(reason="timeout"), [("crm", 3)]),
        (DeadLetterQuery(reason=""), []),
        (DeadLetterQuery(until=NOW + 2), [("crm", 1)]),
        (DeadLetterQuery(endpoint="crm", reason="http_4xx", limit=1), [("crm", 1)]),
    ],
)
async def test_dead_letters_are_listed_oldest_first(
    journal: Journal, desk: AdminStore, query: DeadLetterQuery, expected: list[tuple[str, int]]
) -> None:
    """Every condition of a query holds at once, and the one that died first comes first."""
    await receive(journal, arrival(9, CRM, lane="alive"))
    await bury(journal, 1, CRM)
    await bury(journal, 2, CRM, LOG)
    (third,) = await receive(journal, arrival(3, CRM))
    await settle(journal, [dead(third, Transient(Reason.TIMEOUT))], NOW + 3)
    letters = await desk.dead_letters(query)
    assert [(name, uuid(number)) for name, number in expected] == names(letters)


# --- Retrying -----------------------------------------------------------------------------------


async def test_a_retried_dead_letter_is_due_at_once(journal: Journal, desk: AdminStore) -> None:
    """A revived delivery counts its patience anew, but remembers its attempts."""
    (delivery,) = await receive(journal, arrival(1, CRM, in_window=True))
    timeout = Transient(Reason.TIMEOUT, doubtful=True)
    await settle(journal, [dead(delivery, timeout)], NOW)
    revived = await desk.retry(ALL, LATER)
    assert [("crm", uuid(1))] == names(revived)
    assert () == (await due(journal, now=LATER - 1)).deliveries
    (delivery,) = (await due(journal, now=LATER)).deliveries
    assert (1, 0, 0, None) == (
        delivery.attempts,
        delivery.failures,
        delivery.rejections,
        delivery.first_attempt_at,
    )
    assert PriorOutcome.UNKNOWN is delivery.prior_outcome
    assert [] == await desk.dead_letters(ALL)


async def test_a_retried_message_is_unfinished_again(journal: Journal, desk: AdminStore) -> None:
    """A message with a revived delivery is pending, in the books too, and may still become READ."""
    await bury(journal, 1, CRM)
    assert MessageOutcome.DEAD is await outcome(desk)
    await desk.retry(ALL, NOW)
    assert await outcome(desk) is None
    assert BotCensus(1, NOW + 1, 0, 0) == (await journal.census()).bots["bot"]
    (delivery,) = (await due(journal)).deliveries
    (settled,) = await settle(journal, [delivered(delivery)], NOW)
    assert settled.receipt_owed
    assert [Finished(uuid(1), MessageOutcome.READ)] == await confirm(journal)
    assert BotCensus(0, None, 0, 0) == (await journal.census()).bots["bot"]


async def test_retrying_leaves_a_notice_for_each_endpoint(
    journal: Journal, desk: AdminStore
) -> None:
    """A running relay is told how many dead letters each endpoint got back."""
    await bury(journal, 1, CRM)
    await bury(journal, 2, CRM, LOG)
    await desk.retry(ALL, NOW)
    assert [
        OperatorEvent(1, OperatorEventKind.REVIVED, CRM, 2),
        OperatorEvent(2, OperatorEventKind.REVIVED, LOG, 1),
    ] == await journal.operator_events(0)
    assert [OperatorEvent(2, OperatorEventKind.REVIVED, LOG, 1)] == await journal.operator_events(1)


async def test_what_nobody_would_attempt_stays_dead(journal: Journal, desk: AdminStore) -> None:
    """A dead letter of an endpoint that is configured no more can't be retried, only discarded."""
    await bury(journal, 1, CRM)
    await bury(journal, 2, LOG)
    await journal.stop()
    await journal.start([LOG], NOW)
    assert [uuid(2)] == [letter.message_id for letter in await desk.retry(ALL, NOW)]
    assert [uuid(1)] == [letter.message_id for letter in await desk.dead_letters(ALL)]
    assert 1 == len(await desk.discard(ALL, NOW, mark_read=False))


async def test_retrying_nothing_leaves_no_notice(journal: Journal, desk: AdminStore) -> None:
    """Where no dead letter matches, nothing happens."""
    await receive(journal, arrival(1, CRM))
    assert [] == await desk.retry(ALL, NOW)
    assert [] == await desk.discard(ALL, NOW, mark_read=True)
    assert [] == await journal.operator_events(0)


async def test_nobody_s_dead_letters_stay_dead(journal: Journal, desk: AdminStore) -> None:
    """What is owed to an endpoint that is not configured can't be retried, only given up."""
    await receive(journal, arrival(1, CRM))
    await journal.stop()
    await journal.start([LOG], NOW)
    assert [] == await desk.retry(ALL, NOW)
    assert [] == await journal.operator_events(0)
    assert [("crm", uuid(1))] == names(await desk.discard(ALL, NOW, mark_read=False))


async def test_a_revived_dead_letter_goes_first_in_its_lane(
    journal: Journal, desk: AdminStore
) -> None:
    """A lane keeps the order of arrival although later messages wait in it."""
    await bury(journal, 1, CRM)
    await receive(journal, arrival(2, CRM), arrival(3, CRM))
    await desk.retry(ALL, NOW)
    assert [uuid(1), uuid(2), uuid(3)] == ids(await due(journal))
    (waiting,) = (await desk.history(uuid(2)))[0].deliveries
    assert waiting.waits


async def test_a_revived_dead_letter_does_not_wait_for_a_later_one(
    journal: Journal, desk: AdminStore
) -> None:
    """A lane is due with its first: a later delivery's retry, before or after, holds it not up."""
    await bury(journal, 1, CRM)
    (second,) = await receive(journal, arrival(2, CRM))
    await settle(journal, [postponed(second, LATER)], NOW)
    await desk.retry(ALL, NOW)
    assert [uuid(1), uuid(2)] == ids(await due(journal, now=NOW))
    (_, second) = (await due(journal, now=NOW)).deliveries
    await settle(journal, [postponed(second, LATER)], NOW)
    assert [uuid(1), uuid(2)] == ids(await due(journal, now=NOW))


async def test_a_revived_optional_dead_letter_owes_no_second_receipt(
    journal: Journal, desk: AdminStore
) -> None:
    """A message that is READ stays so while an optional endpoint is tried again."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    await settle(journal, [delivered(crm), dead(log)], NOW)
    await confirm(journal)
    await desk.retry(ALL, NOW)
    assert await outcome(desk) is None
    assert (await journal.census()).bots["bot"].oldest_unread_at is None
    (log,) = (await due(journal, LOG)).deliveries
    (settled,) = await settle(journal, [delivered(log)], NOW)
    assert (False, MessageOutcome.READ) == (settled.receipt_owed, settled.finished)
    assert 0 == await imbalance(journal)


# --- Discarding ---------------------------------------------------------------------------------


async def test_a_discarded_dead_letter_is_never_read(journal: Journal, desk: AdminStore) -> None:
    """Discarding alone ends the message as discarded and leaves it unread."""
    await bury(journal, 1, CRM)
    letters = await desk.discard(ALL, LATER, mark_read=False)
    assert [("crm", uuid(1))] == names(letters)
    (history,) = await desk.history(uuid(1))
    assert (DeliveryState.DISCARDED, MessageOutcome.DISCARDED, LATER, ReceiptState.NONE) == (
        history.deliveries[0].state,
        history.message.outcome,
        history.message.finished_at,
        history.message.receipt,
    )
    assert [] == await confirm(journal)
    assert [OperatorEvent(1, OperatorEventKind.DISCARDED, CRM, 1)] == await journal.operator_events(
        0
    )
    assert BotCensus(0, None, 0, 0) == (await journal.census()).bots["bot"]


async def test_a_waived_dead_letter_lets_its_message_be_read(
    journal: Journal, desk: AdminStore
) -> None:
    """With `mark_read` the receipt is owed, and with it the message ends as discarded."""
    await bury(journal, 1, CRM)
    await desk.discard(ALL, LATER, mark_read=True)
    (history,) = await desk.history(uuid(1))
    assert (DeliveryState.WAIVED, None, ReceiptState.OWED) == (
        history.deliveries[0].state,
        history.message.outcome,
        history.message.receipt,
    )
    assert [OperatorEvent(1, OperatorEventKind.WAIVED, CRM, 0)] == await journal.operator_events(0)
    assert BotCensus(1, NOW + 1, 1, 0) == (await journal.census()).bots["bot"]
    assert [Finished(uuid(1), MessageOutcome.DISCARDED)] == await confirm(journal)
    assert BotCensus(0, None, 0, 0) == (await journal.census()).bots["bot"]


@pytest.mark.parametrize(
    ("other", "receipts", "ended"),
    [
        (delivered, 1, None),
        (dead, 0, MessageOutcome.DEAD),
        (lambda delivery: postponed(delivery, LATER), 0, None),
    ],
)
async def test_a_waived_dead_letter_frees_nobody_else(
    journal: Journal,
    desk: AdminStore,
    other: Callable[[Delivery], Outcome],
    receipts: int,
    ended: MessageOutcome | None,
) -> None:
    """READ is owed only when no other required delivery holds it back."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    await settle(journal, [dead(crm), other(log)], NOW)
    await desk.discard(DeadLetterQuery(endpoint="crm"), LATER, mark_read=True)
    assert receipts == len(await journal.owed_receipts("bot", after=0, limit=10))
    assert ended is await outcome(desk)
    assert 0 == await imbalance(journal)


async def test_discarding_beside_a_waived_one_still_leaves_unread(
    journal: Journal, desk: AdminStore
) -> None:
    """One endpoint's waiver does not make up for another's discarded dead letter."""
    await bury(journal, 1, CRM, LOG)
    await desk.discard(DeadLetterQuery(endpoint="crm"), NOW, mark_read=False)
    await desk.discard(DeadLetterQuery(endpoint="log"), NOW, mark_read=True)
    assert MessageOutcome.DISCARDED is await outcome(desk)
    assert [] == await confirm(journal)


async def test_a_notice_counts_the_messages_that_became_discarded(
    journal: Journal, desk: AdminStore
) -> None:
    """Each message counts once, when its last required dead letter is given up."""
    await bury(journal, 1, CRM, LOG)
    await bury(journal, 2, CRM)
    await desk.discard(DeadLetterQuery(endpoint="crm"), NOW, mark_read=False)
    await desk.discard(ALL, NOW, mark_read=False)
    assert [
        OperatorEvent(1, OperatorEventKind.DISCARDED, CRM, 1),
        OperatorEvent(2, OperatorEventKind.DISCARDED, LOG, 1),
    ] == await journal.operator_events(0)


async def test_an_optional_dead_letter_counts_no_message_twice(
    journal: Journal, desk: AdminStore
) -> None:
    """Giving up what held nothing back, with the rest or after it, finishes no message again."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    await settle(journal, [dead(crm), dead(log)], NOW)
    await bury(journal, 2, CRM)
    crm, log = await receive(journal, arrival(3, CRM, optional=(LOG,)))
    await settle(journal, [dead(crm), dead(log)], NOW + 3)
    await desk.discard(DeadLetterQuery(message_ids=(uuid(1),)), NOW, mark_read=False)
    await desk.discard(DeadLetterQuery(endpoint="crm"), NOW, mark_read=False)
    await desk.discard(DeadLetterQuery(endpoint="log"), NOW, mark_read=False)
    counts = [(notice.endpoint, notice.count) for notice in await journal.operator_events(0)]
    assert [(CRM, 0), (LOG, 1), (CRM, 2), (LOG, 0)] == counts
    assert 0 == await imbalance(journal)


async def test_an_optional_dead_letter_given_up_changes_no_outcome(
    journal: Journal, desk: AdminStore
) -> None:
    """A message that is READ stays READ when its optional dead letter is discarded."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    await settle(journal, [delivered(crm), dead(log)], NOW)
    await confirm(journal)
    await desk.discard(ALL, LATER, mark_read=False)
    assert MessageOutcome.READ is await outcome(desk)
    assert [OperatorEvent(1, OperatorEventKind.DISCARDED, LOG, 0)] == await journal.operator_events(
        0
    )
    assert BotCensus(0, None, 0, 0) == (await journal.census()).bots["bot"]


async def test_a_discarded_dead_letter_is_never_revived(journal: Journal, desk: AdminStore) -> None:
    """Neither a retry nor its endpoint's return brings back what an operator gave up."""
    await receive(journal, arrival(1, CRM))
    await journal.stop()
    await journal.start([LOG], NOW)
    await desk.discard(ALL, NOW, mark_read=False)
    assert [] == await desk.retry(ALL, NOW)
    await journal.stop()
    await journal.start([CRM, LOG], NOW)
    assert () == (await due(journal)).deliveries
    assert MessageOutcome.DISCARDED is await outcome(desk)


async def test_what_was_given_up_is_pruned(journal: Journal, desk: AdminStore) -> None:
    """A dead letter stays until an operator has decided, and then goes with its message."""
    await bury(journal, 1, CRM)
    assert 0 == await journal.prune(LATER, limit=10)
    await desk.discard(ALL, NOW, mark_read=False)
    assert 1 == await journal.prune(LATER, limit=10)
    assert [] == await desk.messages(MessageQuery())
    assert 0 == await imbalance(journal)
