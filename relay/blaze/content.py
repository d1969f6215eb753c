"""What a message says: its payload, decoded for people (docs/protocol.md)."""

import base64
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from relay.blaze.encryption import Undecryptable
from relay.blaze.wire import NotJson, read_base64, read_json

ENCRYPTED_PREFIX = "ENCRYPTED_"

_TEXT_KINDS = ("TEXT", "POST")
_JSON_KINDS = (
    "IMAGE",
    "DATA",
    "AUDIO",
    "VIDEO",
    "STICKER",
    "CONTACT",
    "LOCATION",
    "LIVE",
    "TRANSCRIPT",
)
# SIGNAL_* is end-to-end between users, calls carry signalling: neither is for people.
_READABLE_PREFIXES = ("PLAIN_", ENCRYPTED_PREFIX)

TEXT_CATEGORIES = frozenset(p + kind for p in _READABLE_PREFIXES for kind in _TEXT_KINDS)
JSON_CATEGORIES = frozenset(p + kind for p in _READABLE_PREFIXES for kind in _JSON_KINDS) | {
    "PLAIN_JSON",
    "APP_CARD",
    "APP_BUTTON_GROUP",
    "MESSAGE_RECALL",
    "MESSAGE_PIN",
    "SYSTEM_CONVERSATION",
    "SYSTEM_USER",
    "SYSTEM_CIRCLE",
    "SYSTEM_SESSION",
    "SYSTEM_ACCOUNT_SNAPSHOT",
    "SYSTEM_SAFE_SNAPSHOT",
    "SYSTEM_SAFE_INSCRIPTION",
}


class Content(Struct, frozen=True):
    """A payload as a webhook tells it; each field is one of the envelope's (docs/reference.md).

    An empty payload is null, as every empty string of upstream is. A text that is not UTF-8 is
    no error: its bytes are in `data_base64`, and there is nothing to say for people.
    """

    encrypted: bool
    data_base64: str | None = None
    content: Any = None
    error: str | None = None
    raw: str | None = None


def read_content(push: dict[str, Any], decrypt: Callable[[bytes], bytes]) -> Content:
    """Decode the payload of a push's `data` object. Raises nothing, whatever the push holds.

    `decrypt` gives the plaintext of an ENCRYPTED_* payload or raises `Undecryptable`.
    """
    category = push.get("category")
    if not isinstance(category, str):
        category = ""
    encrypted = category.startswith(ENCRYPTED_PREFIX)
    text = push.get("data_base64") or push.get("data") or ""
    payload = read_base64(text) if isinstance(text, str) else None
    if payload is None:
        return Content(encrypted, error="not_base64", raw=text if isinstance(text, str) else None)
    if encrypted:
        try:
            payload = decrypt(payload)
        except Undecryptable:
            return Content(encrypted, _base64(payload), error="undecryptable")
    return _for_people(category, payload, encrypted=encrypted)


def _for_people(category: str, payload: bytes, *, encrypted: bool) -> Content:
    data = _base64(payload)
    if category in TEXT_CATEGORIES:
        return Content(encrypted, data, _text(payload))
    if category not in JSON_CATEGORIES:
        return Content(encrypted, data)
    try:
        return Content(encrypted, data, read_json(payload))
    except NotJson:
        return Content(encrypted, data, error="not_json")


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode() or None
    except UnicodeDecodeError:
        return None


def _base64(payload: bytes) -> str | None:
    return base64.b64encode(payload).decode() or None
