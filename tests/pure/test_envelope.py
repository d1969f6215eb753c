"""What a webhook's body promises (docs/reference.md, The request)."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.encryption import Undecryptable
from relay.blaze.wire import NotJson
from relay.model.messages import Message, Source
from relay.webhook.envelope import Envelopes, build_envelope, build_test_event

MESSAGE_ID = "f381aaa0-a462-4333-af10-e3f5bff7bec7"
RECEIVED_AT = 1604321252.5
RECEIVED_TEXT = "2020-11-02T12:47:32.500000Z"

# A captured frame (docs/protocol.md, Sources).
CAPTURE = (
    b'{"id":"71639e3f-561c-4cbb-b995-4996a72b46b3","action":"CREATE_MESSAGE","data":{"type":"message'
    b'","representative_id":"","quote_message_id":"","conversation_id":"534d23a7-9ee5-38a0-9769-0f20'
    b'f83521f6","user_id":"53bac64e-e1ff-408a-ad0e-aca20cdc68bd","session_id":"6ab63de1-7483-497c-89'
    b'16-35d1249ce9c0","message_id":"f381aaa0-a462-4333-af10-e3f5bff7bec7","category":"PLAIN_TEXT","'
    b'data":"YWJj","data_base64":"YWJj","status":"SENT","source":"CREATE_MESSAGE","silent":false,"ex'
    b'pire_in":0,"created_at":"2023-04-28T10:01:32.387507Z","updated_at":"2023-04-28T10:01:32.387507'
    b'Z"}}'
)
EXPECTED = (
    b'{"type":"message.plain_text","timestamp":"2023-04-28T10:01:32.387507Z","data":{"bot":{"name":"s'
    b'upport","app_id":"the-app"},"message_id":"f381aaa0-a462-4333-af10-e3f5bff7bec7","conversation_'
    b'id":"534d23a7-9ee5-38a0-9769-0f20f83521f6","user_id":"53bac64e-e1ff-408a-ad0e-aca20cdc68bd","s'
    b'ession_id":"6ab63de1-7483-497c-8916-35d1249ce9c0","representative_id":null,"quote_message_id":'
    b'null,"category":"PLAIN_TEXT","source":"CREATE_MESSAGE","silent":false,"expire_in":0,"created_a'
    b't":"2023-04-28T10:01:32.387507Z","updated_at":"2023-04-28T10:01:32.387507Z","encrypted":false,'
    b'"data_base64":"YWJj","content":"abc"}}'
)


def undecryptable(_payload: bytes) -> bytes:
    raise Undecryptable


def framed(frame: bytes, message_id: str = MESSAGE_ID) -> Message:
    """Make the message of a frame; what the relay itself keeps of it is of no concern here."""
    return Message("support", message_id, "c", "u", "?", Source.LIVE, frame, RECEIVED_AT)


def body_of(frame: bytes) -> bytes:
    return build_envelope(
        framed(frame), bot_name="support", app_id="the-app", decrypt=undecryptable
    )


def envelope_of(**push: Any) -> dict[str, Any]:
    """Build and read the envelope of a push with these fields."""
    envelope: dict[str, Any] = json.loads(body_of(json.dumps({"data": push}).encode()))
    return envelope


def test_a_message_is_told_to_the_byte() -> None:
    """The fields of the interface, in its order, and no others."""
    assert EXPECTED == body_of(CAPTURE)


def test_the_same_message_gives_the_same_bytes() -> None:
    """A retry says exactly what the first attempt said."""
    assert body_of(CAPTURE) == body_of(CAPTURE)


def test_what_is_missing_has_its_default() -> None:
    """An empty push still makes a whole envelope."""
    expected = {
        "type": "message.unknown",
        "timestamp": RECEIVED_TEXT,
        "data": {
            "bot": {"name": "support", "app_id": "the-app"},
            "message_id": MESSAGE_ID,
            "conversation_id": None,
            "user_id": None,
            "session_id": None,
            "representative_id": None,
            "quote_message_id": None,
            "category": None,
            "source": None,
            "silent": False,
            "expire_in": 0,
            "created_at": None,
            "updated_at": None,
            "encrypted": False,
            "data_base64": None,
            "content": None,
        },
    }
    assert expected == envelope_of()


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("PLAIN_TEXT", "message.plain_text"),
        ("SYSTEM_ACCOUNT_SNAPSHOT", "message.system_account_snapshot"),
        ("New-Kind.2", "message.new_kind_2"),
        ("Ünï", "message._n_"),
        ("", "message.unknown"),
        (None, "message.unknown"),
        (7, "message.unknown"),
    ],
)
def test_the_type_is_the_category_in_lower_case(category: Any, expected: str) -> None:
    """With none but the characters that Standard Webhooks allows."""
    assert expected == envelope_of(category=category)["type"]


@pytest.mark.parametrize(
    "created_at",
    [
        "2020-11-02T12:47:32Z",
        "2020-11-02T12:47:32.472333Z",
        "2020-11-02T12:47:32.123456789Z",
        "2020-11-02T12:47:32+02:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_the_timestamp_is_when_the_message_was_written(created_at: str) -> None:
    """In any spelling of RFC 3339, as Mixin gave it."""
    envelope = envelope_of(created_at=created_at)
    assert (created_at, created_at) == (envelope["timestamp"], envelope["data"]["created_at"])


@pytest.mark.parametrize(
    "created_at",
    [
        "",
        "yesterday",
        "2020-11-02",
        "2020-W45-1T00:00:00Z",
        "20201102T124732Z",
        "2020-02-30T00:00:00Z",
    ],
)
def test_an_unreadable_time_gives_way_to_the_reception(created_at: str) -> None:
    """The timestamp is always a time; what Mixin gave is still there."""
    envelope = envelope_of(created_at=created_at)
    expected = (RECEIVED_TEXT, created_at or None)
    assert expected == (envelope["timestamp"], envelope["data"]["created_at"])


def test_unknown_fields_pass_through() -> None:
    """Also those whose names are the relay's own, and nothing is lost of what they hold."""
    push = {"bot": 1, "content": [None, 1.5], "extra": {"a": "b"}, "new": "x", "error": ""}
    data = envelope_of(**push)["data"]
    assert push == data["extra"]
    assert {"name": "support", "app_id": "the-app"} == data["bot"]


def test_some_known_fields_are_not_forwarded() -> None:
    """What the envelope says otherwise, or what says nothing."""
    names = ("type", "status", "data", "data_base64", "primitive_id", "primitive_message_id")
    data = envelope_of(**dict.fromkeys(names, ""), message_id="another")["data"]
    assert "extra" not in data
    assert MESSAGE_ID == data["message_id"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("user_id", 7, None),
        ("quote_message_id", ["x"], None),
        ("silent", "yes", False),
        ("expire_in", "60", 0),
        ("expire_in", True, 0),
        ("created_at", 1604321252, None),
    ],
)
def test_a_field_of_a_wrong_type_is_extra(name: str, value: Any, told: Any) -> None:
    """The fields keep the types that the interface gives them, and what came is still there."""
    data = envelope_of(**{name: value})["data"]
    assert told == data[name]
    assert {name: value} == data["extra"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("silent", True, True),
        ("silent", None, False),
        ("expire_in", 60, 60),
        ("expire_in", None, 0),
    ],
)
def test_flags_are_told(name: str, value: Any, told: Any) -> None:
    """And null is as if they were missing."""
    data = envelope_of(**{name: value})["data"]
    assert told == data[name]
    assert "extra" not in data


def test_what_cant_be_decrypted_is_relayed_all_the_same() -> None:
    """With a word, and with the bytes that were received."""
    data = envelope_of(category="ENCRYPTED_TEXT", data_base64="AQID")["data"]
    expected = {
        "encrypted": True,
        "data_base64": "AQID",
        "content": None,
        "error": "undecryptable",
    }
    assert expected == {name: data[name] for name in list(data)[-4:]}


def test_what_is_no_base64_is_relayed_as_it_came() -> None:
    """With a word, and with the text that was received."""
    data = envelope_of(category="PLAIN_TEXT", data_base64="*")["data"]
    expected = {
        "encrypted": False,
        "data_base64": None,
        "content": None,
        "error": "not_base64",
        "raw": "*",
    }
    assert expected == {name: data[name] for name in list(data)[-5:]}


def test_decrypted_content_is_told() -> None:
    """The payload of an encrypted message is its plaintext."""
    body = build_envelope(
        framed(b'{"data":{"category":"ENCRYPTED_TEXT","data_base64":"AQID"}}'),
        bot_name="support",
        app_id="the-app",
        decrypt=lambda payload: b"plain " + payload.hex().encode(),
    )
    data = json.loads(body)["data"]
    assert (True, "plain 010203") == (data["encrypted"], data["content"])


def test_lone_surrogates_go_through_as_escapes() -> None:
    """The body is valid UTF-8 even where upstream's text is not."""
    body = body_of(b'{"data":{"conversation_id":"\\ud800","x":"\\udfff"}}')
    assert rb'"conversation_id":"\ud800"' in body
    assert rb'{"x":"\udfff"}' in body


# --- Anything ----------------------------------------------------------------------------------

NAMES = st.sampled_from(list(json.loads(CAPTURE)["data"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["PLAIN_TEXT", "APP_CARD", "ENCRYPTED_POST", "e30=", "W10", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES | st.text(), VALUES))
def test_any_push_makes_an_envelope(push: dict[str, Any]) -> None:
    """Any JSON object becomes ASCII JSON with every field of the interface."""
    body = body_of(json.dumps({"data": push}).encode())
    assert body.isascii()
    data = json.loads(body)["data"]
    assert set(json.loads(EXPECTED)["data"]) <= set(data)


def deep_in_extra(depth: int) -> bytes:
    return b'{"data":{"new":%b%b}}' % (b"[" * depth, b"]" * depth)


def deep_in_content(depth: int) -> bytes:
    payload = base64.b64encode(b"[" * depth + b"]" * depth)
    return b'{"data":{"category":"APP_CARD","data_base64":"%b"}}' % payload


def deep_beside_letters(depth: int) -> bytes:
    return '{"data":{"x":"é","new":%b%b}}'.encode() % (b"[" * depth, b"]" * depth)


@pytest.mark.parametrize("frame", [deep_in_extra, deep_in_content, deep_beside_letters])
def test_depth_does_no_harm(frame: Callable[[int], bytes]) -> None:
    """JSON that is just shallow enough to be read may be too deep to be written: it is left out."""
    for depth in range(900, 1000):
        try:
            body = body_of(frame(depth))
        except NotJson:
            break  # nor would the session have taken it
        assert body.endswith(b"}}")


# --- The test event ----------------------------------------------------------------------------


def test_the_test_event_names_bot_and_endpoint() -> None:
    """An operator sees who is calling."""
    expected = {
        "type": "relay.test",
        "timestamp": RECEIVED_TEXT,
        "data": {"bot": {"name": "b", "app_id": "a"}, "endpoint": {"name": "e"}},
    }
    body = build_test_event(bot_name="b", app_id="a", endpoint_name="e", now=RECEIVED_AT)
    assert expected == json.loads(body)


# --- The last few ------------------------------------------------------------------------------


class Builder:
    """Builds bodies of ten bytes and remembers for whom."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def __call__(self, message: Message) -> bytes:
        self.built.append(message.message_id)
        return message.message_id.encode().ljust(10)


def test_an_envelope_is_built_once_for_all_endpoints() -> None:
    """Those who ask next get the same bytes."""
    builder = Builder()
    envelopes = Envelopes(builder)
    message = framed(CAPTURE)
    assert envelopes.of(message) == envelopes.of(message)
    assert [MESSAGE_ID] == builder.built


@pytest.mark.parametrize("bounds", [{"most": 2}, {"most_bytes": 29}])
def test_only_the_last_few_are_kept(bounds: dict[str, int]) -> None:
    """Neither many nor large envelopes pile up."""
    builder = Builder()
    envelopes = Envelopes(builder, **bounds)
    for message_id in "abcbca":
        assert message_id.encode().ljust(10) == envelopes.of(framed(CAPTURE, message_id))
    assert list("abca") == builder.built


def test_an_envelope_above_the_bound_is_not_kept() -> None:
    """It is built again, and the next ones are kept as before."""
    builder = Builder()
    envelopes = Envelopes(builder, most_bytes=5)
    for message_id in "aa":
        envelopes.of(framed(CAPTURE, message_id))
    assert list("aa") == builder.built
