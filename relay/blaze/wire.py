"""Frames and values as bytes: gzip, JSON, base64 and ids (docs/protocol.md, Frames).

A frame is one gzip member that holds one JSON text. Frames are hostile input: whatever comes in,
`decode` answers with a value. The payloads inside them, the keystore and the HTTP API's answers
use the same forms of values, read leniently where that is safe.
"""

import base64
import binascii
import gzip
import json
import math
import re
import zlib
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NOT_COUNTED = str.maketrans("", "", "= \t\r\n")


class NotJson(Exception):  # noqa: N818 - says what the bytes are, not what the caller did wrong
    """The bytes are no JSON text that every JSON reader would take; the text says why in a word."""


def read_json(data: bytes) -> Any:
    """Parse UTF-8 JSON strictly: no NaN, no infinities, no depth or digits beyond Python's.

    Raises `NotJson` and nothing else.
    """
    try:
        return _read_quickly(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _read_slowly(data)


def _read_slowly(data: bytes) -> Any:
    """Read what msgspec refuses and others take, such as half a surrogate pair, or say why not."""
    try:
        return _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise NotJson("not_utf8") from None
    except RecursionError:
        raise NotJson("too_deep") from None
    except ValueError:
        raise NotJson("not_json") from None


def read_base64(text: str) -> bytes | None:
    """Decode either alphabet, padded or not, wrapped or not (docs/protocol.md); None if not.

    Senders are sloppy, so the bits that the last character has to spare are not looked at.
    """
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
    except ValueError:
        plain = plain.translate(_NOT_COUNTED)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None


def read_uuid(value: Any) -> str | None:
    """Give a UUID as Mixin writes it, in lower case and with hyphens; None for anything else."""
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else None


def read_text(value: Any, limit: int) -> str:
    """Give text that every database takes: cut to `limit`, no lone surrogates, no NUL.

    Whatever is no text is the empty one.
    """
    if not isinstance(value, str):
        return ""
    if len(value) <= limit and value.isascii() and "\0" not in value:
        return value
    return value[:limit].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def read_number(value: Any) -> int:
    """Give an integer of at most nine digits, also from text; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    return int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)[:10]) else 0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


_read_quickly = msgspec.json.Decoder().decode
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


# Mixin limits a batch to 128 KB; this leaves room for whatever is still called a frame, and none
# for a bomb (docs/protocol.md, Frames).
MAX_FRAME_BYTES = 16 * 1024 * 1024

_GZIP_ONLY = 31
_FAST = 3  # the level that the official clients use


class Decoded(Struct, frozen=True):
    """A frame's JSON, as the text that was received and as what it says."""

    text: bytes
    value: Any


class Undecodable(Struct, frozen=True):
    """A frame without JSON; `readable` is as far as decoding came, `why` is a word."""

    why: str
    readable: bytes


def decode(frame: bytes) -> Decoded | Undecodable:
    """Decompress and parse one binary frame. Bytes behind the gzip member are ignored."""
    inflater = zlib.decompressobj(_GZIP_ONLY)
    try:
        text = inflater.decompress(frame, MAX_FRAME_BYTES + 1)
    except zlib.error:
        return Undecodable("not_gzip", frame)
    if len(text) > MAX_FRAME_BYTES:
        return Undecodable("too_large", text)
    if not inflater.eof:
        return Undecodable("truncated", text)
    try:
        return Decoded(text, read_json(text))
    except NotJson as reason:
        return Undecodable(str(reason), text)


def encode(value: Any) -> bytes:
    """Write one frame; the same value always gives the same bytes."""
    text = msgspec.json.encode(value)
    return gzip.compress(text, compresslevel=_FAST, mtime=0)
