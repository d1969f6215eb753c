"""Acks reach one store whichever way they come, and fail as scripted (11.1.8, 11.2)."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.drivers.simulator_client import new_id, simulated
from tests.support.simulator import (
    Answer,
    AppError,
    Hang,
    HttpFault,
    Late,
    Lie,
    Reset,
    SocketFault,
    throttle,
)


async def test_acks_over_http_are_taken() -> None:
    """A batch empties the mailbox; the answer is an empty object with both headers."""
    async with simulated() as (simulator, client):
        ids = [simulator.push(str(number)) for number in range(100)]
        async with client.listening() as socket:
            assert ids == await socket.take_ids(100)
            assert (200, {}) == await client.mark_read(*ids)
        await simulator.acknowledged(ids)
        assert [] == simulator.pending()
        assert [] == simulator.journal.violations
        assert {"http"} == {ack.transport for ack in simulator.journal.acks}


async def test_acks_over_the_socket_are_taken() -> None:
    """One at a time and in a batch, each is echoed without data."""
    async with simulated() as (simulator, client), client.listening() as socket:
        ids = [simulator.push(str(number)) for number in range(3)]
        await socket.take_ids(3)
        request_id = await socket.acknowledge(ids[0])
        expected = {"id": request_id, "action": "ACKNOWLEDGE_MESSAGE_RECEIPT"}
        assert expected == await socket.take()
        items = [{"message_id": one, "status": "DELIVERED"} for one in ids[1:]]
        request_id = await socket.send("ACKNOWLEDGE_MESSAGE_RECEIPTS", messages=items)
        expected = {"id": request_id, "action": "ACKNOWLEDGE_MESSAGE_RECEIPTS"}
        assert expected == await socket.take()
        await simulator.all_acknowledged()
        transports = [ack.transport for ack in simulator.journal.acks]
        assert ["socket", "socket_batch", "socket_batch"] == transports


async def test_acks_may_be_repeated() -> None:
    """A second ack of the same message succeeds, and an acknowledged message never comes again."""
    async with simulated() as (simulator, client):
        message_id = simulator.push("hello")
        async with client.listening() as socket:
            await socket.take()
            for _ in range(2):
                assert (200, {}) == await client.mark_read(message_id)
        later = simulator.push("later")
        async with client.listening() as socket:
            assert [later] == await socket.take_ids(1)
        assert [] == simulator.journal.violations


async def test_the_answer_can_be_an_array() -> None:
    """The newest docs show the acks echoed; a knob does that."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.faults.ack_answers_array = True
        message_id = simulator.push("hello")
        await socket.take()
        expected = {"data": [{"message_id": message_id, "status": "READ"}]}
        assert (200, expected) == await client.mark_read(message_id)


async def test_more_than_a_hundred_fail_whole() -> None:
    """101 acks are error 10002, none is applied, and it is a violation."""
    async with simulated() as (simulator, client), client.listening() as socket:
        ids = [simulator.push(str(number)) for number in range(101)]
        await socket.take_ids(101)
        status, answer = await client.mark_read(*ids)
        assert [202, 10002] == [status, answer["error"]["code"]]
        assert 101 == len(simulator.pending())
        assert ["batch_too_large"] == list(simulator.journal.kinds())


async def test_one_bad_id_fails_all() -> None:
    """A batch with a bad id is refused with the id's code; without it, it is taken."""
    async with simulated() as (simulator, client), client.listening() as socket:
        ids = [simulator.push(str(number)) for number in range(3)]
        await socket.take_ids(3)
        simulator.faults.bad_ids[ids[1]] = 403
        assert 403 == (await client.mark_read(*ids))[1]["error"]["code"]
        assert ids == simulator.pending()
        assert (200, {}) == await client.mark_read(ids[0], ids[2])
        assert [ids[1]] == simulator.pending()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        [1],
        [{}],
        [{"message_id": "no uuid", "status": "READ"}],
        [{"message_id": "F381AAA0-A462-4333-AF10-E3F5BFF7BEC7", "status": "READ"}],
        [{"message_id": "f381aaa0-a462-4333-af10-e3f5bff7bec7", "status": "SHREDDED"}],
    ],
)
async def test_what_is_no_ack_is_refused(body: Any) -> None:
    """Ids in upper case, unknown statuses and other shapes are error 10002."""
    async with simulated() as (_, client):
        status, answer = await client.call("POST", "/acknowledgements", body)
        assert [202, 10002] == [status, answer["error"]["code"]]


async def test_a_strange_ack_succeeds_and_is_written_down() -> None:
    """Acks of what was never pushed, and of the bot's own messages, are violations."""
    async with simulated() as (simulator, client), client.listening() as socket:
        unlisted = simulator.push("other bot's", bot=simulator.add_bot())
        own = new_id()
        await socket.send(
            "CREATE_MESSAGE",
            conversation_id=new_id(),
            message_id=own,
            category="PLAIN_TEXT",
            data_base64="",
        )
        await socket.take()
        assert (200, {}) == await client.mark_read(unlisted, own)
        details = [one.detail.split(": ")[1] for one in simulator.journal.violations]
        assert ["never pushed", "an echo"] == details
        simulator.faults.unknown_ids = 404
        assert 404 == (await client.mark_read(new_id()))[1]["error"]["code"]


async def test_a_read_that_comes_too_early_is_written_down() -> None:
    """Where the test says that the receiver has not taken a message, its READ is a violation."""
    async with simulated() as (simulator, client), client.listening() as socket:
        taken = set[str]()
        simulator.journal.allow_read = taken.__contains__
        ids = [simulator.push("one"), simulator.push("two")]
        await socket.take_ids(2)
        taken.add(ids[0])
        await client.mark_read(*ids)
        assert [ids[1]] == [one.detail for one in simulator.journal.violations]
        assert ["read_too_early"] == list(simulator.journal.kinds())


HTTP_FAULTS: list[tuple[HttpFault, int, int | None]] = [
    (AppError(403), 202, 403),
    (AppError(401), 202, 401),
    (AppError(429), 202, 429),
    (AppError(7001, applied=True, http_status=500), 500, 7001),
    (Answer(502), 502, None),
    (Answer(500, applied=True), 500, None),
    (throttle("7"), 429, None),
]


@pytest.mark.parametrize(("fault", "status", "code"), HTTP_FAULTS)
async def test_http_acks_fail_as_scripted(
    fault: AppError | Answer, status: int, code: int | None
) -> None:
    """Errors in a body and of a proxy come so many times, and take effect only if they say so."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        simulator.faults.acks.next(fault, times=2)
        for _ in range(2):
            got, answer = await client.mark_read(message_id)
            assert status == got
            assert code is None or code == answer["error"]["code"]
            assert fault.applied == (not simulator.pending())
        assert (200, {}) == await client.mark_read(message_id)
        applied = [ack.applied for ack in simulator.journal.acks]
        assert [fault.applied, fault.applied, True] == applied


@pytest.mark.parametrize("applied", [True, False])
async def test_an_http_answer_can_be_lost(applied: bool) -> None:  # noqa: FBT001 - a parameter
    """A reset instead of an answer, with and without effect."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        simulator.faults.acks.next(Reset(applied))
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.mark_read(message_id)
        assert applied == (not simulator.pending())


async def test_an_http_answer_can_stay_away_or_be_late_or_lie() -> None:
    """No answer, one after a while, and one that says ok although nothing was done."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        simulator.faults.acks.next(Hang(), Lie(), Late(0.01))
        hanging = asyncio.create_task(client.mark_read(message_id))
        await simulator.requested("/acknowledgements")
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (200, {}) == await client.mark_read(message_id)
        assert [message_id] == simulator.pending()
        assert (200, {}) == await client.mark_read(message_id)
        assert [] == simulator.pending()


SOCKET_FAULTS: list[tuple[SocketFault, int | None, bool]] = [
    (AppError(10002), 10002, False),
    (AppError(500, applied=True), 500, True),
    (Lie(), None, False),
    (Late(0.01), None, True),
]


@pytest.mark.parametrize(("fault", "code", "applied"), SOCKET_FAULTS)
async def test_socket_acks_fail_as_scripted(
    fault: SocketFault,
    code: int | None,
    applied: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Error echoes, lies and late echoes."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        simulator.faults.socket_acks.next(fault)
        request_id = await socket.acknowledge(message_id)
        answer = await socket.take()
        assert [request_id, code] == [answer["id"], answer.get("error", {}).get("code")]
        assert applied == (not simulator.pending())


async def test_a_socket_can_die_between_an_ack_and_its_echo() -> None:
    """The ack took effect, and the client never learns."""
    async with simulated() as (simulator, client), client.listening() as socket:
        message_id = simulator.push("hello")
        await socket.take()
        simulator.faults.socket_acks.next(Hang(applied=False), Reset(applied=True))
        await socket.acknowledge(message_id)
        await socket.send("PING")
        assert "PING" == (await socket.take())["action"]
        assert [message_id] == simulator.pending()
        await socket.acknowledge(message_id)
        assert 1006 == await socket.closed()
        assert [] == simulator.pending()


async def test_a_fault_stays_until_it_is_switched_off() -> None:
    """A standing fault goes on for ever, after whatever is queued."""
    async with simulated() as (simulator, client):
        simulator.faults.me.always(AppError(500))
        simulator.faults.me.next(AppError(401), None)
        codes = [(await client.call("GET", "/me"))[1].get("error", {}).get("code") for _ in "1234"]
        assert [401, None, 500, 500] == codes
        simulator.faults.me.off()
        assert 200 == (await client.call("GET", "/me"))[0]
