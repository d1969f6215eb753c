"""Frames that a hostile or broken server might send, none of them a message."""

import functools
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from relay.simulator.bots import Bot
from relay.simulator.frames import LIVE, NOBODY, RECEIPT, echo_of_send, pack, receipt, squeeze
from relay.simulator.people import ALICE, stable_id
from tests.support.simulator.faulty import ABSENT, OddMessage

BOMB_SIZE: Final = 64 * 1024 * 1024
"""Decompressed bytes of the gzip bomb."""

_DEEP: Final = 100_000
_MANY_DIGITS: Final = 10_000
_WHEN: Final = 1_700_000_000.0


class HostileFrame(NamedTuple):
    """A frame for `Simulator.push_frame`; a str goes as a text frame.

    Those named `gzip_…` hold a push that a lenient reader may find; acks of it are no violation.
    """

    name: str
    frame: bytes | str


def hostile_frames(bot: Bot) -> list[HostileFrame]:
    """List the frames, each under a name of its own."""
    frames = {
        **_no_gzip(),
        **_odd_gzip(),
        **_no_json(),
        **{name: pack(envelope) for name, envelope in _envelopes(bot)},
        **{f"push_{name}": pack(_push(**changes)) for name, changes in _BROKEN_DATA.items()},
    }
    return [HostileFrame(name, frame) for name, frame in frames.items()]


def _push(**changes: Any) -> dict[str, Any]:
    message = OddMessage(
        message_id=stable_id("hostile"),
        conversation_id=stable_id("hostile", "conversation"),
        user_id=ALICE.user_id,
        session_id=ALICE.session_id,
        category="PLAIN_TEXT",
        payload=b"hostile",
        created_at=_WHEN,
        changes=changes,
    )
    return message.push(stable_id("hostile", "envelope"), LIVE)


def _no_gzip() -> dict[str, bytes | str]:
    content = json.dumps(_push())
    return {
        "text_frame": content,
        "text_that_is_no_json": "hello",
        "empty_text": "",
        "empty": b"",
        "plain_json": content.encode(),
        "zlib_instead_of_gzip": zlib.compress(content.encode()),
        "random_bytes": bytes(range(256)),
    }


def _odd_gzip() -> dict[str, bytes | str]:
    whole = pack(_push())
    return {
        "gzip_truncated": whole[:-12],
        "gzip_without_trailer": whole[:-8],
        "gzip_header_only": whole[:10],
        "gzip_wrong_checksum": whole[:-8] + bytes(4) + whole[-4:],
        "gzip_wrong_length": whole[:-4] + b"\xff\xff\xff\xff",
        "gzip_trailing_garbage": whole + b"garbage",
        "gzip_two_members": whole + whole,
        "gzip_bomb": _bomb(),
    }


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b'{"a":"' + b" " * BOMB_SIZE + b'"}', compresslevel=1, mtime=0)


def _no_json() -> dict[str, bytes | str]:
    contents = {
        "nothing_inside": b"",
        "invalid_utf8": b'{"id":"\xff\xfe"}',
        "invalid_json": b'{"id":',
        "json_null": b"null",
        "json_array": b"[]",
        "json_number": b"42",
        "json_string": b'"CREATE_MESSAGE"',
        "json_nan": b"NaN",
        "json_too_deep": b"[" * _DEEP,
        "json_too_deep_inside": b'{"data":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
        "json_too_many_digits": b'{"id":' + b"9" * _MANY_DIGITS + b"}",
        "json_utf16": '{"id":""}'.encode("utf-16"),
    }
    return {name: squeeze(content) for name, content in contents.items()}


def _envelopes(bot: Bot) -> Iterator[tuple[str, dict[str, Any]]]:
    other_id = stable_id("hostile", "other")
    echo = echo_of_send(other_id, bot.app_id, _WHEN)
    yield "empty_object", {}
    yield "no_action", {"id": other_id, "data": _push()["data"]}
    yield "unknown_action", {"id": other_id, "action": "SOMETHING_NEW", "data": {}}
    yield "action_is_a_number", {"id": other_id, "action": 7}
    yield "no_data", {"id": other_id, "action": LIVE}
    for name, data in (("null", None), ("array", []), ("string", "hello"), ("empty", {})):
        yield f"data_is_{name}", {"id": other_id, "action": LIVE, "data": data}
    yield "own_echo", {"id": other_id, "action": LIVE, "data": echo}
    yield "status_of_strange_message", _receipt("DELIVERED")
    yield "status_unknown", _receipt("SHREDDED")
    yield "ack_echo_of_nobody", {"id": other_id, "action": RECEIPT}
    yield "error_in_a_push", {"id": other_id, "action": LIVE, "error": {"status": 202, "code": 500}}
    yield "error_without_code", {"id": NOBODY, "action": "ERROR", "error": {}}
    yield "error_is_a_string", {"id": NOBODY, "action": "ERROR", "error": "no"}
    yield "error_code_is_a_string", {"id": NOBODY, "action": "ERROR", "error": {"code": "no"}}
    yield "error_without_error", {"id": NOBODY, "action": "ERROR"}


def _receipt(status: str) -> dict[str, Any]:
    data = receipt(stable_id("hostile", "never sent"), status, _WHEN)
    return {"id": stable_id("hostile", "receipt"), "action": RECEIPT, "data": data}


_BROKEN_DATA: Final[dict[str, dict[str, Any]]] = {
    "without_message_id": {"message_id": ABSENT},
    "with_message_id_null": {"message_id": None},
    "with_message_id_empty": {"message_id": ""},
    "with_message_id_number": {"message_id": 42},
    "with_message_id_no_uuid": {"message_id": "not-a-uuid"},
    "with_message_id_of_quotes": {"message_id": "'; DROP TABLE messages; --"},
    "with_message_id_list": {"message_id": [stable_id("hostile")]},
}
