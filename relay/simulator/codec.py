"""Frames on the wire: one gzip member of one JSON object (docs/protocol.md, Frames).

Written apart from the relay's own codec, so that one mistake can't hide on both sides.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

_LEVEL: Final = 1
_GZIP_SMALL_WINDOW: Final = 16 + 11
_SMALL_MEMORY: Final = 4
# A window of 2 KiB fits most frames, and zeroing a larger one costs seven times as much.

LARGEST_FRAME: Final = 16 * 1024 * 1024
"""Decompressed bytes that a client may send in one frame; far above the 128 KB of the docs."""

_ASCII: Final = json.JSONEncoder(separators=(",", ":"))
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)


class Unreadable(ValueError):  # noqa: N818 - says what the bytes are
    """The bytes are no frame."""


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
    return _parse(_inflate(frame))


def peek(frame: bytes | str) -> dict[str, Any] | None:
    """Read whatever a lenient reader might make of a frame, None if that is nothing."""
    try:
        content = frame if isinstance(frame, str) else _unpacker().decompress(frame, LARGEST_FRAME)
        envelope = json.loads(content)
    except (zlib.error, ValueError, RecursionError):
        return None
    return envelope if isinstance(envelope, dict) else None


def _unpacker() -> "zlib._Decompress":
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _inflate(frame: bytes) -> bytes:
    unpacker = _unpacker()
    try:
        content = unpacker.decompress(frame, LARGEST_FRAME)
    except zlib.error as error:
        raise Unreadable("not gzip") from error
    if not unpacker.eof:
        raise Unreadable("gzip that is cut off or too large")
    if unpacker.unused_data:
        raise Unreadable("bytes after the gzip member")
    return content


def _parse(content: bytes) -> dict[str, Any]:
    try:
        envelope = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    if not isinstance(envelope, dict):
        raise Unreadable("not a JSON object")
    return envelope
