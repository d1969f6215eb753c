"""What is on the wire: frames, and the messages, echoes, receipts and errors in them.

A frame is one gzip member of one JSON object. Written apart from the relay's own codec, so that one
mistake can't hide on both sides.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

LIVE: Final = "CREATE_MESSAGE"
PENDING: Final = "LIST_PENDING_MESSAGES"
RECEIPT: Final = "ACKNOWLEDGE_MESSAGE_RECEIPT"

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""The zero UUID: the sender of what the system says, and the id of an ERROR frame."""

YEAR_ONE: Final = "0001-01-01T00:00:00Z"
"""What Go writes for a time that is not set."""

LARGEST_FRAME: Final = 16 * 1024 * 1024
"""Decompressed bytes that a client may send in one frame; far above the 128 KB of the docs."""

# A window of 2 KiB fits most frames, and zeroing a larger one costs seven times as much.
_LEVEL, _GZIP_SMALL_WINDOW, _SMALL_MEMORY = 1, 16 + 11, 4
_GZIP: Final = 16 + zlib.MAX_WBITS
_ASCII: Final = json.JSONEncoder(separators=(",", ":"))
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)

_DESCRIPTIONS: Final = {
    400: "The request body can't be parsed as valid data.",
    401: "Unauthorized, maybe invalid token.",
    403: "Forbidden",
    404: "The endpoint is not found.",
    429: "Too Many Requests",
    500: "Internal Server Error",
    7000: "Blaze server error.",
    7001: "The blaze operation timeout.",
    10002: "The request data has invalid field.",
    10006: "Please update Mixin Messenger to continue use the service.",
    20140: "Conversation checksum is invalid.",
}


class Unreadable(ValueError):  # noqa: N818 - says what the bytes are
    """The bytes are no frame."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error of Mixin's: in the body of an answer with status 202, or in a frame."""

    code: int
    http_status: int = 202

    def body(self) -> dict[str, Any]:
        """Write what `error` holds."""
        description = _DESCRIPTIONS.get(self.code, "Unknown error")
        return {"status": 202, "code": self.code, "description": description}


@dataclass(frozen=True, slots=True)
class Message:
    """One message for a bot, as the server keeps it; `payload` is what the base64 fields carry."""

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

    def push(self, envelope_id: str, source: str) -> dict[str, Any]:
        """Write the envelope of a push; pushes of a message differ in id and source only."""
        return {"id": envelope_id, "action": LIVE, "data": self.data(source)}

    def data(self, source: str) -> dict[str, Any]:
        """Write what the envelope holds."""
        standard = base64.b64encode(self.payload).decode()
        created_at = timestamp(self.created_at)
        return {
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


# --- Frames ---------------------------------------------------------------------------------------


def squeeze(content: bytes) -> bytes:
    """Compress bytes into one gzip member."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_SMALL_WINDOW, _SMALL_MEMORY)
    return packer.compress(content) + packer.flush()


def pack(envelope: Mapping[str, Any]) -> bytes:
    """Make a frame of an envelope."""
    try:
        return squeeze(_ENCODER.encode(envelope).encode())
    except UnicodeEncodeError:
        # Half a surrogate pair exists in JSON as an escape only.
        return squeeze(_ASCII.encode(envelope).encode())


def unpack(frame: bytes | str) -> dict[str, Any]:
    """Read a frame; raises `Unreadable`."""
    if isinstance(frame, str):
        raise Unreadable("a text frame")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = unpacker.decompress(frame, LARGEST_FRAME)
    except zlib.error as error:
        raise Unreadable("not gzip") from error
    if not unpacker.eof:
        raise Unreadable("gzip that is cut off or too large")
    if unpacker.unused_data:
        raise Unreadable("bytes after the gzip member")
    try:
        envelope = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    if not isinstance(envelope, dict):
        raise Unreadable("not a JSON object")
    return envelope


# --- What is in them ------------------------------------------------------------------------------


def raw_url(standard: str) -> str:
    """Turn standard base64 into its URL-safe form without padding."""
    return standard.rstrip("=").replace("+", "-").replace("/", "_")


def timestamp(at: float, *, nanoseconds: bool = False) -> str:
    """Write a time as the server does: in UTC, with 6 or 9 fraction digits."""
    text = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}000Z" if nanoseconds else f"{text}Z"


def echo_of_send(message_id: str, bot_id: str, at: float) -> dict[str, Any]:
    """Write the data that answers a message of the bot's own."""
    created = timestamp(at, nanoseconds=True)
    told = {"user_id": bot_id, "source": LIVE, "created_at": created}
    return _bare(message_id, "SENT", at) | told


def receipt(message_id: str, status: str, at: float) -> dict[str, Any]:
    """Write the data that tells the status of a message that the bot sent."""
    return _bare(message_id, status, at) | {"source": RECEIPT, "created_at": YEAR_ONE}


def error_frame(code: int) -> bytes:
    """Make the frame that refuses a client."""
    error = {"status": 202, "code": code, "description": _DESCRIPTIONS.get(code, "")}
    return pack({"id": NOBODY, "action": "ERROR", "error": error})


def _bare(message_id: str, status: str, at: float) -> dict[str, Any]:
    texts = ("representative_id", "quote_message_id", "conversation_id", "user_id", "session_id")
    return {
        "type": "message",
        **dict.fromkeys((*texts, "category", "data", "data_base64", "source", "created_at"), ""),
        "message_id": message_id,
        "status": status,
        "silent": False,
        "expire_in": 0,
        "updated_at": timestamp(at, nanoseconds=True),
    }
