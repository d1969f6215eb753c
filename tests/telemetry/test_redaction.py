"""Secrets never leave in a log line."""

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.secrets import Secret
from relay.telemetry.redaction import MASK, MAX_DEPTH, MAX_ITEMS, MAX_TEXT, Redactor

WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=12)
HEX = st.text("0123456789abcdef", min_size=24, max_size=64)

SECRET_KEYS = st.sampled_from(
    [
        *("authorization", "Authorization", "Proxy-Authorization", "token", "access_token"),
        *("bearer_token", "secret", "webhook_secret", "client-secret", "private_key"),
        *("session_private_key", "privateKey", "keystore", "password", "PASSWD", "cookie"),
        *("pin", "set-cookie", "credentials", "api_key", "X-Api-Key", "webhook-signature"),
    ]
)

# Each makes a text or value in which the secret it is given must not be seen.
DISGUISES: list[Callable[[str], Any]] = [
    Secret,
    lambda s: f"whsec_{s}",
    lambda s: f"whsk_{s}==",
    lambda s: f"rjk_{s}=",
    lambda s: f"eyJ{s}.{s}.{s}",
    lambda s: f"refused with Bearer {s}, sorry",
    lambda s: f"Authorization: Digest {s}",
    lambda s: f"Authorization: Basic {s}==",
    lambda s: f"https://user:{s}@hooks.example.com/path",
    lambda s: f"see https://{s}@hooks.example.com",
    lambda s: f"POST https://hooks.example.com/a?key={s} failed",
    lambda s: f"https://hooks.example.com/#{s}",
    lambda s: f"{{'client_secret': '{s}'}}",
    lambda s: json.dumps({"private_key": s}),
    lambda s: json.dumps(json.dumps({"private_key": s})),
    lambda s: f"password={s}&x=1",
    lambda s: f"-----BEGIN PRIVATE KEY-----\n{s}\n-----END PRIVATE KEY-----",
    lambda s: f"-----BEGIN RSA PRIVATE KEY-----\n{s}",
    lambda s: f"whsec_{s}".encode(),
    lambda s: ValueError(f"token={s}"),
    lambda s: Holder(secret=s),
    lambda s: ("Authorization", s),
    lambda s: ["X-Api-Key", s],
    lambda s: {f"whsec_{s}": 1},
    lambda s: MappingProxyType({"token": s}),
]


@dataclass(frozen=True)
class Holder:
    secret: str


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


class Colour(enum.StrEnum):
    RED = "red"


def nested(value: Any) -> st.SearchStrategy[Any]:
    """Put a value somewhere into lists, tuples and dicts."""
    around = st.sampled_from(
        [
            lambda v: [v],
            lambda v: ("before", v, 3),
            lambda v: {"harmless": v},
            lambda v: {"a": 1, "b": [v, None]},
            lambda v: {7: v},
        ]
    )
    return st.lists(around, max_size=MAX_DEPTH - 2).map(lambda layers: _applied(layers, value))


def _applied(layers: list[Callable[[Any], Any]], value: Any) -> Any:
    for layer in layers:
        value = layer(value)
    return value


def rendered(event: Mapping[str, Any], redactor: Redactor | None = None) -> str:
    """Render as a log line; a line that is no JSON fails here."""
    return json.dumps((redactor or Redactor())(event), allow_nan=False)


@given(st.data(), HEX, st.sampled_from(DISGUISES))
def test_a_secret_never_comes_out(
    data: st.DataObject, secret: str, disguise: Callable[[str], Any]
) -> None:
    """Whatever looks like a secret is masked wherever it is in an event."""
    value = data.draw(nested(disguise(secret)))

    line = rendered({"event": "x.happened", "detail": value})

    assert secret not in line


@given(st.data(), SECRET_KEYS, WORD)
def test_what_a_key_calls_a_secret_never_comes_out(
    data: st.DataObject, key: str, secret: str
) -> None:
    """A value under a key that sounds secret is masked, whatever it looks like."""
    value = data.draw(nested({key: secret, "nested": {key: [secret]}}))

    assert secret not in rendered({"event": "x.happened", "detail": value, key: secret})


@given(st.data(), st.text(min_size=6).filter(lambda s: s not in json.dumps(MASK)))
def test_a_known_secret_never_comes_out(data: st.DataObject, secret: str) -> None:
    """A secret that the settings hold is masked although it looks like nothing at all."""
    before, after = data.draw(st.sampled_from(["", "in ", "a/"])), " and so on"
    value = data.draw(nested(f"{before}{secret}{after}"))

    out = Redactor([secret])({"event": "x.happened", "detail": value})

    assert all(secret not in text for text in _texts(out["detail"]))


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for pair in value.items() for part in pair for text in _texts(part)]
        case list():
            return [text for part in value for text in _texts(part)]
        case _:
            return []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(pow, st.just(10), st.just(5000))
    | st.builds(Unprintable)
    | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(ANYTHING)
def test_any_value_can_be_rendered(value: Any) -> None:
    """Redaction is total: whatever an event holds becomes one line of JSON."""
    line = rendered({"event": "x.happened", "detail": value})

    assert "x.happened" == json.loads(line)["event"]


@pytest.mark.parametrize(
    "value",
    [
        "5f3b1c9a-0e4b-4a53-9d4e-0c1d2e3f4a5b",
        "connection refused by 127.0.0.1:8080",
        "https://hooks.example.com/mixin/in",
        "http_5xx",
        "timeout after 15 s: no answer",
        "2020-11-02T12:47:32.472333Z",
        3,
        0.25,
        None,
        True,
    ],
)
def test_harmless_values_stay_as_they_are(value: object) -> None:
    """A line keeps what an operator needs: ids, addresses, reasons, numbers."""
    assert value == Redactor()({"detail": value})["detail"]


@pytest.mark.parametrize("key", ["secret_file", "keystore_file", "token_path"])
def test_the_path_of_a_secret_is_no_secret(key: str) -> None:
    """An operator sees which file was meant."""
    assert {key: "/run/secrets/crm"} == Redactor()({key: "/run/secrets/crm"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (b"\xff", "�"),
        (ValueError("no"), "ValueError: no"),
        (float("inf"), "inf"),
        (Unprintable(), "<Unprintable>"),
        ({1, 2}, [1, 2]),
    ],
)
def test_unusual_values_become_plain_ones(value: object, expected: object) -> None:
    """Enums are their value, bytes are text, and what can't be shown is named."""
    assert expected == Redactor().value(value)


def test_what_contains_itself_ends() -> None:
    """Nesting is followed to a depth, and no further."""
    loop: list[Any] = []
    loop.append(loop)

    assert "…" in rendered({"detail": loop}).encode().decode("unicode_escape")


def test_collections_are_bounded() -> None:
    """A line shows so many items of a collection."""
    assert list(range(MAX_ITEMS)) == Redactor().value(list(range(10 * MAX_ITEMS)))


def test_texts_are_bounded_and_cut_between_words() -> None:
    """A long text is cut where no half of a secret is left over."""
    long = "a" * (MAX_TEXT - 20) + " whsec_" + "B" * 100

    cut = Redactor().text(long)

    assert "a" * (MAX_TEXT - 20) + f"… ({len(long)} characters)" == cut


def test_a_long_word_is_left_out() -> None:
    """A text without a space to cut at is left out as a whole."""
    assert f"… ({2 * MAX_TEXT} characters)" == Redactor().text("a" * 2 * MAX_TEXT)


def test_a_short_secret_masks_nothing() -> None:
    """A known secret too short to be one does not garble the log."""
    assert "abc abc" == Redactor(["abc"]).text("abc abc")


def test_the_longer_of_two_secrets_goes_first() -> None:
    """A secret that begins another does not leave the rest of it standing."""
    assert MASK == Redactor(["secret-one", "secret-one-two"]).text("secret-one-two")


def test_a_secret_that_is_learnt_is_masked_from_then_on() -> None:
    """And one that was known before stays one: attempts under way may still hold it."""
    redactor = Redactor(["correct-horse"])
    redactor.learn(["battery-staple"])

    assert "*** and ***" == redactor.text("correct-horse and battery-staple")
