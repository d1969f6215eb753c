"""Bytes in, events out: every frame becomes an event, and a message is never mistaken."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.session import (
    MAX_FIELD,
    MAX_SAMPLE,
    Echoed,
    Event,
    Ignored,
    OwnEcho,
    Pushed,
    Refused,
    Session,
    StatusPushed,
    Unreadable,
)
from relay.blaze.wire import Decoded, decode
from relay.model.messages import Message, Source
from tests.pure.blaze_vectors import (
    APP_ID,
    MESSAGE_ID,
    PUSH_FRAME,
    REQUEST_ID,
    STATUS_FRAME,
    UNAUTHORIZED_FRAME,
    frame,
    push,
)

ACTIONS = [
    "CREATE_MESSAGE",
    "CREATE_CALL",
    "CREATE_KRAKEN",
    "LIST_PENDING_MESSAGES",
    "ACKNOWLEDGE_MESSAGE_RECEIPT",
    "ERROR",
    "PONG",
]


def receive(data: bytes | str) -> Event:
    return Session("support", APP_ID).receive(data, received_at=7.0)


def receive_message(value: Any) -> Message:
    event = receive(frame(value))
    assert isinstance(event, Pushed)
    return event.message


def why(event: Event) -> str:
    assert isinstance(event, Unreadable)
    return event.frame.why


def test_hello_asks_for_the_backlog() -> None:
    """The first frame is LIST_PENDING_MESSAGES, without an offset."""
    decoded = decode(Session("support", APP_ID).hello(REQUEST_ID))
    assert isinstance(decoded, Decoded)
    assert {"id": REQUEST_ID, "action": "LIST_PENDING_MESSAGES"} == decoded.value


def test_a_captured_push_is_a_message() -> None:
    """A push becomes a message that keeps its whole frame as received."""
    assert Pushed(
        Message(
            bot="support",
            message_id="f381aaa0-a462-4333-af10-e3f5bff7bec7",
            conversation_id="534d23a7-9ee5-38a0-9769-0f20f83521f6",
            user_id="53bac64e-e1ff-408a-ad0e-aca20cdc68bd",
            category="PLAIN_TEXT",
            source=Source.LIVE,
            frame=PUSH_FRAME,
            received_at=7.0,
        )
    ) == receive(gzip.compress(PUSH_FRAME))


def test_the_backlog_is_told_apart() -> None:
    """A push from the backlog says so."""
    assert Source.PENDING == receive_message(push(source="LIST_PENDING_MESSAGES")).source


@pytest.mark.parametrize("category", ["SYSTEM_FUTURE", "WEBRTC_AUDIO_OFFER", "x" * 50, ""])
def test_every_category_is_a_message(category: str) -> None:
    """A push is a message whatever its category, known or not."""
    assert category == receive_message(push(category=category)).category


@pytest.mark.parametrize("action", ["CREATE_CALL", "CREATE_KRAKEN"])
def test_calls_are_messages(action: str) -> None:
    """Call signalling carries a message object and wants its receipt."""
    assert MESSAGE_ID == receive_message(push(action)).message_id


@pytest.mark.parametrize("action", ["CREATE_CALL", "CREATE_KRAKEN", "PONG"])
def test_other_actions_without_data_are_ignored(action: str) -> None:
    """What is not for us is named and left alone."""
    assert Ignored(action) == receive(frame({"id": REQUEST_ID, "action": action}))


@pytest.mark.parametrize("category", ["", None])
def test_the_bots_own_message_is_an_echo(category: str | None) -> None:
    """From the bot and without a category: what it sent itself (4.4)."""
    assert OwnEcho() == receive(frame(push(user_id=APP_ID.upper(), category=category)))


@pytest.mark.parametrize(
    "fields",
    [{"user_id": APP_ID}, {"category": ""}, {"user_id": APP_ID, "category": 0}],
)
def test_only_both_signs_make_an_echo(fields: dict[str, Any]) -> None:
    """A message from the bot with a category, or from others without one, is a message."""
    assert MESSAGE_ID == receive_message(push(**fields)).message_id


def test_a_captured_status_is_no_message() -> None:
    """A status push tells of a message that the bot sent."""
    assert StatusPushed() == receive(gzip.compress(STATUS_FRAME))


@pytest.mark.parametrize(
    "action",
    [
        "LIST_PENDING_MESSAGES",
        "ACKNOWLEDGE_MESSAGE_RECEIPT",
        "ACKNOWLEDGE_MESSAGE_RECEIPTS",
    ],
)
def test_answers_without_an_error_are_echoes(action: str) -> None:
    """An answer to a request names it."""
    assert Echoed(REQUEST_ID, action) == receive(frame({"id": REQUEST_ID, "action": action}))


def test_a_captured_401_is_unauthorized() -> None:
    """The ERROR frame for a bad token is recognised."""
    event = receive(gzip.compress(UNAUTHORIZED_FRAME))
    assert isinstance(event, Refused)
    assert (Refused(401, "Unauthorized, maybe invalid token."), True) == (event, event.unauthorized)


@pytest.mark.parametrize(
    ("envelope", "refused"),
    [
        ({"action": "CREATE_MESSAGE", "error": {"code": 403}}, Refused(403, "")),
        ({"action": "ERROR"}, Refused(0, "")),
        ({"action": "ERROR", "error": "no"}, Refused(0, "no")),
        ({"error": {"code": "10006", "discription": "update"}}, Refused(10006, "update")),
        ({"action": [], "error": {"code": [], "description": 5}}, Refused(0, "")),
    ],
)
def test_any_error_is_a_refusal(envelope: dict[str, Any], refused: Refused) -> None:
    """The action of an error is unimportant, and its text is read leniently (3, 4.1)."""
    assert refused == receive(frame(envelope))


def test_the_answer_to_hello_is_recognised() -> None:
    """An error that answers LIST_PENDING_MESSAGES says so."""
    session = Session("support", APP_ID)
    session.hello(REQUEST_ID)
    answer = frame({"id": REQUEST_ID, "action": "ERROR", "error": {"code": 7000}})
    assert Refused(7000, "", of_hello=True) == session.receive(answer, received_at=0.0)


@pytest.mark.parametrize("error", [None, {}, ""])
def test_an_empty_error_is_none(error: Any) -> None:
    """A message with an empty error field is a message."""
    assert MESSAGE_ID == receive_message(push() | {"error": error}).message_id


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("text", "text"),
        (b"", "truncated"),
        (b"{}", "not_gzip"),
        (gzip.compress(b"{", mtime=0), "not_json"),
        (gzip.compress(b"\xff", mtime=0), "not_utf8"),
        (frame([]), "no_object"),
        (frame(None), "no_object"),
        (frame({}), "no_action"),
        (frame({"action": 5}), "no_action"),
        (frame({"action": "CREATE_MESSAGE"}), "no_data"),
        (frame({"action": "CREATE_MESSAGE", "data": []}), "no_data"),
        (frame(push(message_id="5")), "no_message_id"),
        (frame(push(message_id=None)), "no_message_id"),
        (frame(push(message_id=[MESSAGE_ID])), "no_message_id"),
    ],
    ids=str,
)
def test_what_says_nothing_says_why(data: bytes | str, reason: str) -> None:
    """A frame without a meaning is kept, and the reason is a word."""
    assert reason == why(receive(data))


def test_a_sample_is_bounded() -> None:
    """Of an unreadable frame only a sample is kept, and its size as received."""
    event = receive(frame(["x" * 10_000]))
    assert isinstance(event, Unreadable)
    assert (MAX_SAMPLE, b'["xx') == (len(event.frame.sample), event.frame.sample[:4])


def test_the_same_push_has_the_same_digest() -> None:
    """A message without an id comes again in a new envelope, and is one row all the same."""
    first, again = push(message_id=""), push(message_id="") | {"id": REQUEST_ID}
    events = [receive(frame(first)), receive(frame(again))]
    digests = {event.frame.digest for event in events if isinstance(event, Unreadable)}
    assert 1 == len(digests)


def test_different_frames_have_different_digests() -> None:
    """What differs in its data is another row."""
    events = [receive(frame(push(message_id=""))), receive(frame(push(message_id="x")))]
    assert 2 == len({event.frame.digest for event in events if isinstance(event, Unreadable)})


def test_columns_take_what_comes() -> None:
    """Ids are lowered; wrong types are empty; long, half and NUL characters are made harmless."""
    message = receive_message(
        push(
            message_id=MESSAGE_ID.upper(),
            conversation_id="534D23A7-9EE5-38A0-9769-0F20F83521F6",
            user_id=["u"],
            category="\0\ud800" + "x" * 999,
        )
    )
    assert (
        MESSAGE_ID,
        "534d23a7-9ee5-38a0-9769-0f20f83521f6",
        "",
        "\ufffd?" + "x" * (MAX_FIELD - 2),
    ) == (message.message_id, message.conversation_id, message.user_id, message.category)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = [
    "message_id",
    "conversation_id",
    "user_id",
    "category",
    "source",
    "data",
]
HOSTILE = st.sampled_from([APP_ID, MESSAGE_ID, "", "\ud800", "\0", 10**400]) | JSON


@given(st.binary() | st.text(st.characters()) | st.binary().map(gzip.compress))
def test_any_bytes_are_an_event(data: bytes | str) -> None:
    """No bytes and no text raise."""
    assert isinstance(receive(data), Event)


@given(JSON)
def test_any_json_is_an_event(value: Any) -> None:
    """No JSON raises."""
    assert isinstance(receive(frame(value)), Event)


@given(
    envelope=st.dictionaries(st.sampled_from(["id", "error"]), HOSTILE),
    action=st.sampled_from(ACTIONS) | HOSTILE,
    data=st.dictionaries(st.sampled_from(FIELDS), HOSTILE) | HOSTILE,
)
def test_hostile_fields_are_an_event(envelope: dict[str, Any], action: Any, data: Any) -> None:
    """No value in any field raises, and a message fits every database."""
    event = receive(frame(envelope | {"action": action, "data": data}))
    assert isinstance(event, Event)
    if isinstance(event, Pushed):
        message = event.message
        columns = [message.conversation_id, message.user_id, message.category]
        assert json.dumps(columns, ensure_ascii=False).encode()


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[1:], HOSTILE)))
def test_a_push_with_an_id_is_never_lost(fields: dict[str, Any]) -> None:
    """Whatever its other fields hold, a push with a message id is a message or an own echo."""
    event = receive(frame(push(**fields)))
    assert isinstance(event, Pushed | OwnEcho) or why(event) == "not_json"
