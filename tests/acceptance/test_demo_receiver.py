"""The sample receiver: what it takes, and what it makes of strangers."""

import time

import aiohttp
import pytest

from relay.demo.receiver import Receiver, Refuses, Visit, now_and_then
from relay.webhook.signature import Signer, new_secret

SECRET = new_secret(bytes(range(32)))
MESSAGE_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
BODY = b'{"type":"message.plain_text","data":{"conversation_id":"c","content":"hello"}}'


def signed(body: bytes = BODY, message_id: str = MESSAGE_ID) -> dict[str, str]:
    """Give the headers of a good request, made by the relay's own signer."""
    now = int(time.time())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": Signer.parse(SECRET).sign(message_id, now, body),
    }


class Door:
    """A receiver, what it let in, and the answers to what is posted to it."""

    def __init__(self, refuses: Refuses = lambda _: False) -> None:
        self.visits: list[Visit] = []
        self.receiver = Receiver(SECRET, refuses=refuses, on_visit=self.visits.append)

    async def answers(self, *requests: dict[str, str]) -> list[int]:
        """Post the body with each of these headers, and give the statuses."""
        async with self.receiver, aiohttp.ClientSession() as http:
            statuses = []
            for headers in requests:
                async with http.post(self.receiver.url, data=BODY, headers=headers) as answer:
                    statuses.append(answer.status)
            return statuses


async def test_a_message_is_taken_once() -> None:
    """A message that comes again is answered 2xx again and counted as a duplicate."""
    door = Door()
    assert [204, 204] == await door.answers(signed(), signed())
    receiver = door.receiver
    assert ({MESSAGE_ID}, 1, 2) == (receiver.taken, receiver.duplicates, receiver.verified)
    assert [(1, 1, True)] == [(one.number, one.attempt, one.taken) for one in door.visits]
    assert receiver.has_taken(MESSAGE_ID)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": Signer.parse(SECRET).sign(MESSAGE_ID, 0, BODY)},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "0"},
        {"webhook-id": "another"},
    ],
)
async def test_a_bad_signature_is_turned_away(change: dict[str, str]) -> None:
    """Whatever is unsigned, badly signed, of another message or old: 401, counted, not taken."""
    door = Door()
    assert [401] == await door.answers({**signed(), **change})
    assert (1, 0, set()) == (door.receiver.forged, door.receiver.verified, door.receiver.taken)
    assert [] == door.visits


async def test_an_unsigned_request_is_turned_away() -> None:
    """Without any of the headers: 401."""
    door = Door()
    assert [401] == await door.answers({})
    assert 1 == door.receiver.forged


async def test_a_busy_receiver_asks_for_patience() -> None:
    """A refused message is not taken; the next attempt is, under the same number."""
    door = Door(lambda visit: visit.attempt == 1)
    assert [503, 204] == await door.answers(signed(), signed())
    assert (1, 0) == (door.receiver.refused, door.receiver.duplicates)
    assert [(1, 1, False), (1, 2, True)] == [
        (one.number, one.attempt, one.taken) for one in door.visits
    ]


@pytest.mark.parametrize(("messages", "times"), [(9, 0), (60, 3), (200, 10), (100_000, 10)])
def test_it_is_busy_now_and_then(messages: int, times: int) -> None:
    """One in 20 is refused, once each, and never more than ten: a long run stays quick."""
    refuses = now_and_then(messages)

    def refused(attempt: int) -> int:
        visits = (
            Visit(MESSAGE_ID, number, attempt, {}, taken=False) for number in range(1, messages + 1)
        )
        return sum(map(refuses, visits))

    assert (times, 0) == (refused(1), refused(2))
