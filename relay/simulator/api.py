"""The part of Mixin's HTTP API that a relay needs, and a receiver that answers users."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from relay.simulator.bots import Bot, Check, Signed
from relay.simulator.connection import bearer, headers_of
from relay.simulator.frames import ApiError, timestamp
from relay.simulator.journal import Request, Transport
from relay.simulator.state import State

_MOST_MESSAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a bot whose token is good; `rest` is the last part of the path."""

    state: State
    bot: Bot
    body: bytes
    rest: str = ""

    def json(self) -> Any:
        """Parse the body; None for one that is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


Operation = Callable[[Call], Any]
"""Answers with what `data` is to hold, `{}` for an empty object, or an error."""


class Api:
    """Answers requests, each with a token of its own over its very bytes."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.operations = dict(OPERATIONS)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        signed = Signed(request.method, request.raw_path, body)
        check = self.state.authenticate(bearer(request), signed)
        record = Request(
            at=time.monotonic(),
            method=request.method,
            path=request.raw_path,
            headers=headers_of(request),
            body=body,
            claims=check.claims,
            refusal=check.refusal,
        )
        self.state.journal.requests.append(record)
        self.state.journal.changed()
        response = await self.respond(request, body, check)
        record.status = response.status
        self.state.journal.tell(record)
        return response

    async def respond(self, request: web.Request, body: bytes, check: Check) -> web.Response:
        """Do what is asked, and answer."""
        return self.envelope(request, self.act(request, body, check))

    def act(self, request: web.Request, body: bytes, check: Check) -> Any:
        """Do what is asked; answers with data or an error."""
        if check.refusal or check.bot is None:
            return ApiError(401)
        operation, rest = self.operations.get((request.method, request.path)), ""
        if operation is None:
            stem, _, rest = request.path.rpartition("/")
            operation = self.operations.get((request.method, f"{stem}/*")) if rest else None
        if operation is None:
            return ApiError(404)
        return operation(Call(self.state, check.bot, body, rest))

    def envelope(self, request: web.Request, answer: Any) -> web.Response:
        """Write an answer."""
        error = isinstance(answer, ApiError)
        content = {"error": answer.body()} if error else {"data": answer} if answer else {}
        return web.Response(
            status=answer.http_status if error else 200,
            text=json.dumps(content),
            content_type="application/json",
            headers={
                "X-Request-Id": request.headers.get("X-Request-Id") or str(uuid4()),
                "X-Server-Time": self.state.clock.header(),
            },
        )


# --- Operations -----------------------------------------------------------------------------------


def _acknowledgements(call: Call) -> Any:
    return call.state.acknowledge(call.bot, call.json(), Transport.HTTP) or {}


def _me(call: Call) -> Any:
    return {
        "type": "user",
        "user_id": call.bot.app_id,
        "identity_number": "7000100000",
        "full_name": "Simulated bot",
        "session_id": call.bot.session_id,
        "app": {"type": "app", "app_id": call.bot.app_id, "capabilities": ["ENCRYPTED"]},
        "created_at": timestamp(0),
    }


def _messages(call: Call) -> Any:
    body = call.json()
    messages = body if isinstance(body, list) else [body]
    if len(messages) > _MOST_MESSAGES:
        return ApiError(10002)
    answers = (call.state.take(call.bot, message) for message in messages)
    return next((answer for answer in answers if isinstance(answer, ApiError)), {})


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/acknowledgements"): _acknowledgements,
    ("GET", "/me"): _me,
    ("POST", "/messages"): _messages,
}
"""What serves a method and a path; a path that ends in `/*` has a parameter there."""
