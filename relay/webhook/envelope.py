"""What a webhook's body says of a message (docs/reference.md, The request)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from relay.blaze.content import Content, read_content
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

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NOT_IN_TYPE = re.compile(r"[^a-z0-9_]")

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def build_envelope(message: Message, *, bot_name: str, app_id: str, decrypt: Decrypt) -> bytes:
    """Write the body of a message's webhook: always the same bytes for the same message.

    It is ASCII: even a lone surrogate from upstream goes through, as an escape. Raises
    `relay.blaze.wire.NotJson` for a message whose frame is not one that the session took.
    """
    push = read_json(message.frame)["data"]
    fields = _fields(push)
    content = read_content(push, decrypt)
    extra = _extra(push, fields)
    bot = _bot(bot_name, app_id)

    def write(content: Content, extra: Mapping[str, Any]) -> bytes:
        data = {"bot": bot, "message_id": message.message_id, **fields, **_told(content, extra)}
        return _write(_type(push), _timestamp(push, message.received_at), data)

    try:
        return write(content, extra)
    except RecursionError:
        # A sender chooses how deep the JSON is: what could just be read can be too deep to write.
        return write(_shallow(content), {})


def build_test_event(*, bot_name: str, app_id: str, endpoint_name: str, now: float) -> bytes:
    """Write the body with which an operator tries an endpoint; `now` in Unix seconds."""
    data = {"bot": _bot(bot_name, app_id), "endpoint": {"name": endpoint_name}}
    return _write(TEST_EVENT, _rfc_3339(now), data)


def _write(kind: str, timestamp: str, data: Mapping[str, Any]) -> bytes:
    return _encode({"type": kind, "timestamp": timestamp, "data": data}).encode("ascii")


def _bot(name: str, app_id: str) -> dict[str, str]:
    return {"name": name, "app_id": app_id}


def _type(push: Mapping[str, Any]) -> str:
    category = _text(push.get("category")) or "unknown"
    return "message." + _NOT_IN_TYPE.sub("_", category.lower())


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


def _fields(push: Mapping[str, Any]) -> dict[str, Any]:
    silent, expire_in = push.get("silent"), push.get("expire_in")
    return {
        **{name: _text(push.get(name)) for name in _TEXTS_BEFORE},
        "silent": silent is True,
        "expire_in": expire_in if type(expire_in) is int else 0,
        **{name: _text(push.get(name)) for name in _TEXTS_AFTER},
    }


def _text(value: Any) -> str | None:
    return value or None if isinstance(value, str) else None


def _told(content: Content, extra: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "encrypted": content.encrypted,
        "data_base64": content.data_base64,
        "content": content.content,
    }
    if content.error is not None:
        told["error"] = content.error
    if content.raw is not None:
        told["raw"] = content.raw
    if extra:
        told["extra"] = extra
    return told


def _shallow(content: Content) -> Content:
    if isinstance(content.content, dict | list):
        return replace(content, content=None, error=NOT_JSON)
    return content


def _extra(push: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the fields don't say: unknown ones, and known ones of a type they never had."""
    return {
        name: value
        for name, value in push.items()
        if name not in _NOT_FORWARDED and not (name in fields and value in (fields[name], None, ""))
    }


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
