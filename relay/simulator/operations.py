"""The part of Mixin's HTTP API that goes with Blaze, in minimal versions (docs/protocol.md)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from relay.simulator import sends
from relay.simulator.acks import acknowledge
from relay.simulator.exchange import Exchange
from relay.simulator.faults import AppError
from relay.simulator.journal import Transport
from relay.simulator.keystore import Bot
from relay.simulator.message import raw_url_of, timestamp
from relay.simulator.people import CAST, contact_conversation
from relay.simulator.sealing import checksum

_MOST_MESSAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a bot whose token is good; `rest` is the last part of the path."""

    exchange: Exchange
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


def find_operation(method: str, path: str) -> tuple[Operation, str] | None:
    """Find what serves a path, and the last part of it where that is a parameter."""
    if operation := _OPERATIONS.get((method, path)):
        return operation, ""
    stem, _, rest = path.rpartition("/")
    operation = _OPERATIONS.get((method, f"{stem}/*"))
    return (operation, rest) if operation and rest else None


def acknowledgements(call: Call, *, apply: bool = True) -> Any:
    """POST /acknowledgements (5.1)."""
    exchange, items = call.exchange, call.json()
    error = acknowledge(exchange, call.bot, items, Transport.HTTP, apply=apply)
    return error or (items if exchange.faults.ack_answers_array else {})


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
        return AppError(10002)
    for message in messages:
        answer = sends.take(call.exchange, call.bot, message)
        if isinstance(answer, AppError):
            return answer
    return {}


def _encrypted_messages(call: Call) -> Any:
    body = call.json()
    if not isinstance(body, list) or not all(isinstance(one, Mapping) for one in body):
        return AppError(10002)
    return [_encrypted_message(call, message) for message in body]


def _encrypted_message(call: Call, message: Mapping[str, Any]) -> dict[str, Any]:
    sessions = _sessions([message.get("recipient_id")], call)
    current = checksum([session["session_id"] for session in sessions])
    fits = bool(sessions) and message.get("checksum") == current
    taken = fits and not isinstance(sends.take(call.exchange, call.bot, message), AppError)
    return {
        "type": "message",
        "message_id": message.get("message_id"),
        "recipient_id": message.get("recipient_id"),
        "state": "SUCCESS" if taken else "FAILED",
        "sessions": [] if taken else sessions,
    }


def _sessions_fetch(call: Call) -> Any:
    user_ids = call.json()
    return _sessions(user_ids, call) if isinstance(user_ids, list) else AppError(10002)


def _sessions(user_ids: list[Any], call: Call) -> list[dict[str, Any]]:
    keys = [(one.user_id, one.session_id, one.public_key) for one in CAST]
    keys += [
        (bot.app_id, bot.session_id, bot.sealing_key or b"") for bot in call.exchange.bots.values()
    ]
    return [
        {
            "type": "session",
            "user_id": user_id,
            "session_id": session_id,
            "public_key": raw_url_of(public_key),
            "platform": "Android",
        }
        for user_id, session_id, public_key in keys
        if user_id in user_ids
    ]


def _conversations(call: Call) -> Any:
    body = call.json()
    participants = body.get("participants") if isinstance(body, dict) else None
    if not isinstance(participants, list):
        return AppError(10002)
    user_ids = [str(one.get("user_id")) for one in participants if isinstance(one, dict)]
    everyone = list(dict.fromkeys([call.bot.app_id, *user_ids]))
    return {
        "type": "conversation",
        "conversation_id": body.get("conversation_id")
        or contact_conversation(everyone[0], everyone[-1]),
        "creator_id": call.bot.app_id,
        "category": body.get("category", "CONTACT"),
        "name": body.get("name", ""),
        "participants": [{"type": "participant", "user_id": one, "role": ""} for one in everyone],
        "created_at": timestamp(call.exchange.clock.now()),
    }


def _attachments(call: Call) -> Any:
    attachment_id = call.rest or str(uuid4())
    return {
        "type": "attachment",
        "attachment_id": attachment_id,
        "upload_url": f"https://attachments.example.com/{attachment_id}?upload",
        "view_url": f"https://attachments.example.com/{attachment_id}",
    }


def _statuses(call: Call) -> Any:
    if not call.rest.isdecimal():
        return AppError(10002)
    since = timestamp(int(call.rest) / 1_000_000_000, nanoseconds=True)
    return [echo for echo in call.exchange.sent.values() if echo["updated_at"] > since]


_OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/acknowledgements"): acknowledgements,
    ("GET", "/me"): _me,
    ("POST", "/messages"): _messages,
    ("POST", "/encrypted_messages"): _encrypted_messages,
    ("POST", "/sessions/fetch"): _sessions_fetch,
    ("POST", "/conversations"): _conversations,
    ("POST", "/attachments"): _attachments,
    ("GET", "/attachments/*"): _attachments,
    ("GET", "/messages/status/*"): _statuses,
}
