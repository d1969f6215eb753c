"""What every journal's desk tells of endpoints, and how an operator stops and starts them."""

import pytest

from relay.model.admin import AdminStore, EndpointRecord
from relay.model.journal import EndpointNote, OperatorEvent, OperatorEventKind
from relay.model.messages import BreakerState, EndpointKey
from relay.model.ports import Journal
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    dead,
    delivered,
    note_endpoint,
    postponed,
    receive,
    settle,
)

NOBODY = EndpointKey("bot", "nobody")
CLOSED = EndpointNote(BreakerState.CLOSED)


async def test_endpoints_are_listed_by_name(journal: Journal, desk: AdminStore) -> None:
    """Every endpoint the journal has ever had is there, by bot and name, with its standing."""
    await journal.stop()
    other = EndpointKey("another", "webhook")
    await journal.start([LOG, other], NOW)
    assert [
        EndpointRecord(other, CLOSED, 0, None, 0, configured=True),
        EndpointRecord(CRM, CLOSED, 0, None, 0, configured=False),
        EndpointRecord(LOG, CLOSED, 0, None, 0, configured=True),
    ] == await desk.endpoints()


async def test_an_endpoints_stock_is_counted(journal: Journal, desk: AdminStore) -> None:
    """Pending deliveries, the oldest of them and dead letters are counted for each endpoint."""
    one, two, _, _ = await receive(
        journal, *(arrival(n, CRM, lane=f"l{n}") for n in (1, 2, 3)), arrival(4, LOG)
    )
    await settle(journal, [delivered(one), dead(two)], NOW)
    crm, log = await desk.endpoints()
    assert (1, NOW + 3, 1) == (crm.pending, crm.oldest_at, crm.dead_letters)
    assert (1, NOW + 4, 0) == (log.pending, log.oldest_at, log.dead_letters)


async def test_the_oldest_pending_may_be_one_that_waits_for_its_retry(
    journal: Journal, desk: AdminStore
) -> None:
    """What is postponed is still owed."""
    first, _ = await receive(journal, arrival(1, CRM), arrival(2, CRM, lane="d"))
    await settle(journal, [postponed(first, LATER)], NOW)
    crm, _ = await desk.endpoints()
    assert (2, NOW + 1) == (crm.pending, crm.oldest_at)


async def test_a_relays_note_is_shown(journal: Journal, desk: AdminStore) -> None:
    """Operators see what the relay last wrote of an endpoint."""
    note = EndpointNote(BreakerState.OPEN, "timeout", LATER, NOW)
    await note_endpoint(journal, CRM, note)
    crm, _ = await desk.endpoints()
    assert note == crm.note


async def test_a_paused_endpoint_keeps_everything(journal: Journal, desk: AdminStore) -> None:
    """A pause is in the journal for the next start, and in a notice for a running relay."""
    await receive(journal, arrival(1, CRM))
    assert await desk.pause(CRM)
    assert EndpointNote(BreakerState.PAUSED) == await journal.endpoint_note(CRM)
    assert [OperatorEvent(1, OperatorEventKind.PAUSED, CRM)] == await journal.operator_events(0)
    crm, log = await desk.endpoints()
    assert (BreakerState.PAUSED, 1) == (crm.note.state, crm.pending)
    assert BreakerState.CLOSED is log.note.state


async def test_a_resumed_endpoint_goes_on(journal: Journal, desk: AdminStore) -> None:
    """A resume takes a pause back, and tells a running relay."""
    await desk.pause(CRM)
    assert await desk.resume(CRM)
    assert CLOSED == await journal.endpoint_note(CRM)
    assert [OperatorEventKind.PAUSED, OperatorEventKind.RESUMED] == [
        notice.kind for notice in await journal.operator_events(0)
    ]


async def test_nobody_can_be_paused_or_resumed(journal: Journal, desk: AdminStore) -> None:
    """An endpoint that the journal does not know is said so, and nothing is left behind."""
    assert not await desk.pause(NOBODY)
    assert not await desk.resume(NOBODY)
    assert [] == await journal.operator_events(0)
    await note_endpoint(journal, NOBODY, EndpointNote(BreakerState.OPEN))
    assert CLOSED == await journal.endpoint_note(NOBODY)
    assert [CRM, LOG] == [record.endpoint for record in await desk.endpoints()]


@pytest.mark.parametrize("state", list(BreakerState))
async def test_a_pause_outlives_what_a_relay_notes(
    journal: Journal, desk: AdminStore, state: BreakerState
) -> None:
    """Whatever a relay writes down meanwhile, a paused endpoint is paused until it is resumed."""
    await desk.pause(CRM)
    await note_endpoint(journal, CRM, EndpointNote(state, "timeout", LATER, NOW))
    assert EndpointNote(BreakerState.PAUSED, "timeout", None, NOW) == await journal.endpoint_note(
        CRM
    )


async def test_only_an_operator_pauses(journal: Journal, desk: AdminStore) -> None:
    """A relay that notes its own pause late does not bring back one that was taken back."""
    await desk.pause(CRM)
    await desk.resume(CRM)
    await note_endpoint(journal, CRM, EndpointNote(BreakerState.PAUSED))
    assert CLOSED == await journal.endpoint_note(CRM)


async def test_a_start_keeps_a_pause(journal: Journal, desk: AdminStore) -> None:
    """Neither a new start nor new settings take an operator's pause back."""
    await desk.pause(CRM)
    for endpoints in ([LOG], [CRM, LOG]):
        await journal.stop()
        await journal.start(endpoints, NOW)
    assert BreakerState.PAUSED is (await journal.endpoint_note(CRM)).state


async def test_resume_revives_an_endpoint_that_is_gone(journal: Journal, desk: AdminStore) -> None:
    """An endpoint that said 410 twice is attempted again, and has to say so twice again."""
    await note_endpoint(journal, CRM, EndpointNote(BreakerState.GONE, "http_410", None, NOW))
    assert await desk.resume(CRM)
    assert EndpointNote(BreakerState.CLOSED, "http_410") == await journal.endpoint_note(CRM)


async def test_resume_leaves_an_open_gate_to_the_relay(journal: Journal, desk: AdminStore) -> None:
    """Whether an endpoint in trouble is well again is the relay's to find out."""
    note = EndpointNote(BreakerState.OPEN, "timeout", LATER)
    await note_endpoint(journal, CRM, note)
    await desk.resume(CRM)
    assert note == await journal.endpoint_note(CRM)
