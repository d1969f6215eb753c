"""A message as the server keeps it, and as it is pushed (docs/protocol.md, Actions, Messages)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

YEAR_ONE: Final = "0001-01-01T00:00:00Z"
"""What Go writes for a time that is not set."""

LIVE: Final = "CREATE_MESSAGE"
PENDING: Final = "LIST_PENDING_MESSAGES"
RECEIPT: Final = "ACKNOWLEDGE_MESSAGE_RECEIPT"


class _Absent(Enum):
    """A marker that is not a value of JSON."""

    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""As a value in `changes`: the field is left out."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message for a bot. Pushes of it share everything but the source.

    `payload` is what the base64 fields carry; `changes` replaces fields of the push, or drops
    those that are ABSENT, without changing what the server itself knows.
    """

    message_id: str
    conversation_id: str
    user_id: str
    session_id: str
    category: str
    payload: bytes
    created_at: float
    quote_message_id: str = ""
    representative_id: str = ""
    silent: bool = False
    expire_in: int = 0
    action: str = LIVE
    changes: Mapping[str, Any] | None = None

    def push(self, envelope_id: str, source: str) -> dict[str, Any]:
        """Write the envelope of a push."""
        return {"id": envelope_id, "action": self.action, "data": self._data(source)}

    def _data(self, source: str) -> dict[str, Any]:
        standard = base64.b64encode(self.payload).decode()
        created_at = timestamp(self.created_at)
        data = {
            "type": "message",
            "representative_id": self.representative_id,
            "quote_message_id": self.quote_message_id,
            "conversation_id": self.conversation_id,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "message_id": self.message_id,
            "category": self.category,
            "data": standard,
            "data_base64": raw_url(standard),
            "status": "SENT",
            "source": source,
            "silent": self.silent,
            "expire_in": self.expire_in,
            "created_at": created_at,
            "updated_at": created_at,
        }
        return _changed(data, self.changes) if self.changes else data


def _changed(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**data, **changes}.items() if value is not ABSENT}


def raw_url(standard: str) -> str:
    """Turn standard base64 into its URL-safe form without padding."""
    return standard.rstrip("=").replace("+", "-").replace("/", "_")


def raw_url_of(raw: bytes) -> str:
    """Write bytes in URL-safe base64 without padding."""
    return raw_url(base64.b64encode(raw).decode())


def timestamp(at: float, *, nanoseconds: bool = False) -> str:
    """Write a time as the server does: in UTC, with 6 or 9 fraction digits."""
    text = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}000Z" if nanoseconds else f"{text}Z"


def echo_of_send(message_id: str, bot_id: str, at: float) -> dict[str, Any]:
    """Write the data that answers a message of the bot's own (docs/protocol.md, Actions)."""
    return {
        **_bare(message_id, "SENT", at),
        "user_id": bot_id,
        "source": LIVE,
        "created_at": timestamp(at, nanoseconds=True),
    }


def receipt(message_id: str, status: str, at: float) -> dict[str, Any]:
    """Write the data that tells the status of a message that the bot sent (4.5)."""
    return {**_bare(message_id, status, at), "source": RECEIPT, "created_at": YEAR_ONE}


def _bare(message_id: str, status: str, at: float) -> dict[str, Any]:
    return {
        "type": "message",
        "representative_id": "",
        "quote_message_id": "",
        "conversation_id": "",
        "user_id": "",
        "session_id": "",
        "message_id": message_id,
        "category": "",
        "data": "",
        "data_base64": "",
        "status": status,
        "source": "",
        "silent": False,
        "expire_in": 0,
        "created_at": "",
        "updated_at": timestamp(at, nanoseconds=True),
    }
