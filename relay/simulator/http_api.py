"""The HTTP side: who asks, what goes wrong, and how Mixin answers (docs/protocol.md)."""

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

from aiohttp import web

from relay.simulator.exchange import Exchange
from relay.simulator.faults import Answer, AppError, Hang, HttpFault, Late, Lie, Reset
from relay.simulator.journal import Request
from relay.simulator.operations import Call, acknowledgements, find_operation
from relay.simulator.token import Check, Signed
from relay.simulator.upgrade import bearer, hang, headers_of, plain, reset


async def serve_request(exchange: Exchange, request: web.Request) -> web.StreamResponse:
    """Answer one request."""
    body = await request.read()
    check = exchange.authenticate(bearer(request), Signed(request.method, request.raw_path, body))
    record = _note(exchange, request, body, check)
    response = await _respond(exchange, request, body, check)
    record.status = response.status
    exchange.journal.tell(record)
    return response


def _note(exchange: Exchange, request: web.Request, body: bytes, check: Check) -> Request:
    record = Request(
        at=time.monotonic(),
        method=request.method,
        path=request.raw_path,
        headers=headers_of(request),
        body=body,
        claims=check.claims,
        refusal=check.refusal,
    )
    exchange.journal.requests.append(record)
    exchange.journal.changed()
    return record


async def _respond(
    exchange: Exchange, request: web.Request, body: bytes, check: Check
) -> web.Response:
    def act(*, apply: bool = True) -> Any:
        return _act(exchange, request, body, check, apply=apply)

    answer: Any
    match _fault(exchange, request.path):
        case None:
            answer = act()
        case Late(seconds):
            answer = act()
            await asyncio.sleep(seconds)
        case Lie():
            act(apply=False)
            answer = {}
        case AppError(applied=applied) as answer:
            act(apply=applied)
        case Answer(applied=applied) as fault:
            act(apply=applied)
            return plain(fault, exchange)
        case Hang(applied):
            act(apply=applied)
            return await hang()
        case Reset(applied):
            act(apply=applied)
            return await reset(request)
    return _envelope(exchange, request, answer)


def _fault(exchange: Exchange, path: str) -> HttpFault | None:
    match path:
        case "/acknowledgements":
            return exchange.faults.acks.take()
        case "/me":
            return exchange.faults.me.take()
        case _:
            return exchange.faults.api.take()


def _act(
    exchange: Exchange, request: web.Request, body: bytes, check: Check, *, apply: bool = True
) -> Any:
    """Do what is asked; without `apply`, acks are written down and nothing else happens."""
    found = find_operation(request.method, request.path)
    if check.refusal or check.bot is None:
        return AppError(401)
    if found is None:
        return AppError(404)
    operation, rest = found
    call = Call(exchange, check.bot, body, rest)
    if operation is acknowledgements:
        return acknowledgements(call, apply=apply)
    return operation(call) if apply else {}


def _envelope(exchange: Exchange, request: web.Request, answer: Any) -> web.Response:
    error = isinstance(answer, AppError)
    content = {"error": answer.body()} if error else {"data": answer} if answer else {}
    return web.Response(
        status=answer.http_status if error else 200,
        text=json.dumps(content),
        content_type="application/json",
        headers={
            "X-Request-Id": request.headers.get("X-Request-Id") or str(uuid4()),
            "X-Server-Time": exchange.clock.header(),
        },
    )
