"""The listener holds the socket, only reads, and comes back sensibly, whatever happens."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme

from relay.blaze.link import Link, Patience
from relay.blaze.listener import TAKEOVER_CLOSES
from relay.blaze.session import Session
from relay.blaze.transport import open_session
from relay.model.messages import Message, Source
from relay.telemetry.events import (
    ConnectEnded,
    ConnectResult,
    CredentialsRefused,
    Disconnected,
    DisconnectReason,
    FrameUnreadable,
    ListenerStarted,
    RequestRefused,
    TakeoverSuspected,
)
from tests.drivers.upstream import BOT, LIMIT, Basket, Ears, Upstream
from tests.support.simulator import (
    Answer,
    AppError,
    Drop,
    Echo,
    ErrorFrame,
    Hang,
    Kind,
    Moment,
    Place,
    Reset,
    Simulator,
    Unechoed,
    hostile_frames,
    redirect,
    throttle,
)

OK, FAILED, UNAUTHORIZED = ConnectResult.OK, ConnectResult.FAILED, ConnectResult.UNAUTHORIZED
QUICK = Patience(goodbye=0.2)


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as http:
        yield http


@pytest.fixture
def upstream(simulator: Simulator, http: aiohttp.ClientSession) -> Upstream:
    return Upstream(simulator, http, patience=QUICK)


# --- The good day -------------------------------------------------------------------------------


async def test_backlog_and_live_messages_reach_the_inlet(upstream: Upstream) -> None:
    """What is pending comes first, what is written later follows, and each says which it is."""
    simulator, basket = upstream.simulator, upstream.basket
    pending = simulator.push("one")
    async with upstream.running():
        await basket.holding(1)
        live = simulator.push("two", category="ENCRYPTED_TEXT")
        await basket.holding(2)
    assert [(pending, Source.PENDING, BOT), (live, Source.LIVE, BOT)] == [
        (message.message_id, message.source, message.bot) for message in basket.messages
    ]
    assert [] == simulator.journal.violations


async def test_hello_is_said_once_and_first(upstream: Upstream) -> None:
    """LIST_PENDING_MESSAGES is all that the socket ever says."""
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
    frames = [frame for frame in upstream.simulator.journal.frames if frame.incoming]
    assert ["LIST_PENDING_MESSAGES"] == [(frame.decoded or {}).get("action") for frame in frames]


async def test_the_handshake_is_what_mixin_expects(upstream: Upstream) -> None:
    """The subprotocol is offered and compression is not."""
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
    headers = upstream.simulator.journal.connects[0].headers
    assert ("Mixin-Blaze-1", None) == (
        headers.get("Sec-WebSocket-Protocol"),
        headers.get("Sec-WebSocket-Extensions"),
    )


async def test_a_missing_subprotocol_does_no_harm(upstream: Upstream) -> None:
    """A server that picks no subprotocol is listened to all the same."""
    upstream.simulator.faults.upgrades.next(Unechoed())
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)


async def test_the_status_follows_the_socket(upstream: Upstream) -> None:
    """Not up before the first connect, up while it lasts, down after."""
    assert (False, False) == (upstream.listener.status().up, upstream.listener.status().ever)
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        assert (True, True) == (upstream.listener.status().up, upstream.listener.status().ever)
    assert (False, True) == (upstream.listener.status().up, upstream.listener.status().ever)


class Pinging:
    """A socket on which the server pings, and goes."""

    close_code = 1000

    def __init__(self) -> None:
        self.ponged: list[bytes] = []
        self._frames = iter(
            [
                aiohttp.WSMessage(aiohttp.WSMsgType.PING, b"1", None),
                aiohttp.WSMessage(aiohttp.WSMsgType.PONG, b"", None),
                aiohttp.WSMessage(aiohttp.WSMsgType.CLOSE, 1000, ""),
            ]
        )

    async def send_bytes(self, hello: bytes) -> None:
        assert b"hello" == hello

    async def receive(self) -> aiohttp.WSMessage:
        return next(self._frames)

    async def pong(self, data: bytes) -> None:
        self.ponged.append(data)

    def exception(self) -> None:
        return None


async def test_control_frames_count_as_signs_of_life() -> None:
    """Pings of the server are answered, and when one came is known."""
    socket: Any = Pinging()
    times = iter([7.0, 8.0])
    link = Link(
        BOT,
        socket,
        Session(BOT, "app"),
        inlet=Basket(),
        tell=Ears(),
        clock=lambda: next(times),
        patience=Patience(),
        on_proof=lambda: None,
    )
    ending = await link.read(b"hello")
    assert (DisconnectReason.CLOSED, [b"1"]) == (ending.reason, socket.ponged)
    assert (8.0, True) == (link.last_frame, link.proved)


async def test_when_a_frame_came_last_is_known_across_connections(upstream: Upstream) -> None:
    """It is told where to ask before the first connect, when there is none."""
    async with upstream.running():
        started = await upstream.ears.hear(ListenerStarted)
        assert 0.0 == started.last_frame()
        upstream.simulator.push()
        await upstream.basket.holding(1)
        heard_at = started.last_frame()
        assert heard_at > 0.0
    assert heard_at == started.last_frame()


# --- Coming back --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4000, None])
async def test_it_comes_back_after_any_close(upstream: Upstream, code: int | None) -> None:
    """Every close code, and none, is followed by a new connect with a new token."""
    simulator = upstream.simulator
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        await simulator.drop(code)
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.CLOSED)
        await upstream.ears.hear(ConnectEnded, times=2, result=OK)
    connects = simulator.journal.connects
    assert (2, []) == (
        len({connect.claims["jti"] for connect in connects}),
        simulator.journal.violations,
    )


async def test_unread_messages_come_again(upstream: Upstream) -> None:
    """After a reconnect Mixin pushes again what was not acknowledged, and it is taken again."""
    message_id = upstream.simulator.push("hello")
    async with upstream.running():
        await upstream.basket.holding(1)
        await upstream.simulator.drop()
        await upstream.basket.holding(2)
    assert [message_id] * 2 == upstream.basket.ids


@pytest.mark.parametrize("fault", [Reset(), Answer(503), Answer(200), Hang()])
async def test_a_failed_upgrade_is_one_request(
    simulator: Simulator, http: aiohttp.ClientSession, fault: Answer | Reset | Hang
) -> None:
    """The repetition of aiohttp is off: one token, one upgrade, then a wait of our own."""
    upstream = Upstream(simulator, http, jitter=0.9, patience=replace(QUICK, handshake=0.2))
    simulator.faults.upgrades.always(fault)
    async with upstream.running():
        failure = await upstream.ears.hear(ConnectEnded, result=FAILED)
        assert (1, 0.9) == (len(simulator.journal.connects), failure.retry_in)


async def test_a_redirect_is_not_followed(upstream: Upstream) -> None:
    """A signed upgrade never goes where a proxy wants it."""
    async with Simulator() as elsewhere:
        upstream.simulator.faults.upgrades.next(redirect(elsewhere.api_url))
        async with upstream.running():
            failure = await upstream.ears.hear(ConnectEnded, result=FAILED)
            await upstream.ears.hear(ConnectEnded, result=OK)
        assert ([], True) == (elsewhere.journal.connects, "302" in failure.detail)


async def test_failures_are_spread_further_and_further(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """Each failure in a row doubles the ceiling of the wait, up to a minute."""
    upstream = Upstream(simulator, http, jitter=1e-6)
    simulator.faults.upgrades.always(Answer(503))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, times=8, result=FAILED)
    waits = [event.retry_in for event in upstream.ears.all(ConnectEnded)][:8]
    assert pytest.approx([1e-6 * s for s in (1, 2, 4, 8, 16, 32, 60, 60)]) == waits


async def test_a_message_ends_the_series_of_failures(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A link that brought a message proved useful: the next failure is the first again."""
    upstream = Upstream(simulator, http, jitter=1e-6)
    simulator.push("hello")
    simulator.faults.upgrades.next(Answer(503), Answer(503), None, Answer(503))
    simulator.faults.drops.next(Drop(Moment.AFTER_PUSHES, after=1))
    async with upstream.running():
        failure = await upstream.ears.hear(ConnectEnded, times=3, result=FAILED)
    assert pytest.approx(2e-6) == failure.retry_in


@pytest.mark.parametrize(("header", "least"), [("7", 7.0), ("999999", 3600.0), (None, 0.0)])
async def test_retry_after_is_honoured(
    upstream: Upstream, header: str | None, least: float
) -> None:
    """429 at the upgrade is waited out, an hour at most."""
    upstream.simulator.faults.upgrades.always(throttle(header))
    async with upstream.running():
        failure = await upstream.ears.hear(ConnectEnded, result=FAILED)
    assert least == failure.retry_in


async def test_the_next_host_is_tried_when_one_is_out_of_reach(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A host that refuses connections is left for the next in the list."""
    async with Simulator() as gone:
        refusing = gone.blaze_url
    upstream = Upstream(simulator, http, urls=[refusing, simulator.blaze_url])
    async with upstream.running():
        connected = await upstream.ears.hear(ConnectEnded, result=OK)
    failed = upstream.ears.all(ConnectEnded, result=FAILED)
    assert [True, False] == [event.host in refusing for event in (failed[0], connected)]


async def test_a_host_that_answers_is_not_left(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """An HTTP error, or a refused token, is no reason to go to another host."""
    async with Simulator() as other:
        upstream = Upstream(simulator, http, urls=[simulator.blaze_url, other.blaze_url])
        simulator.faults.upgrades.next(Answer(503), Answer(401), ErrorFrame())
        async with upstream.running():
            await upstream.ears.hear(ConnectEnded, result=OK)
        assert [] == other.journal.connects


async def test_tls_is_verified(http: aiohttp.ClientSession) -> None:
    """A certificate of a stranger is refused, one of a known authority is taken."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with Simulator(tls=server) as simulator:
        stranger = Upstream(simulator, http)
        async with stranger.running():
            await stranger.ears.hear(ConnectEnded, result=FAILED)
        async with open_session(ssl=trusting) as trusted:
            upstream = Upstream(simulator, trusted)
            async with upstream.running():
                await upstream.ears.hear(ConnectEnded, result=OK)


# --- Refused credentials ------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [ErrorFrame(), ErrorFrame(close=False), Answer(401)])
async def test_a_refused_token_is_confirmed_and_told(
    upstream: Upstream, refusal: ErrorFrame | Answer
) -> None:
    """However Mixin says 401, GET /me is asked, and the connect ends as unauthorized."""
    await upstream.simulator.revoke()
    upstream.simulator.faults.bad_token = refusal
    async with upstream.running():
        told = await upstream.ears.hear(CredentialsRefused)
        await upstream.ears.hear(ConnectEnded, result=UNAUTHORIZED)
        upstream.simulator.restore()
        await upstream.ears.hear(ConnectEnded, result=OK)
    assert told.clock_skew is not None
    assert (True, True) == (told.confirmed, abs(told.clock_skew) < LIMIT)


async def test_a_refused_token_leaves_the_socket_not_up(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """The upgrade succeeds and the ERROR frame follows: that is not connected."""
    upstream = Upstream(simulator, http, slow=60.0)
    await simulator.revoke()
    async with upstream.running():
        ended = await upstream.ears.hear(ConnectEnded)
        assert (UNAUTHORIZED, 45.0, False) == (
            ended.result,
            ended.retry_in,
            upstream.listener.status().ever,
        )


async def test_a_wrong_clock_is_told(upstream: Upstream) -> None:
    """A 401 because of our clock says by how much it is wrong."""
    upstream.simulator.clock.advance(3600)
    async with upstream.running():
        told = await upstream.ears.hear(CredentialsRefused)
    assert pytest.approx(-3600, abs=LIMIT) == told.clock_skew


async def test_a_session_revoked_later_is_noticed(upstream: Upstream) -> None:
    """An ERROR 401 on a socket that was up ends it as unauthorized."""
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        await upstream.simulator.revoke(close=False)
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.UNAUTHORIZED)
        await upstream.ears.hear(CredentialsRefused, confirmed=True)


async def test_a_passing_401_is_no_disaster(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """Where GET /me finds nothing wrong, the wait is an ordinary one."""
    upstream = Upstream(simulator, http, slow=600.0)
    simulator.faults.upgrades.next(ErrorFrame())
    async with upstream.running():
        told = await upstream.ears.hear(CredentialsRefused)
        await upstream.ears.hear(ConnectEnded, result=OK)
    assert (False, 0.0) == (told.confirmed, told.retry_in)


# --- Errors and nonsense on the socket ------------------------------------------------------------


@pytest.mark.parametrize("code", [10006, 500, 7000])
async def test_other_errors_are_told_and_survived(upstream: Upstream, code: int) -> None:
    """An ERROR frame other than 401 is told, and the socket lives on."""
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        await upstream.simulator.send_error(ErrorFrame(code, close=False))
        refused = await upstream.ears.hear(RequestRefused)
        upstream.simulator.push("still here")
        await upstream.basket.holding(1)
    assert (code, 1) == (refused.code, len(upstream.simulator.journal.connects))


async def test_a_refused_hello_is_said_again_on_a_new_socket(upstream: Upstream) -> None:
    """An error reply to LIST_PENDING_MESSAGES leads to a reconnect."""
    upstream.simulator.faults.lists.next(AppError(7000))
    async with upstream.running():
        failure = await upstream.ears.hear(ConnectEnded, result=FAILED)
        await upstream.ears.hear(ConnectEnded, result=OK)
    assert "7000" in failure.detail
    assert [] == upstream.simulator.journal.violations


async def test_nonsense_never_stops_what_is_behind_it(upstream: Upstream) -> None:
    """Each hostile frame is survived on the same socket, and the message after it arrives."""
    simulator = upstream.simulator
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        for hostile in hostile_frames(simulator.bot):
            simulator.push_frame(hostile.frame)
        last = simulator.push("behind")
        await upstream.basket.until(lambda: last in upstream.basket.ids)
        assert 1 == len(simulator.journal.connects)
    kept = {frame.digest for frame in upstream.basket.frames}
    told = {event.digest for event in upstream.ears.all(FrameUnreadable)}
    assert (kept, True) == (told, bool(kept))


async def test_repeated_closes_raise_a_suspicion(upstream: Upstream) -> None:
    """W10: a socket that is closed again and again soon after connecting is told as a takeover."""
    upstream.simulator.faults.drops.always(Drop(Moment.AFTER_ECHO, code=1000))
    async with upstream.running():
        suspicion = await upstream.ears.hear(TakeoverSuspected)
    assert TAKEOVER_CLOSES == suspicion.closes


async def test_a_takeover_is_not_fought_without_a_pause(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """Even if each link brought messages, repeated closes make the waits longer."""
    upstream = Upstream(simulator, http, jitter=1e-6)
    simulator.push("hello")
    simulator.faults.drops.next(Drop(Moment.AFTER_PUSHES, after=1), times=TAKEOVER_CLOSES + 3)
    simulator.faults.upgrades.next(*[None] * (TAKEOVER_CLOSES + 3), Answer(503))
    async with upstream.running():
        failure = await upstream.ears.hear(ConnectEnded, result=FAILED)
    assert pytest.approx(4e-6) == failure.retry_in


# --- Dead links ---------------------------------------------------------------------------------


async def test_a_silent_server_is_left(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Neither echo nor any frame after hello: reconnect."""
    upstream = Upstream(simulator, http, patience=replace(QUICK, hello=0.05))
    simulator.faults.lists.next(Echo(Place.NEVER))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=FAILED)
        await upstream.ears.hear(ConnectEnded, result=OK)


async def test_a_push_makes_up_for_a_missing_echo(upstream: Upstream) -> None:
    """Nothing depends on the echo: a message is as good."""
    upstream.simulator.push("hello")
    upstream.simulator.faults.lists.next(Echo(Place.NEVER))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        await upstream.basket.holding(1)


async def test_unanswered_pings_end_a_link(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A half-open connection is found by its missing pong."""
    upstream = Upstream(simulator, http, patience=replace(QUICK, heartbeat=0.1))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        simulator.faults.half_open = True
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.STALE)
        simulator.faults.half_open = False
        await upstream.ears.hear(ConnectEnded, times=2, result=OK)


async def test_a_dripping_frame_is_no_sign_of_life(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """Bytes that never become a frame end the link by the watchdog."""
    upstream = Upstream(simulator, http, patience=replace(QUICK, silence=0.3, heartbeat=0.2))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        simulator.faults.drip = 0.05
        simulator.push("x" * 5000)
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.STALE)
        simulator.faults.drip = None


# --- A full inlet -------------------------------------------------------------------------------


async def test_a_full_inlet_pauses_reading(upstream: Upstream) -> None:
    """While there is no room nothing is read, and then it goes on, on the same socket."""
    upstream.basket.capacity = 1
    ids = [upstream.simulator.push(str(number)) for number in range(3)]
    async with upstream.running():
        await upstream.basket.until(lambda: upstream.basket.waits == 1)
        assert ids[:1] == upstream.basket.ids
        upstream.basket.empty()
        await upstream.basket.holding(3)
    assert (ids, 1) == (upstream.basket.ids, len(upstream.simulator.journal.connects))


async def test_an_inlet_that_stays_full_costs_the_socket(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """The socket is given up, and the next waits for room."""
    upstream = Upstream(simulator, http, patience=replace(QUICK, room=0.05))
    upstream.basket.capacity = 1
    ids = [simulator.push(str(number)) for number in range(2)]
    async with upstream.running():
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.ERROR)
        await upstream.basket.until(lambda: upstream.basket.waits == 2)
        assert 1 == len(simulator.journal.connects)
        upstream.basket.empty()
        await upstream.basket.until(lambda: ids[1] in upstream.basket.ids)


# --- Stopping -----------------------------------------------------------------------------------


async def test_stopping_reads_no_more_and_keeps_the_socket(upstream: Upstream) -> None:
    """After `stop_reading` nothing is taken; `close` says goodbye with a normal code."""
    simulator = upstream.simulator
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
        upstream.listener.stop_reading()
        await simulator.pushed(simulator.push("too late"))
        assert ([], None) == (upstream.basket.ids, simulator.journal.connects[0].closed_at)
        upstream.listener.close()
        await upstream.ears.hear(Disconnected, reason=DisconnectReason.STOPPING)
    await simulator.disconnected()
    assert (1000, []) == (simulator.journal.connects[0].close_code, upstream.basket.ids)


@pytest.mark.parametrize("fault", [Hang(), Answer(503), Answer(401), throttle("3600")])
async def test_stopping_ends_every_wait(
    simulator: Simulator, http: aiohttp.ClientSession, fault: Hang | Answer
) -> None:
    """Neither a handshake nor any wait holds up a stop."""
    upstream = Upstream(simulator, http, jitter=1.0, slow=60.0)
    simulator.faults.upgrades.always(fault)
    simulator.faults.me.always(AppError(401))
    async with upstream.running():
        await simulator.attempted()
        if not isinstance(fault, Hang):
            await upstream.ears.hear(ConnectEnded)
        upstream.listener.close()
    assert False is upstream.listener.status().up


async def test_stopping_ends_the_wait_for_room(upstream: Upstream) -> None:
    """A full inlet does not hold up a stop, and what is in it was taken."""
    upstream.basket.capacity = 1
    upstream.simulator.push("hello")
    async with upstream.running():
        await upstream.basket.until(lambda: upstream.basket.waits == 1)
        upstream.listener.close()
    assert 1 == len(upstream.basket.ids)


async def test_a_cancelled_run_lets_the_socket_go(upstream: Upstream) -> None:
    """Cancelled from outside, nothing is left open."""
    run = asyncio.create_task(upstream.listener.run())
    await upstream.ears.hear(ConnectEnded, result=OK)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await upstream.simulator.disconnected()


async def test_a_bug_ends_the_process(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """What breaks in our own code is raised, not swallowed, and the socket is let go."""

    class Broken(Basket):
        def take(self, message: Message) -> None:
            raise ZeroDivisionError(message.message_id)

    upstream = Upstream(simulator, http, basket=Broken())
    simulator.push("hello")
    with pytest.raises(ExceptionGroup) as raised:
        await upstream.listener.run()
    assert raised.group_contains(ZeroDivisionError)
    await simulator.disconnected()


async def test_tokens_are_never_reused(upstream: Upstream) -> None:
    """Every connect and every request of all this carries a token of its own."""
    upstream.simulator.faults.upgrades.next(Reset(), Answer(503), ErrorFrame(), Answer(401))
    async with upstream.running():
        await upstream.ears.hear(ConnectEnded, result=OK)
    assert 0 == upstream.simulator.journal.kinds()[Kind.TOKEN_REUSED]
    assert {1} == set(upstream.simulator.journal.tokens.values())


async def test_sockets_of_many_bots_wait_for_none() -> None:
    """All bots share one client, and as many sockets stay open as there are bots."""
    async with open_session() as http:
        assert http.connector is not None
        assert (0, 0) == (http.connector.limit, http.connector.limit_per_host)
