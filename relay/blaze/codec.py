"""Frames as bytes: each is one gzip member that holds one JSON text (docs/protocol.md, Frames).

Frames are hostile input: whatever comes in, `decode` answers with a value.
"""

import gzip
import zlib
from typing import Any

import msgspec
from msgspec import Struct

from relay.blaze.wire import NotJson, read_json

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
