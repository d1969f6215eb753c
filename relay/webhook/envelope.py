"""What a webhook's body says of a message (docs/reference.md, The request)."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any

import msgspec
from msgspec.structs import replace

from relay.blaze.content import JSON_CATEGORIES, TEXT_CATEGORIES, Content, read_content
from relay.blaze.wire import read_json
from relay.model.messages import Message

TEST_EVENT = "relay.test"
NOT_JSON = "not_json"

Decrypt = Callable[[bytes], bytes]

_TEXTS_BEFORE = (
    "conversation_id",
    "user_id",
    "session_id",
    "representative_id",
    "quote_message_id",
    "category",
    "source",
)
_TEXTS_AFTER = ("created_at", "updated_at")
# What the envelope says otherwise, and what has said nothing for years (docs/protocol.md).
_NOT_FORWARDED = frozenset(
    {
        "type",
        "message_id",
        "status",
        "data",
        "data_base64",
        "primitive_id",
        "primitive_message_id",
    }
)
_TOLD: dict[str, tuple[type, ...]] = {
    **dict.fromkeys((*_TEXTS_BEFORE, *_TEXTS_AFTER), (str, NoneType)),
    "silent": (bool, NoneType),
    "expire_in": (int, NoneType),
}

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NOT_IN_TYPE = re.compile(r"[^a-z0-9_]")
_TYPES = {each: f"message.{each.lower()}" for each in TEXT_CATEGORIES | JSON_CATEGORIES}

_encode_quickly = msgspec.json.Encoder().encode
_encode_as_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def build_envelope(message: Message, *, bot_name: str, app_id: str, decrypt: Decrypt) -> bytes:
    """Write the body of a message's webhook: always the same bytes for the same message.

    It is ASCII: even a lone surrogate from upstream goes through, as an escape. Raises
    `relay.blaze.wire.NotJson` for a message whose frame is not one that the session took.
    """
    # Parsed anew, which costs a microsecond: what was parsed on the way in would be three times
    # as large as the frame, for every message that waits.
    push = read_json(message.frame)["data"]
    content = read_content(push, decrypt)
    kind, timestamp = _type(push), _timestamp(push, message.received_at)
    data = {"bot": _bot(bot_name, app_id), "message_id": message.message_id}
    try:
        return _write(kind, timestamp, _tell(data, push, content))
    except RecursionError:
        # A sender chooses how deep the JSON is: what could just be read can be too deep to write.
        data = _tell(data, push, _shallow(content))
        data.pop("extra", None)
        return _write(kind, timestamp, data)


def build_test_event(*, bot_name: str, app_id: str, endpoint_name: str, now: float) -> bytes:
    """Write the body with which an operator tries an endpoint; `now` in Unix seconds."""
    data = {"bot": _bot(bot_name, app_id), "endpoint": {"name": endpoint_name}}
    return _write(TEST_EVENT, _rfc_3339(now), data)


def _write(kind: str, timestamp: str, data: Mapping[str, Any]) -> bytes:
    event = {"type": kind, "timestamp": timestamp, "data": data}
    try:
        body = _encode_quickly(event)
    except UnicodeEncodeError:  # half a surrogate pair
        body = b"\xff"
    return body if body.isascii() else _encode_as_ascii(event).encode("ascii")


def _bot(name: str, app_id: str) -> dict[str, str]:
    return {"name": name, "app_id": app_id}


def _type(push: Mapping[str, Any]) -> str:
    category = _text(push.get("category")) or "unknown"
    return _TYPES.get(category) or "message." + _NOT_IN_TYPE.sub("_", category.lower())


def _timestamp(push: Mapping[str, Any], received_at: float) -> str:
    created_at = _text(push.get("created_at"))
    return created_at if created_at and _is_time(created_at) else _rfc_3339(received_at)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    # Python takes more of ISO 8601 than RFC 3339 does.
    return _RFC_3339.fullmatch(text) is not None


def _rfc_3339(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    return value or None if isinstance(value, str) else None


def _tell(head: Mapping[str, Any], push: Mapping[str, Any], content: Content) -> dict[str, Any]:
    """Give the event's `data`, in the documented order.

    `extra` keeps what the fields don't say: unknown ones, and those of a type they never had.
    """
    silent, expire_in = push.get("silent"), push.get("expire_in")
    data = dict(head)
    for name in _TEXTS_BEFORE:
        data[name] = _text(push.get(name))
    data["silent"] = silent is True
    data["expire_in"] = expire_in if type(expire_in) is int else 0
    for name in _TEXTS_AFTER:
        data[name] = _text(push.get(name))
    data["encrypted"] = content.encrypted
    data["data_base64"] = content.data_base64
    data["content"] = content.content
    if content.error is not None:
        data["error"] = content.error
    if content.raw is not None:
        data["raw"] = content.raw
    extra = {
        name: value
        for name, value in push.items()
        if name not in _NOT_FORWARDED and type(value) not in _TOLD.get(name, ())
    }
    if extra:
        data["extra"] = extra
    return data


def _shallow(content: Content) -> Content:
    if isinstance(content.content, dict | list):
        return replace(content, content=None, error=NOT_JSON)
    return content


class Envelopes:
    """One bot's envelopes: each is built once for all of its endpoints.

    The last few are kept, bounded in number and in bytes.
    """

    def __init__(
        self, build: Callable[[Message], bytes], *, most: int = 128, most_bytes: int = 2 * 1024**2
    ) -> None:
        self._build = build
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[str, bytes] = {}
        self._bytes = 0

    def of(self, message: Message) -> bytes:
        """Give a message's envelope."""
        body = self._kept.get(message.message_id)
        if body is None:
            body = self._build(message)
            self._keep(message.message_id, body)
        return body

    def _keep(self, message_id: str, body: bytes) -> None:
        self._kept[message_id] = body
        self._bytes += len(body)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            oldest = next(iter(self._kept))
            self._bytes -= len(self._kept.pop(oldest))
