"""Reading requests: any bytes and any text are values, or a mistake that says what is expected."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.admin.operations import OPERATIONS
from relay.admin.parameters import Mistakes, NotJson, Values, of_body, of_query
from relay.admin.requests import DISCARD, MESSAGES, RETRY

TEXT = st.text("aZ09é\ud800\x00 .:+-_", max_size=70)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON: st.SearchStrategy[Any] = SCALARS | st.lists(SCALARS, max_size=3) | st.just({})
NAMES = st.sampled_from([*MESSAGES, *DISCARD, "strange"])
BODIES = st.binary(max_size=50) | st.dictionaries(NAMES, JSON, max_size=4).map(
    lambda given: json.dumps(given).encode()
)


def read(reading: Callable[[], Values]) -> tuple[Values, dict[str, str]]:
    """Read; gives the values, or what is wrong with which."""
    try:
        return reading(), {}
    except NotJson:
        return {}, {"": "expected JSON"}
    except Mistakes as wrong:
        return {}, dict(wrong.mistakes)


@given(BODIES)
def test_any_body(body: bytes) -> None:
    """What is read has every parameter; what is not read says of each name what is expected."""
    values, mistakes = read(lambda: of_body(DISCARD, body))
    assert ({*DISCARD} if not mistakes else set()) == values.keys()
    assert all(what.startswith(("expected ", "unknown; ")) for what in mistakes.values())


@given(st.lists(st.tuples(NAMES, TEXT)))
def test_any_query(asked: list[tuple[str, str]]) -> None:
    """Lone surrogates, numbers without end and words twice are mistakes as any other."""
    values, mistakes = read(lambda: of_query(MESSAGES, asked))
    assert ({*MESSAGES} if not mistakes else set()) == values.keys()
    assert mistakes.keys() <= {name for name, _ in asked}


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        ({"limit": 7}, "limit", 7),
        ({"limit": 7.0}, "limit", 7),
        ({"all": True}, "all", True),
        ({"reason": None}, "reason", None),
        ({"message_ids": ["A", "b"]}, "message_ids", ("a", "b")),
        ({"since": "2020-11-02T12:47:32Z"}, "since", 1604321252.0),
        ({"older_than": "2d"}, "older_than", 172_800.0),
        ({}, "limit", 1000),
    ],
)
def test_json_is_read_as_it_is(body: object, name: str, value: object) -> None:
    """A whole number may be written as 7.0, and a null asks for nothing."""
    assert value == of_body(RETRY, json.dumps(body).encode())[name]


@pytest.mark.parametrize(
    "body",
    [
        *({"limit": limit} for limit in ("7", True, 7.5, 0, 1001, 10**400, float("nan"))),
        *({"all": value} for value in ("true", 1, 0)),
        *({"message_ids": ids} for ids in ("a", [], [1], ["a"] * 1001, ["x" * 65], ["\ud800"])),
        *({"since": since} for since in (0, "0", "2020-11-02", "2020-11-02T12:47:32")),
    ],
)
def test_nothing_is_guessed(body: dict[str, object]) -> None:
    """What JSON has otherwise is no other way to say it."""
    with pytest.raises((Mistakes, NotJson)):
        of_body(RETRY, json.dumps(body).encode())


def test_what_may_be_left_out() -> None:
    """Nothing but what is required is missed."""
    for operation in OPERATIONS:
        required = {name for name, each in operation.parameters.items() if each.required}
        _, mistakes = read(partial(of_query, operation.parameters, []))
        assert dict.fromkeys(required, "missing") == mistakes
