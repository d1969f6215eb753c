"""Long lists in pages and by every filter, in every journal."""

from dataclasses import replace

import pytest

from relay.admin.requests import in_batches
from relay.model.admin import (
    AdminStore,
    Ahead,
    DeadLetter,
    DeadLetterQuery,
    MessageQuery,
    MessageState,
    Place,
)
from relay.model.journal import OperatorEventKind
from relay.model.messages import BreakerState
from relay.model.ports import Journal
from relay.model.replays import ReplayOrder
from relay.model.times import rfc3339
from tests.journal.samples import (
    CRM,
    LATER,
    LOG,
    NOW,
    arrival,
    confirm,
    dead,
    delivered,
    note_endpoint,
    postponed,
    receive,
    settle,
    uuid,
)

ALL = DeadLetterQuery()


async def several(journal: Journal) -> None:
    """Let one be read, one fail at one of two endpoints, one die, one wait and one be unwanted."""
    (read,) = await receive(journal, arrival(1, CRM, lane="a"))
    await settle(journal, [delivered(read)], NOW)
    await confirm(journal)
    crm, log = await receive(journal, arrival(2, CRM, LOG, lane="b"))
    await settle(journal, [delivered(crm), postponed(log, LATER)], NOW)
    (buried,) = await receive(journal, arrival(3, CRM, lane="c"))
    await settle(journal, [dead(buried)], NOW)
    await receive(journal, arrival(4, CRM, lane="d"), arrival(5, unwanted_read=False, lane="e"))


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (MessageQuery(), [5, 4, 3, 2, 1]),
        (MessageQuery().narrowed(None), [5, 4, 3, 2, 1]),
        (MessageQuery().narrowed(MessageState.PENDING), [4, 2]),
        (MessageQuery().narrowed(MessageState.FAILING), [2]),
        (MessageQuery().narrowed(MessageState.READ), [1]),
        (MessageQuery().narrowed(MessageState.DEAD), [3]),
        (MessageQuery().narrowed(MessageState.UNWANTED), [5]),
        (MessageQuery().narrowed(MessageState.DISCARDED), []),
        (MessageQuery(endpoint="crm"), [4, 3, 2, 1]),
        (MessageQuery(endpoint="log"), [2]),
        (MessageQuery(endpoint="nobody"), []),
        (MessageQuery(endpoint="crm").narrowed(MessageState.PENDING), [4]),
        (MessageQuery(endpoint="crm").narrowed(MessageState.FAILING), []),
        (MessageQuery(endpoint="log").narrowed(MessageState.FAILING), [2]),
        (MessageQuery(since=NOW + 3), [5, 4, 3]),
        (MessageQuery(until=NOW + 3), [2, 1]),
        (MessageQuery(since=NOW + 2, until=NOW + 4, endpoint="crm"), [3, 2]),
    ],
)
async def test_messages_are_listed_by_every_filter(
    journal: Journal, desk: AdminStore, query: MessageQuery, numbers: list[int]
) -> None:
    """State, endpoint and age hold at once; at an endpoint, what waits must wait there."""
    await several(journal)
    assert [uuid(number) for number in numbers] == [
        m.message_id for m in await desk.messages(query)
    ]


async def test_messages_come_in_pages(journal: Journal, desk: AdminStore) -> None:
    """Each page goes on behind the one before, whatever came meanwhile."""
    await receive(journal, *(arrival(number, CRM) for number in range(1, 6)))
    first = await desk.messages(MessageQuery(limit=2))
    await receive(journal, arrival(6, CRM))
    second = await desk.messages(MessageQuery(limit=2, after=first[-1].number))
    third = await desk.messages(MessageQuery(limit=2, after=second[-1].number))
    found = [message.message_id for message in (*first, *second, *third)]
    assert [uuid(number) for number in (5, 4, 3, 2, 1)] == found


async def test_a_waiting_delivery_names_what_goes_before_it(
    journal: Journal, desk: AdminStore
) -> None:
    """The first of its lane, and how many there are; whoever leads waits for none."""
    await receive(journal, *(arrival(number, CRM, LOG) for number in range(1, 4)))
    (crm, log) = (await desk.history(uuid(3)))[0].deliveries
    assert (Ahead(uuid(1), 2), Ahead(uuid(1), 2)) == (crm.ahead, log.ahead)
    (crm, _) = (await desk.history(uuid(1)))[0].deliveries
    assert (None, False) == (crm.ahead, crm.waits)


async def test_an_ended_delivery_waits_for_none(journal: Journal, desk: AdminStore) -> None:
    """What is dead left its lane, also when others wait there."""
    _, second = await receive(journal, arrival(1, CRM), arrival(2, CRM))
    await settle(journal, [dead(second)], NOW)
    assert (await desk.history(uuid(2)))[0].deliveries[0].ahead is None


async def graves(journal: Journal) -> list[tuple[str, int]]:
    """Bury messages at two endpoints, many at the same moment; gives them in the list's order."""
    for number in range(1, 8):
        deliveries = await receive(journal, arrival(number, CRM, LOG, lane=f"{number % 3}"))
        await settle(journal, [dead(each) for each in deliveries], NOW + number // 3)
    return [(name, number) for number in range(1, 8) for name in ("crm", "log")]


def names(letters: list[DeadLetter]) -> list[tuple[str, int]]:
    return [(letter.endpoint.name, int(letter.message_id[-2:], 16)) for letter in letters]


@pytest.mark.parametrize("size", [1, 3, 14, 100])
async def test_dead_letters_come_in_pages(journal: Journal, desk: AdminStore, size: int) -> None:
    """However small the pages, each letter is on one, in the order of their deaths."""
    expected = await graves(journal)
    found: list[DeadLetter] = []
    async for page in in_batches(desk.dead_letters, ALL, size=size):
        assert len(page) <= size
        found += page
    assert expected == names(found)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (ALL, 14),
        (replace(ALL, limit=1), 14),
        (replace(ALL, endpoint="log"), 7),
        (replace(ALL, conversation_id="1"), 6),
        (replace(ALL, message_ids=(uuid(1), uuid(9))), 2),
        (replace(ALL, since=NOW + 1), 10),
        (replace(ALL, since=NOW + 1, until=NOW + 2), 6),
        (replace(ALL, reason="timeout"), 0),
        (replace(ALL, after=Place(NOW + 1, 10)), 4),
        (replace(ALL, bot="other"), 0),
    ],
)
async def test_dead_letters_are_counted(
    journal: Journal, desk: AdminStore, query: DeadLetterQuery, count: int
) -> None:
    """The count is that of the list without its limit."""
    await graves(journal)
    assert count == await desk.count_dead_letters(query)
    assert count == len(await desk.dead_letters(replace(query, limit=None)))


async def test_a_retry_in_batches_ends(journal: Journal, desk: AdminStore) -> None:
    """What dies again at once is not taken up again before the rest had its turn."""
    expected = await graves(journal)
    acted: list[DeadLetter] = []
    query = replace(ALL, limit=await desk.count_dead_letters(ALL))
    async for batch in in_batches(lambda part: desk.retry(part, LATER), query, size=4):
        acted += batch
        for endpoint in (CRM, LOG):
            due = await journal.due(endpoint, LATER, skip=(), limit=99, max_bytes=10**6)
            await settle(journal, [dead(delivery) for delivery in due.deliveries], LATER)
    assert expected == names(acted)


async def test_a_notice_says_who_acted(journal: Journal, desk: AdminStore) -> None:
    """The running relay is told by which way, what was asked, and how many it was."""
    await graves(journal)
    await desk.retry(replace(ALL, endpoint="crm", limit=3), NOW)
    await desk.discard(replace(ALL, message_ids=(uuid(4),)), NOW, mark_read=False)
    await desk.pause(LOG)
    await desk.ask_replay(ReplayOrder(CRM, NOW), NOW)
    await desk.cancel_replay(1, NOW)
    notices = await journal.operator_events(0)
    assert [
        (OperatorEventKind.REVIVED, "api", "endpoint=crm", 3),
        (OperatorEventKind.DISCARDED, "api", f"ids={uuid(4)}", 1),
        (OperatorEventKind.DISCARDED, "api", f"ids={uuid(4)}", 1),
        (OperatorEventKind.PAUSED, "api", "", 0),
        (OperatorEventKind.REPLAY_ASKED, "api", f"replay=1 since={rfc3339(NOW)}", 0),
        (OperatorEventKind.REPLAY_CANCELLED, "api", "replay=1", 0),
    ] == [(n.kind, n.audit.actor, n.audit.target, n.audit.count) for n in notices]


@pytest.mark.parametrize("paused", [False, True])
async def test_a_receiver_that_is_back_lifts_no_pause(
    journal: Journal,
    desk: AdminStore,
    paused: bool,  # noqa: FBT001 - pytest passes parameters by name
) -> None:
    """A gone endpoint is tried again, unless an operator paused it."""
    note = await journal.endpoint_note(CRM)
    await note_endpoint(journal, CRM, replace(note, state=BreakerState.GONE, gone_since=NOW))
    if paused:
        await desk.pause(CRM)
    assert await desk.back(CRM)
    found = await journal.endpoint_note(CRM)
    state = BreakerState.PAUSED if paused else BreakerState.CLOSED
    assert (state, None) == (found.state, found.gone_since)
    assert OperatorEventKind.BACK is (await journal.operator_events(0))[-1].kind


async def test_a_stranger_is_never_back(desk: AdminStore) -> None:
    """An endpoint that the journal does not know can't be."""
    assert not await desk.back(CRM._replace(name="nobody"))


@pytest.mark.parametrize(
    "text", ["", "1", "x_1", "1_x", "1e9_1", "-1_1", "1_1_1", "٣_1", "1.2_3\n"]
)
def test_a_place_that_is_none(text: str) -> None:
    """A cursor that this relay did not write is refused."""
    with pytest.raises(ValueError, match=r".*"):
        Place.read(text)


def test_a_place_is_read_as_it_was_written() -> None:
    """What a cursor says is exact: letters of the same second are apart."""
    place = Place(1604321252.4723332, 17)
    assert place == Place.read(str(place))


def test_what_is_asked_in_words() -> None:
    """A line of the log names every condition, and a long list of ids by its length."""
    query = DeadLetterQuery(
        tuple(map(uuid, range(11))), "bot", "crm", "timeout", NOW, 5, "c", NOW - 1
    )
    assert (
        "ids=11 ids bot=bot endpoint=crm reason=timeout conversation=c "
        "since=2023-11-14T22:13:19.000Z until=2023-11-14T22:13:20.000Z"
    ) == query.words
    assert "all" == ALL.words
