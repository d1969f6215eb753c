"""A frame is one gzip member with one JSON text; everything else is told apart by a word."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.wire import MAX_FRAME_BYTES, Decoded, Undecodable, decode, encode


def test_a_frame_is_its_text_and_what_it_says() -> None:
    """The text is kept as it was written, beside its meaning."""
    text = b'{ "a" : 1 }'
    assert Decoded(text, {"a": 1}) == decode(gzip.compress(text))


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_what_is_encoded_decodes(value: dict[str, Any]) -> None:
    """Encoding and decoding are each other's reverse."""
    decoded = decode(encode(value))
    assert isinstance(decoded, Decoded)
    assert value == decoded.value


def test_encoding_is_deterministic() -> None:
    """The same value gives the same bytes, without a time in the header."""
    assert encode({"a": 1}) == encode({"a": 1})


def test_garbage_behind_the_member_is_ignored() -> None:
    """Bytes after the gzip member change nothing."""
    assert Decoded(b"{}", {}) == decode(gzip.compress(b"{}") + b"garbage")


@pytest.mark.parametrize(
    ("frame", "undecodable"),
    [
        (b"", Undecodable("truncated", b"")),
        (b"{}", Undecodable("not_gzip", b"{}")),
        (gzip.compress(b"{}", mtime=0)[:-1], Undecodable("truncated", b"{}")),
        (gzip.compress(b"\xff", mtime=0), Undecodable("not_utf8", b"\xff")),
        (gzip.compress(b"{", mtime=0), Undecodable("not_json", b"{")),
        (gzip.compress(b"[" * 9999, mtime=0), Undecodable("too_deep", b"[" * 9999)),
    ],
)
def test_what_cannot_be_decoded_says_why(frame: bytes, undecodable: Undecodable) -> None:
    """The reason is a word, and what could be read is kept."""
    assert undecodable == decode(frame)


def test_a_bomb_is_cut_off_at_the_cap() -> None:
    """Decompression stops one byte past the cap, however much there is."""
    bomb = gzip.compress(b'"' + b"a" * (2 * MAX_FRAME_BYTES), compresslevel=1)
    decoded = decode(bomb)
    assert isinstance(decoded, Undecodable)
    assert ("too_large", MAX_FRAME_BYTES + 1) == (decoded.why, len(decoded.readable))


def test_the_cap_itself_is_allowed() -> None:
    """A frame of exactly the cap is read."""
    text = json.dumps("a" * (MAX_FRAME_BYTES - 2)).encode()
    assert isinstance(decode(gzip.compress(text, compresslevel=1)), Decoded)


@given(st.binary())
def test_any_bytes_are_decoded_or_not(frame: bytes) -> None:
    """Decoding never raises."""
    assert isinstance(decode(frame), Decoded | Undecodable)


@given(st.binary())
def test_any_compressed_bytes_are_decoded_or_not(text: bytes) -> None:
    """Decoding never raises, whatever was compressed."""
    assert isinstance(decode(gzip.compress(text)), Decoded | Undecodable)
