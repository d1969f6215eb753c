"""What a delivery's patience counts from, and what an operator may cut short."""

import math

from relay.journal.open import OpenJournal
from relay.model.admin import DeadLetterQuery
from relay.model.messages import DeadLettered, Delivery, Postponed
from relay.model.ports import Journal
from tests.core.samples import BROKEN, REFUSED
from tests.journal.samples import CRM, NOW, arrival, attempt, receive, settle

LATER = NOW + 1000.0


async def only(journal: Journal) -> Delivery:
    """Read the one delivery that is due."""
    (delivery,) = (await journal.due(CRM, LATER, skip=(), limit=10, max_bytes=1000)).deliveries
    return delivery


async def test_the_first_attempt_stays_the_first(opened: OpenJournal) -> None:
    """`give_up_after` counts from it, whatever comes later."""
    journal = opened.journal
    await journal.start([CRM], NOW)
    (delivery,) = await receive(journal, arrival(1, CRM))
    for at in (NOW, NOW + 100.0):
        await settle(journal, [Postponed(delivery, attempt(delivery, BROKEN, at), at)], at)
        delivery = await only(journal)
    assert (NOW, 2, 2, 0) == (
        delivery.first_attempt_at,
        delivery.attempts,
        delivery.failures,
        delivery.rejections,
    )


async def test_a_revived_delivery_starts_anew(opened: OpenJournal) -> None:
    """Its waits and its patience do; the count of its attempts goes on."""
    journal = opened.journal
    await journal.start([CRM], NOW)
    (delivery,) = await receive(journal, arrival(1, CRM))
    await settle(journal, [DeadLettered(delivery, attempt(delivery, REFUSED, NOW))], NOW)
    await opened.admin.retry(DeadLetterQuery(), LATER)
    revived = await only(journal)
    assert (None, 1, 0, 0) == (
        revived.first_attempt_at,
        revived.attempts,
        revived.failures,
        revived.rejections,
    )


async def test_nothing_waits_beyond_the_end_of_time(opened: OpenJournal) -> None:
    """Asked for what is due by then, the journal gives what waits for its retry as well."""
    journal = opened.journal
    await journal.start([CRM], NOW)
    (delivery,) = await receive(journal, arrival(1, CRM))
    later = Postponed(delivery, attempt(delivery, BROKEN), LATER)
    await settle(journal, [later], NOW)
    due = await journal.due(CRM, math.inf, skip=(), limit=10, max_bytes=1000)
    assert ([delivery.id], None) == ([each.id for each in due.deliveries], due.next_due_at)
