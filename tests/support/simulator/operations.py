"""More of Mixin's HTTP API, in minimal versions: what bots ask that do more than receive."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from relay.simulator.api import OPERATIONS, Call, Operation
from relay.simulator.frames import ApiError, raw_url, timestamp
from relay.simulator.people import CAST, contact_conversation


def checksum(session_ids: list[str]) -> str:
    """Tell the checksum that a sender proves its knowledge of the sessions with."""
    joined = "".join(sorted(session_ids))
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()


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


ALL_OPERATIONS: dict[tuple[str, str], Operation] = {
    **OPERATIONS,
    ("POST", "/encrypted_messages"): _encrypted_messages,
    ("POST", "/sessions/fetch"): _sessions_fetch,
    ("POST", "/conversations"): _conversations,
    ("POST", "/attachments"): _attachments,
    ("GET", "/attachments/*"): _attachments,
    ("GET", "/messages/status/*"): _statuses,
}
