"""Messages that are odd, but messages: to be relayed and acknowledged like any."""

import base64
from typing import Any, Final, NamedTuple
from uuid import uuid4

from relay.simulator.bots import Bot
from relay.simulator.frames import NOBODY, YEAR_ONE, raw_url
from relay.simulator.people import ALICE, seal
from tests.support.simulator.faulty import ABSENT

_HUGE: Final = 1024 * 1024
_ALL_BASE64_SIGNS: Final = bytes(range(0xF0, 0x100)) * 8


class Oddity(NamedTuple):
    """A name and the arguments for `Simulator.push`."""

    name: str
    arguments: dict[str, Any]


def odd_messages(bot: Bot) -> list[Oddity]:
    """List the messages; those of ENCRYPTED_* categories only where the bot could decrypt any."""
    odd = {**_contents(), **_fields(), **_base64_forms()}
    if bot.sealing_key is not None:
        odd |= _sealed(bot, bot.sealing_key)
    return [Oddity(name, arguments) for name, arguments in odd.items()]


def _contents() -> dict[str, dict[str, Any]]:
    return {
        "empty_text": {"content": ""},
        "huge_text": {"content": "x" * _HUGE},
        "text_with_nul_and_emoji": {"content": "\0 \N{PILE OF POO}\u202e"},
        "text_not_utf8": {"content": b"\xff\xfe"},
        "json_expected_but_text": {"category": "PLAIN_IMAGE", "content": "no json"},
        "json_expected_but_deep": {"category": "PLAIN_IMAGE", "content": "[" * 100_000},
        "unknown_category": {"category": "PLAIN_HOLOGRAM", "content": "?"},
    }


def _fields() -> dict[str, dict[str, Any]]:
    message_id = str(uuid4())
    zero = {"user_id": NOBODY, "session_id": ""}
    nine_digits = {"created_at": "2023-04-28T10:01:32.387507123Z"}
    optional = ("representative_id", "quote_message_id", "silent", "expire_in", "updated_at")
    return {
        "null_fields": {"changes": dict.fromkeys(optional)},
        "missing_fields": {"changes": dict.fromkeys((*optional, "session_id", "type"), ABSENT)},
        "wrong_types": {"changes": {"silent": "yes", "expire_in": "soon", "quote_message_id": 7}},
        "new_fields": {"changes": {"mood": "good", "nested": {"deep": [1, None]}}},
        "lone_surrogate": {"changes": {"mood": "\ud800"}},
        "nine_digits": {"changes": nine_digits},
        "year_one": {"changes": {"created_at": YEAR_ONE, "updated_at": YEAR_ONE}},
        "no_time": {"changes": {"created_at": ABSENT, "updated_at": ABSENT}},
        "bad_time": {"changes": {"created_at": "yesterday"}},
        "zero_sender": {"category": "SYSTEM_CONVERSATION", **zero},
        "source_unknown": {"changes": {"source": ""}},
        "upper_case_ids": {"message_id": message_id, "changes": {"message_id": message_id.upper()}},
        "category_null": {"changes": {"category": None}},
        "conversation_missing": {"changes": {"conversation_id": ABSENT}},
    }


def _base64_forms() -> dict[str, dict[str, Any]]:
    payload = _ALL_BASE64_SIGNS + b"!"
    standard = base64.b64encode(payload).decode()
    wrapped = base64.encodebytes(payload).decode()
    forms = {
        "only_data": {"data_base64": ABSENT},
        "only_data_base64": {"data": ABSENT},
        "data_base64_empty": {"data_base64": ""},
        "data_base64_standard": {"data_base64": standard},
        "data_raw_url": {"data": raw_url(standard), "data_base64": ABSENT},
        "data_wrapped": {"data": wrapped, "data_base64": ABSENT},
        "no_data": {"data": ABSENT, "data_base64": ABSENT},
        "no_base64": {"data": "!!!", "data_base64": "!!!"},
        "base64_of_odd_length": {"data": "AAAAA", "data_base64": "AAAAA"},
        "data_number": {"data": 7, "data_base64": 7},
    }
    return {name: {"content": payload, "changes": changes} for name, changes in forms.items()}


def _sealed(bot: Bot, sealing_key: bytes) -> dict[str, dict[str, Any]]:
    blob = seal(b"hello", ALICE.key, {bot.session_id: sealing_key})
    blobs = {
        "wrong_session": seal(b"hello", ALICE.key, {ALICE.session_id: ALICE.public_key}),
        "forged_count": blob[:1] + b"\xff\xff" + blob[3:],
        "count_zero": blob[:1] + b"\0\0" + blob[3:],
        "flipped_tag": blob[:-1] + bytes((blob[-1] ^ 1,)),
        "wrong_version": b"\x02" + blob[1:],
        "zero_key": blob[:3] + bytes(32) + blob[35:],
        "short": blob[:50],
        "empty": b"",
    }
    return {
        f"encrypted_{name}": {"category": "ENCRYPTED_TEXT", "content": content, "sealed": True}
        for name, content in blobs.items()
    }
