"""Strangers' values are read leniently where that is safe, and refused as values elsewhere."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.wire import NotJson, read_base64, read_json, read_number, read_text, read_uuid


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"NaN", "not_json"),
        (b'{"a": -Infinity}', "not_json"),
        (b"1e999", "not_json"),
        (b"[1] 2", "not_json"),
        (b"9" * 5000, "not_json"),
        (b"\xff", "not_utf8"),
        ('"a"'.encode("utf-16"), "not_utf8"),
        (b"[" * 100_000, "too_deep"),
    ],
)
def test_json_that_some_reader_would_refuse_is_refused(data: bytes, why: str) -> None:
    """What no JSON reader, or not every one, takes is refused with a word."""
    with pytest.raises(NotJson) as refusal:
        read_json(data)
    assert why == str(refusal.value)


@given(st.text('0123456789+-.eE[]{},:" \\udtrfn\ud83d\ufeff\x00\xe9'))
def test_the_quick_reader_takes_nothing_that_the_strict_one_refuses(text: str) -> None:
    """What msgspec takes, the standard library takes, and both say the same."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return
    assert repr(json.loads(data)) == repr(value)
    assert repr(value) == repr(read_json(data))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_means_what_it_means_elsewhere(value: Any) -> None:
    """JSON text is read as the standard library reads it."""
    assert value == read_json(json.dumps(value).encode())


def test_a_lone_surrogate_does_not_break_writing_again() -> None:
    """A text with half a character can be written as JSON again."""
    assert r'"\ud800"' == json.dumps(read_json(rb'"\ud800"'))


@given(st.binary())
def test_every_way_to_write_base64_is_read(data: bytes) -> None:
    """Both alphabets are read, padded, unpadded and wrapped (6.1)."""
    standard, urlsafe = base64.b64encode(data), base64.urlsafe_b64encode(data)
    ways = [standard, urlsafe, standard.rstrip(b"="), urlsafe.rstrip(b"=")]
    ways += [base64.encodebytes(data), base64.encodebytes(data).replace(b"\n", b"\r\n")]
    assert [data] * len(ways) == [read_base64(way.decode()) for way in ways]


@pytest.mark.parametrize("text", ["a", "ab!c", "héé=", "\0AAA", "\ud800abc"])
def test_what_is_no_base64_is_none(text: str) -> None:
    """Foreign characters and an impossible length are no base64."""
    assert None is read_base64(text)


@given(st.text())
def test_any_text_is_base64_or_not(text: str) -> None:
    """Reading base64 never raises."""
    assert isinstance(read_base64(text), bytes | None)


def test_a_uuid_is_lowered() -> None:
    """Upper-case ids are the same ids."""
    uuid = "F381AAA0-a462-4333-AF10-e3f5bff7bec7"
    assert "f381aaa0-a462-4333-af10-e3f5bff7bec7" == read_uuid(uuid)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "f381aaa0a4624333af10e3f5bff7bec7",
        "{f381aaa0-a462-4333-af10-e3f5bff7bec7}",
        "f381aaa0-a462-4333-af10-e3f5bff7bec7\n",
        "f381aaa0-a462-4333-af10-e3f5bff7bec",
        "f381aaa0-a462-4333-af10-e3f5bff7becg",
        "٣381aaa0-a462-4333-af10-e3f5bff7bec7",
    ],
)
def test_only_the_hyphenated_form_is_a_uuid(value: Any) -> None:
    """Whatever is not 8-4-4-4-12 hex digits is no id."""
    assert None is read_uuid(value)


@given(st.none() | st.integers() | st.text(st.characters()) | st.lists(st.text()))
def test_text_fits_every_database(value: Any) -> None:
    """Text comes out bounded, encodable and without NUL, from whatever it was."""
    text = read_text(value, 8)
    assert (True, True, False) == (len(text) <= 8, bool(text.encode() or True), "\0" in text)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (401, 401),
        ("0404", 404),
        (0, 0),
        (-1, 0),
        (True, 0),
        (None, 0),
        (4.5, 0),
        ("x", 0),
        (10**12, 0),
        ([401], 0),
    ],
)
def test_numbers_are_read_or_zero(value: Any, number: int) -> None:
    """A code is a small number, however it is written, or 0."""
    assert number == read_number(value)
