"""A batch of receipts is taken, refused for good, or sent again: nothing in between."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from relay.blaze.acknowledger import MixinAcknowledger
from relay.blaze.api import MixinApi
from relay.blaze.credentials import SLOW_FIRST, SLOW_LONGEST, Credentials
from relay.blaze.keystore import parse_keystore
from relay.blaze.transport import open_session
from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken
from relay.model.ports import Acknowledger
from relay.telemetry.events import CredentialsRefused
from tests.drivers.upstream import BOT, Ears
from tests.support.simulator import Answer, AppError, Hang, Reset, Simulator, Transport, throttle


class AdminStore:
    """An acknowledger beside the simulator, and what it tells."""

    def __init__(self, simulator: Simulator, http: aiohttp.ClientSession) -> None:
        self.ears = Ears()
        self.simulator = simulator
        self.api = MixinApi(
            http,
            [simulator.api_url],
            parse_keystore(simulator.keystore_json()),
            timeout=aiohttp.ClientTimeout(total=0.5),
        )
        self.credentials = Credentials(BOT, self.api, self.ears, jitter=lambda: 0.5)
        self.acknowledger: Acknowledger = MixinAcknowledger(self.api, self.credentials)

    async def mark(self, count: int = 1) -> ReceiptsTaken | ReceiptsRejected | ReceiptsFailed:
        return await self.acknowledger.mark_read([self.simulator.push("x") for _ in range(count)])


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[AdminStore]:
    async with Simulator() as simulator, open_session() as http:
        yield AdminStore(simulator, http)


async def test_a_batch_of_100_is_taken(desk: AdminStore) -> None:
    """100 receipts go in one request, as READ, over HTTP, without a socket."""
    assert ReceiptsTaken() == await desk.mark(100)
    acks = desk.simulator.journal.acks
    assert ({("READ", Transport.HTTP)}, 100, 1) == (
        {(ack.status, ack.transport) for ack in acks},
        len(acks),
        len(desk.simulator.journal.requests),
    )


async def test_an_array_is_an_answer_too(desk: AdminStore) -> None:
    """Newer servers echo the receipts."""
    desk.simulator.faults.ack_answers_array = True
    assert ReceiptsTaken() == await desk.mark()


@pytest.mark.parametrize("code", [400, 403, 404, 10404, 10002])
async def test_final_errors_reject_the_batch(desk: AdminStore, code: int) -> None:
    """Sent unchanged, the batch would be refused again."""
    desk.simulator.faults.acks.next(AppError(code))
    verdict = await desk.mark()
    assert isinstance(verdict, ReceiptsRejected)
    assert code == verdict.code


async def test_a_body_that_is_too_large_is_halved(desk: AdminStore) -> None:
    """A true 413 calls for a smaller batch, and one receipt is none too large."""
    desk.simulator.faults.acks.next(Answer(413), times=2)
    assert ReceiptsRejected(413, "HTTP 413 without JSON") == await desk.mark(2)
    assert ReceiptsFailed("HTTP 413 without JSON") == await desk.mark()


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_stranger_has_no_final_word(desk: AdminStore, status: int) -> None:
    """A gateway's 404, or a wrong URL's, gives no receipt up: it is not Mixin who says so."""
    error = AppError(status, http_status=status)
    desk.simulator.faults.acks.next(error)
    assert isinstance(await desk.mark(), ReceiptsFailed)


@pytest.mark.parametrize(
    "fault",
    [
        AppError(500, http_status=500),
        AppError(7000, http_status=500),
        AppError(7001, applied=True),
        AppError(429),
        AppError(99999),
        Answer(502),
        Answer(403),
        Answer(200),
        Reset(),
        Reset(applied=True),
        Hang(),
    ],
    ids=str,
)
async def test_everything_else_is_sent_again(
    desk: AdminStore, fault: AppError | Answer | Reset | Hang
) -> None:
    """Without a clear answer of Mixin's own nothing is confirmed and nothing given up."""
    desk.simulator.faults.acks.next(fault)
    verdict = await desk.mark()
    assert isinstance(verdict, ReceiptsFailed)
    assert (False, None) == (verdict.unauthorized, verdict.retry_after)


async def test_retry_after_is_passed_on(desk: AdminStore) -> None:
    """A proxy's 429 says how long to wait."""
    desk.simulator.faults.acks.next(throttle("7"))
    verdict = await desk.mark()
    assert isinstance(verdict, ReceiptsFailed)
    assert 7.0 == verdict.retry_after


async def test_a_refused_token_calls_for_patience(desk: AdminStore) -> None:
    """A 401 is confirmed by GET /me, told, and waited out."""
    await desk.simulator.revoke()
    assert ReceiptsFailed("401 unauthorized", SLOW_FIRST, unauthorized=True) == await desk.mark()
    (told,) = desk.ears.all(CredentialsRefused)
    assert (True, SLOW_FIRST) == (told.confirmed, told.retry_in)


async def test_everyone_who_is_refused_shares_one_question(desk: AdminStore) -> None:
    """Several 401s at the same time ask GET /me once, and wait for the same moment."""
    await desk.simulator.revoke()
    waits = await asyncio.gather(*(desk.credentials.refused() for _ in range(3)))
    assert pytest.approx([SLOW_FIRST] * 3, abs=5) == waits
    assert (1, 1) == (len(desk.ears.events), len(desk.simulator.journal.requests))


async def test_refusals_slow_down_to_ten_minutes(desk: AdminStore) -> None:
    """Each further refusal doubles the wait, up to a limit, and an accepted token ends that."""
    await desk.simulator.revoke()
    waits = []
    for _ in range(6):
        waits.append(await desk.credentials.refused())
        desk.credentials._quiet_until = 0.0
    desk.credentials.accepted()
    waits.append(await desk.credentials.refused())
    assert [60.0, 120.0, 240.0, 480.0, SLOW_LONGEST, SLOW_LONGEST, 60.0] == waits


async def test_a_silent_api_confirms_nothing(desk: AdminStore) -> None:
    """Where GET /me gets no answer the wait is slow, and the refusal unconfirmed."""
    desk.simulator.faults.me.next(Answer(502))
    assert SLOW_FIRST == await desk.credentials.refused()
    (told,) = desk.ears.all(CredentialsRefused)
    assert (False, None) == (told.confirmed, told.clock_skew)
