"""The handshake of a Blaze socket (docs/protocol.md, Connecting, Tokens)."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn

from aiohttp import web

from relay.simulator.codec import LARGEST_FRAME
from relay.simulator.connection import Connection
from relay.simulator.exchange import Exchange
from relay.simulator.faults import Answer, ErrorFrame, Hang, Late, Reset, Unechoed, UpgradeFault
from relay.simulator.journal import Connect
from relay.simulator.token import Check, Signed
from relay.simulator.wire import CLOSE_WAIT, Wire, reset_connection

SUBPROTOCOL: Final = "Mixin-Blaze-1"


async def upgrade(exchange: Exchange, request: web.Request) -> web.StreamResponse:
    """Serve one socket from its handshake to its end."""
    record = _note(exchange, request)
    check = _authenticate(exchange, request)
    record.claims = check.claims
    record.app_id = check.bot.app_id if check.bot else None
    fault = exchange.faults.upgrades.take()
    try:
        return await _proceed(exchange, request, record, check, fault)
    finally:
        record.closed_at = time.monotonic()
        exchange.journal.tell(record)


def bearer(request: web.Request) -> str:
    """Read the token from the header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def headers_of(request: web.Request) -> Mapping[str, str]:
    """Copy the headers for the journal, without the token: its claims are there."""
    headers = request.headers.copy()
    headers.popall("Authorization", None)
    return headers


def plain(answer: Answer, exchange: Exchange) -> web.Response:
    """Write a proxy's answer."""
    return web.Response(
        status=answer.status,
        text=answer.body,
        content_type=answer.content_type,
        headers={"X-Server-Time": exchange.clock.header(), **answer.headers},
    )


async def reset(request: web.Request) -> NoReturn:
    """Reset the connection; the loss of it cancels the handler."""
    reset_connection(transport_of(request))
    await hang()


async def hang() -> NoReturn:
    """Do nothing until the client gives up or the server stops, either of which cancels this."""
    while True:
        await asyncio.Event().wait()


def transport_of(request: web.Request) -> asyncio.Transport:
    """Find the connection under a request; raises ConnectionResetError if it is gone."""
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    return request.transport


def _note(exchange: Exchange, request: web.Request) -> Connect:
    connects = exchange.journal.connects
    headers = headers_of(request)
    connects.append(Connect(len(connects), time.monotonic(), request.raw_path, headers))
    exchange.journal.changed()
    return connects[-1]


def _authenticate(exchange: Exchange, request: web.Request) -> Check:
    if token := bearer(request):
        return exchange.authenticate(token, Signed("GET", request.raw_path))
    # A browser can't set headers; its token is signed for the path without the query.
    return exchange.authenticate(request.query.get("access_token", ""), Signed("GET", request.path))


async def _proceed(
    exchange: Exchange,
    request: web.Request,
    record: Connect,
    check: Check,
    fault: UpgradeFault | None,
) -> web.StreamResponse:
    match fault:
        case Hang():
            _refuse(exchange, record, "hang")
            await hang()
        case Reset():
            _refuse(exchange, record, "reset")
            await reset(request)
        case Late(seconds):
            await asyncio.sleep(seconds)
        case None | Unechoed() | Answer() | ErrorFrame():
            pass
    match fault if isinstance(fault, Answer | ErrorFrame) else _refusal(exchange, check):
        case Answer() as answer:
            _refuse(exchange, record, f"HTTP {answer.status}")
            return plain(answer, exchange)
        case ErrorFrame() as error:
            _refuse(exchange, record, f"ERROR {error.code}")
            return await _open_to_refuse(exchange, request, record, error)
        case None:
            return await _open(exchange, request, record, check, echo=fault != Unechoed())


def _refusal(exchange: Exchange, check: Check) -> Answer | ErrorFrame | None:
    return exchange.faults.bad_token if check.refusal else None


def _refuse(exchange: Exchange, record: Connect, why: str) -> None:
    record.refused = why
    exchange.journal.tell(record)


async def _open_to_refuse(
    exchange: Exchange, request: web.Request, record: Connect, error: ErrorFrame
) -> web.StreamResponse:
    socket = await _handshake(exchange, request, echo=True)
    wire = Wire(exchange, socket, transport_of(request), record)
    with suppress(ConnectionError):
        await wire.refuse(error)
        await wire.read(_ignore)
    return socket


async def _ignore(_frame: bytes | str) -> None:
    """Do nothing for a client that was refused."""


async def _open(
    exchange: Exchange, request: web.Request, record: Connect, check: Check, *, echo: bool
) -> web.StreamResponse:
    socket = await _handshake(exchange, request, echo=echo)
    if check.bot is None:
        raise AssertionError("a token without a refusal names a bot")
    connection = Connection(exchange, check.bot, socket, transport_of(request), record)
    record.accepted_at = time.monotonic()
    exchange.journal.tell(record)
    try:
        await connection.serve()
    finally:
        record.close_code = record.close_code or socket.close_code
    return socket


async def _handshake(
    exchange: Exchange, request: web.Request, *, echo: bool
) -> web.WebSocketResponse:
    offered = SUBPROTOCOL in request.headers.get("Sec-WebSocket-Protocol", "")
    socket = web.WebSocketResponse(
        timeout=CLOSE_WAIT,
        autoping=False,
        autoclose=False,
        compress=False,
        protocols=(SUBPROTOCOL,) if echo and offered else (),
        max_msg_size=LARGEST_FRAME,
    )
    socket.headers["X-Server-Time"] = exchange.clock.header()
    await socket.prepare(request)
    return socket
