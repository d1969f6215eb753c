"""The part of Mixin's HTTP API that goes with Blaze, in minimal versions."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from relay.simulator.bots import Bot, Check, Signed
from relay.simulator.connection import bearer, headers_of
from relay.simulator.frames import ApiError, raw_url, timestamp
from relay.simulator.journal import Request, Transport
from relay.simulator.people import CAST, contact_conversation
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
        operation, rest = _OPERATIONS.get((request.method, request.path)), ""
        if operation is None:
            stem, _, rest = request.path.rpartition("/")
            operation = _OPERATIONS.get((request.method, f"{stem}/*")) if rest else None
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


def checksum(session_ids: list[str]) -> str:
    """Tell the checksum that a sender proves its knowledge of the sessions with."""
    joined = "".join(sorted(session_ids))
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()


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


def _encrypted_messages(call: Call) -> Any:
    body = call.json()
    if not isinstance(body, list) or not all(isinstance(one, Mapping) for one in body):
        return ApiError(10002)
    return [_encrypted_message(call, message) for message in body]


def _encrypted_message(call: Call, message: Mapping[str, Any]) -> dict[str, Any]:
    sessions = _sessions([message.get("recipient_id")], call)
    current = checksum([session["session_id"] for session in sessions])
    fits = bool(sessions) and message.get("checksum") == current
    taken = fits and not isinstance(call.state.take(call.bot, message), ApiError)
    return {
        "type": "message",
        "message_id": message.get("message_id"),
        "recipient_id": message.get("recipient_id"),
        "state": "SUCCESS" if taken else "FAILED",
        "sessions": [] if taken else sessions,
    }


def _sessions_fetch(call: Call) -> Any:
    user_ids = call.json()
    return _sessions(user_ids, call) if isinstance(user_ids, list) else ApiError(10002)


def _sessions(user_ids: list[Any], call: Call) -> list[dict[str, Any]]:
    bots = call.state.bots.values()
    keys = [(one.user_id, one.session_id, one.public_key) for one in CAST]
    keys += [(bot.app_id, bot.session_id, bot.sealing_key or b"") for bot in bots]
    return [
        {
            "type": "session",
            "user_id": user_id,
            "session_id": session_id,
            "public_key": raw_url(base64.b64encode(public_key).decode()),
            "platform": "Android",
        }
        for user_id, session_id, public_key in keys
        if user_id in user_ids
    ]


def _conversations(call: Call) -> Any:
    body = call.json()
    participants = body.get("participants") if isinstance(body, dict) else None
    if not isinstance(participants, list):
        return ApiError(10002)
    user_ids = [str(one.get("user_id")) for one in participants if isinstance(one, dict)]
    everyone = list(dict.fromkeys([call.bot.app_id, *user_ids]))
    of_two = contact_conversation(everyone[0], everyone[-1])
    return {
        "type": "conversation",
        "conversation_id": body.get("conversation_id") or of_two,
        "creator_id": call.bot.app_id,
        "category": body.get("category", "CONTACT"),
        "name": body.get("name", ""),
        "participants": [{"type": "participant", "user_id": one, "role": ""} for one in everyone],
        "created_at": timestamp(call.state.clock.now()),
    }


def _attachments(call: Call) -> Any:
    attachment_id = call.rest or str(uuid4())
    url = f"https://attachments.example.com/{attachment_id}"
    return {
        "type": "attachment",
        "attachment_id": attachment_id,
        "upload_url": f"{url}?upload",
        "view_url": url,
    }


def _statuses(call: Call) -> Any:
    if not call.rest.isdecimal():
        return ApiError(10002)
    since = timestamp(int(call.rest) / 1_000_000_000, nanoseconds=True)
    return [echo for echo in call.state.sent.values() if echo["updated_at"] > since]


_OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/acknowledgements"): _acknowledgements,
    ("GET", "/me"): _me,
    ("POST", "/messages"): _messages,
    ("POST", "/encrypted_messages"): _encrypted_messages,
    ("POST", "/sessions/fetch"): _sessions_fetch,
    ("POST", "/conversations"): _conversations,
    ("POST", "/attachments"): _attachments,
    ("GET", "/attachments/*"): _attachments,
    ("GET", "/messages/status/*"): _statuses,
}
