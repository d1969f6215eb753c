"""A payload is decoded for people, and relayed all the same where it can't be."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.content import Content, read_content
from relay.blaze.encryption import Decryptor, Undecryptable
from tests.pure.blaze_vectors import BLOB, BLOB_TEXT, KEYSTORE, MESSAGE_ID

TEXTS = ["PLAIN_TEXT", "PLAIN_POST"]
JSONS = {
    "PLAIN_IMAGE": {
        "attachment_id": MESSAGE_ID,
        "mime_type": "image/png",
        "width": 4,
        "height": 3,
        "size": 12,
        "thumbnail": "",
    },
    "PLAIN_DATA": {"attachment_id": MESSAGE_ID, "mime_type": "x/y", "size": 1, "name": "ü.pdf"},
    "PLAIN_AUDIO": {"attachment_id": MESSAGE_ID, "size": 1, "duration": 900, "waveform": "AA=="},
    "PLAIN_VIDEO": {"attachment_id": MESSAGE_ID, "size": 1, "duration": 900, "thumbnail": ""},
    "PLAIN_STICKER": {"sticker_id": MESSAGE_ID},
    "PLAIN_CONTACT": {"user_id": MESSAGE_ID},
    "PLAIN_LOCATION": {"longitude": 8.5, "latitude": 47.3, "name": "Zürich"},
    "PLAIN_LIVE": {"width": 4, "height": 3, "thumb_url": "", "url": "https://example.com"},
    "PLAIN_TRANSCRIPT": [{"message_id": MESSAGE_ID, "category": "PLAIN_TEXT"}],
}
NEVER_ENCRYPTED = {
    "PLAIN_JSON": {"action": "RESEND_KEY"},
    "APP_CARD": {"app_id": MESSAGE_ID, "title": "t", "description": "d", "actions": []},
    "APP_BUTTON_GROUP": [{"label": "a", "color": "#fff", "action": "input:a"}],
    "MESSAGE_RECALL": {"message_id": MESSAGE_ID},
    "MESSAGE_PIN": {"action": "PIN", "message_ids": [MESSAGE_ID]},
    "SYSTEM_CONVERSATION": {"action": "JOIN", "participant_id": MESSAGE_ID},
    "SYSTEM_USER": {"action": "UPDATE", "user_id": MESSAGE_ID},
    "SYSTEM_CIRCLE": {"action": "CREATE", "circle_id": MESSAGE_ID},
    "SYSTEM_SESSION": {"action": "PROVISION", "user_id": MESSAGE_ID},
    "SYSTEM_ACCOUNT_SNAPSHOT": {"type": "transfer", "amount": "-1.5", "snapshot_id": MESSAGE_ID},
    "SYSTEM_SAFE_SNAPSHOT": {"type": "snapshot", "memo": "6869", "amount": "1"},
    "SYSTEM_SAFE_INSCRIPTION": {"type": "inscription", "inscription_hash": "00"},
}
SILENT = [
    "",
    "SIGNAL_TEXT",
    "SIGNAL_IMAGE",
    "SIGNAL_KEY",
    "WEBRTC_AUDIO_OFFER",
    "WEBRTC_ICE_CANDIDATE",
    "KRAKEN_INVITE",
    "PLAIN_FUTURE",
    "SYSTEM_FUTURE",
    "plain_text",
]


def encoded(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def read(category: Any, payload: bytes) -> Content:
    """Read a payload; ENCRYPTED_* by a cipher that turns it round."""
    return read_content({"category": category, "data": encoded(payload)}, turn_round)


def turn_round(blob: bytes) -> bytes:
    return blob[::-1]


def refuse(_blob: bytes) -> bytes:
    raise Undecryptable("as always")


@pytest.mark.parametrize("category", TEXTS)
def test_texts_are_text(category: str) -> None:
    """TEXT and POST are told as the text that they are."""
    payload = "hi **你好**".encode()
    assert Content(encrypted=False, data_base64=encoded(payload), content="hi **你好**") == read(
        category, payload
    )


@pytest.mark.parametrize(("category", "value"), [*JSONS.items(), *NEVER_ENCRYPTED.items()])
def test_every_json_category_is_parsed(category: str, value: Any) -> None:
    """Whatever carries JSON (6.4) is told as what it says."""
    payload = json.dumps(value).encode()
    assert Content(encrypted=False, data_base64=encoded(payload), content=value) == read(
        category, payload
    )


@pytest.mark.parametrize(("category", "value"), JSONS.items())
def test_encrypted_json_is_parsed_after_decryption(category: str, value: Any) -> None:
    """ENCRYPTED_* carries what PLAIN_* of the same suffix does."""
    payload = json.dumps(value).encode()
    assert Content(encrypted=True, data_base64=encoded(payload), content=value) == read(
        category.replace("PLAIN", "ENCRYPTED"), payload[::-1]
    )


@pytest.mark.parametrize("category", SILENT)
def test_other_categories_are_bytes_only(category: str) -> None:
    """What is not for people, or unknown, is relayed as bytes, without an error."""
    assert Content(encrypted=False, data_base64="e30=") == read(category, b"{}")


def test_an_unknown_encrypted_category_is_decrypted() -> None:
    """A category of tomorrow is decrypted all the same."""
    assert Content(encrypted=True, data_base64=encoded(b"ab")) == read("ENCRYPTED_FUTURE", b"ba")


def test_the_published_vector_is_read() -> None:
    """A real payload goes through the real decryptor."""
    push = {"category": "ENCRYPTED_TEXT", "data_base64": base64.urlsafe_b64encode(BLOB).decode()}
    assert Content(
        encrypted=True, data_base64=encoded(BLOB_TEXT.encode()), content=BLOB_TEXT
    ) == read_content(push, Decryptor(KEYSTORE))


def test_what_cannot_be_decrypted_is_relayed_as_received() -> None:
    """`undecryptable`: the bytes are those that came."""
    push = {"category": "ENCRYPTED_TEXT", "data": encoded(b"sealed")}
    assert Content(
        encrypted=True, data_base64=encoded(b"sealed"), error="undecryptable"
    ) == read_content(push, refuse)


@pytest.mark.parametrize("payload", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"[" * 99_999])
def test_what_should_be_json_and_is_not(payload: bytes) -> None:
    """`not_json`: the bytes are those that came."""
    assert Content(encrypted=False, data_base64=encoded(payload) or None, error="not_json") == read(
        "APP_CARD", payload
    )


def test_encrypted_bytes_that_are_no_json_are_plaintext() -> None:
    """`not_json` behind encryption keeps what decryption gave: nobody else can."""
    assert Content(encrypted=True, data_base64=encoded(b"ab"), error="not_json") == read(
        "ENCRYPTED_IMAGE", b"ba"
    )


@pytest.mark.parametrize("category", ["PLAIN_TEXT", "PLAIN_FUTURE", "APP_CARD", "ENCRYPTED_TEXT"])
def test_what_is_no_base64_is_relayed_as_text(category: str) -> None:
    """`not_base64`: no bytes, and the text that came."""
    content = read_content({"category": category, "data": "a!"}, refuse)
    assert ("not_base64", "a!", None, None) == (
        content.error,
        content.raw,
        content.data_base64,
        content.content,
    )


def test_a_payload_that_is_no_text_is_not_base64() -> None:
    """A number where base64 should be has no text to show."""
    assert Content(encrypted=False, error="not_base64") == read_content(
        {"category": "PLAIN_TEXT", "data": 5}, refuse
    )


def test_text_that_is_not_utf8_is_bytes() -> None:
    """A text in another encoding is no error, and nothing for people."""
    assert Content(encrypted=False, data_base64=encoded(b"\xff")) == read("PLAIN_TEXT", b"\xff")


@pytest.mark.parametrize("push", [{}, {"data": ""}, {"data": None, "data_base64": ""}])
def test_an_empty_payload_is_null(push: dict[str, Any]) -> None:
    """Empty strings from upstream are null."""
    assert Content(encrypted=False) == read_content({"category": "PLAIN_TEXT"} | push, refuse)


@pytest.mark.parametrize(
    "push",
    [
        {"data": "/+8="},
        {"data": "_-8"},
        {"data": "/+8=", "data_base64": ""},
        {"data": "AAAA", "data_base64": "_-8"},
        {"data": "/+\r\n8=\n"},
    ],
)
def test_both_fields_in_either_alphabet_are_read(push: dict[str, Any]) -> None:
    """`data_base64` goes before `data`, and both are read leniently (6.1)."""
    assert "/+8=" == read_content({"category": "X"} | push, refuse).data_base64


def test_half_a_character_can_be_written_again() -> None:
    """A lone surrogate inside JSON survives into the envelope."""
    content = read("APP_CARD", rb'["\ud800"]')
    assert r'["\ud800"]' == json.dumps(content.content)


@given(
    st.dictionaries(
        st.sampled_from(["category", "data", "data_base64"]),
        st.none()
        | st.integers()
        | st.lists(st.text())
        | st.text(st.characters())
        | st.binary().map(encoded)
        | st.sampled_from([*TEXTS, *JSONS, *SILENT, "ENCRYPTED_TEXT", "ENCRYPTED_IMAGE"]),
    )
)
def test_any_push_has_some_content(push: dict[str, Any]) -> None:
    """Nothing is raised, whatever the fields hold, and what comes out is writable as JSON."""
    content = read_content(push, Decryptor(KEYSTORE))
    json.dumps([content.content, content.raw], allow_nan=False)
    assert content.error in {None, "not_base64", "not_json", "undecryptable"}
