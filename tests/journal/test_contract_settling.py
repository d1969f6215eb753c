"""What every journal promises of attempts and receipts."""

from relay.model.journal import (
    Finished,
    Settled,
)
from relay.model.messages import Deferred, MessageOutcome, PriorOutcome, Reason, Transient
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    dead,
    defer,
    delivered,
    due,
    ids,
    postponed,
    receive,
    record,
    settle,
    settle_receipts,
    uuid,
)

# --- Attempts -------------------------------------------------------------------------------------


async def test_a_failed_attempt_is_charged(journal: Journal) -> None:
    """Attempts, failures, rejections and the first attempt's time are counted."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [postponed(delivery, NOW)], NOW)
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
    await settle(journal, [postponed(delivery, NOW, timeout)], NOW)
    (delivery,) = (await due(journal)).deliveries
    await settle(journal, [postponed(delivery, NOW)], NOW)
    (delivery,) = (await due(journal)).deliveries
    assert PriorOutcome.UNKNOWN is delivery.prior_outcome


async def test_a_deferred_attempt_is_charged_to_nobody(journal: Journal) -> None:
    """A cut attempt leaves the delivery doubtful and its count as it was."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await defer(journal, [Deferred(delivery)])
    (delivery,) = (await due(journal)).deliveries
    assert (0, PriorOutcome.UNKNOWN) == (delivery.attempts, delivery.prior_outcome)


async def test_read_is_owed_after_the_last_required_delivery(journal: Journal) -> None:
    """READ is owed exactly when every required endpoint has taken the message."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    assert [Settled()] == await settle(journal, [delivered(crm)], NOW)
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    settled = await settle(journal, [delivered(log)], NOW)
    assert [Settled(receipt_owed=True)] == settled
    assert [uuid(1)] == [
        owed.message_id for owed in await journal.owed_receipts("bot", after=0, limit=10)
    ]


async def test_read_is_told_once_within_a_group(journal: Journal) -> None:
    """Two outcomes of one message in one group owe one receipt."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    settled = await settle(journal, [delivered(crm), delivered(log)], NOW)
    assert [False, True] == [answer.receipt_owed for answer in settled]


async def test_an_optional_endpoint_holds_nothing_back(journal: Journal) -> None:
    """READ is owed although an optional delivery is unfinished or dead; the end waits for it."""
    crm, log = await receive(journal, arrival(1, CRM, optional=(LOG,)))
    (settled,) = await settle(journal, [delivered(crm)], NOW)
    assert settled.receipt_owed
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    assert [] == await settle_receipts(journal, "bot", confirmed=[owed.seq], refused=[], now=NOW)
    (settled,) = await settle(journal, [dead(log)], NOW)
    assert MessageOutcome.READ is settled.finished


async def test_a_message_for_optional_endpoints_only_is_read_at_once(journal: Journal) -> None:
    """READ is owed on arrival when no required endpoint wants the message."""
    (recorded,) = await record(journal, [arrival(1, optional=(LOG,))])
    assert recorded.receipt_owed
    assert [uuid(1)] == ids(await due(journal, LOG))


async def test_a_dead_letter_keeps_its_message_unread(journal: Journal) -> None:
    """A message with a dead required delivery finishes dead, never owed, its lane goes on."""
    first, _ = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    settled = await settle(journal, [dead(first)], NOW)
    assert [Settled(finished=MessageOutcome.DEAD)] == settled
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)
    assert [uuid(2)] == ids(await due(journal))


async def test_a_dead_letter_beside_a_delivered_one_is_still_unread(journal: Journal) -> None:
    """One required endpoint's 2xx does not make up for another's dead letter."""
    crm, log = await receive(journal, arrival(1, CRM, LOG))
    await settle(journal, [dead(crm)], NOW)
    (settled,) = await settle(journal, [delivered(log)], NOW)
    assert Settled(finished=MessageOutcome.DEAD) == settled


async def test_a_group_mixes_everything(journal: Journal) -> None:
    """Answers come in the order of the outcomes, whatever they are."""
    one, two, three = await receive(journal, *(arrival(n, CRM, lane=f"l{n}") for n in (1, 2, 3)))
    settled = await settle(journal, [postponed(one, LATER), delivered(two), dead(three)], NOW)
    assert [
        Settled(),
        Settled(receipt_owed=True),
        Settled(finished=MessageOutcome.DEAD),
    ] == settled


# --- Receipts -------------------------------------------------------------------------------------


async def test_owed_receipts_come_in_pages(journal: Journal) -> None:
    """Owed receipts ascend, and a page goes on after the last."""
    await record(journal, [arrival(n) for n in range(1, 6)])
    first = await journal.owed_receipts("bot", after=0, limit=3)
    rest = await journal.owed_receipts("bot", after=first[-1].seq, limit=3)
    assert [uuid(n) for n in range(1, 6)] == [owed.message_id for owed in [*first, *rest]]
    assert [] == await journal.owed_receipts("other", after=0, limit=3)


async def test_a_refused_receipt_finishes_its_message(journal: Journal) -> None:
    """A receipt that Mixin refuses for good is not sent again."""
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [delivered(delivery)], NOW)
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    ended = await settle_receipts(journal, "bot", confirmed=[], refused=[owed.seq], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.READ)] == ended
    assert [] == await journal.owed_receipts("bot", after=0, limit=10)


async def test_receipts_of_strangers_change_nothing(journal: Journal) -> None:
    """A receipt that is not owed, not any more, or by another bot, is passed over."""
    await record(journal, [arrival(1), arrival(2, bot="other")])
    (owed,) = await journal.owed_receipts("bot", after=0, limit=10)
    (others,) = await journal.owed_receipts("other", after=0, limit=10)
    seqs = [owed.seq, owed.seq, others.seq, 999]
    ended = await settle_receipts(journal, "bot", confirmed=seqs, refused=[], now=NOW)
    assert [Finished(uuid(1), MessageOutcome.UNWANTED)] == ended
    again = await settle_receipts(journal, "bot", confirmed=[], refused=seqs, now=NOW)
    assert [] == again
    assert [others] == await journal.owed_receipts("other", after=0, limit=10)
