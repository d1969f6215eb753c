"""Every family of keystores is read (docs/protocol.md), and a bad one says what is wrong."""

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.keystore import Keystore, KeystoreError, parse_keystore
from tests.pure.blaze_vectors import APP_ID, PAIR, SEED, SESSION_ID

RSA_PEM = (
    rsa_key(65537, 1024)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
EC_PEM = (
    ec_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)

NEW_DASHBOARD = {
    "app_id": APP_ID,
    "session_id": SESSION_ID,
    "server_public_key": "00" * 32,
    "session_private_key": SEED.hex(),
    "spend_private_key": "11" * 32,
}
LEGACY = {
    "pin": "123456",
    "client_id": APP_ID,
    "session_id": SESSION_ID,
    "pin_token": "cGlu",
    "private_key": PAIR,
    "scope": "FULL",
}


def parse(fields: Any) -> Keystore:
    return parse_keystore(json.dumps(fields))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(NEW_DASHBOARD, id="new dashboard"),
        pytest.param(NEW_DASHBOARD | {"session_private_key": SEED.hex().upper()}, id="upper hex"),
        pytest.param(LEGACY, id="legacy, seed and public"),
        pytest.param(LEGACY | {"private_key": PAIR + "=="}, id="legacy, padded"),
        pytest.param(LEGACY | {"private_key": b64encode(SEED).decode()}, id="legacy, seed"),
        pytest.param(
            {
                "app_id": APP_ID.upper(),
                "session_id": SESSION_ID,
                "session_private_key": PAIR.replace("-", "+"),
                "pin_token_base64": "cGlu",
            },
            id="network user, standard alphabet",
        ),
    ],
)
def test_every_ed25519_family_is_read(fields: dict[str, str]) -> None:
    """App, session and seed come out the same, however they are written."""
    keystore = parse(fields)
    assert isinstance(keystore.key, Ed25519PrivateKey)
    assert (APP_ID, SESSION_ID, SEED, "EdDSA") == (
        keystore.app_id,
        keystore.session_id,
        keystore.key.private_bytes_raw(),
        keystore.algorithm,
    )


@pytest.mark.parametrize("name", ["private_key", "session_key"])
def test_rsa_families_are_read(name: str) -> None:
    """A PEM is an RSA key and signs RS512."""
    keystore = parse({"client_id": APP_ID, "session_id": SESSION_ID, name: RSA_PEM})
    assert "RS512" == keystore.algorithm


def test_a_byte_order_mark_does_no_harm() -> None:
    """A file saved with a byte order mark is read."""
    assert APP_ID == parse_keystore("\ufeff" + json.dumps(LEGACY)).app_id


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([], "expected a JSON object"),
        ({}, "app_id or client_id is missing"),
        (NEW_DASHBOARD | {"app_id": "x"}, "app_id is not a UUID"),
        (NEW_DASHBOARD | {"session_id": 5}, "session_id is missing"),
        (NEW_DASHBOARD | {"session_id": "no"}, "session_id is not a UUID"),
        (
            NEW_DASHBOARD | {"session_private_key": " "},
            "session_private_key or private_key or session_key is missing",
        ),
        (NEW_DASHBOARD | {"session_private_key": "c2VjcmV0"}, "is not an Ed25519 key"),
        (NEW_DASHBOARD | {"session_private_key": "§§§"}, "is not an Ed25519 key"),
        (LEGACY | {"private_key": EC_PEM}, "private_key is not an RSA private key"),
        (LEGACY | {"private_key": "-----BEGIN secret"}, "private_key is not an RSA private key"),
        (
            LEGACY | {"private_key": b64encode(SEED + SEED).decode()},
            "the two halves of private_key don't belong together",
        ),
    ],
)
def test_a_bad_keystore_says_what_is_expected(fields: Any, complaint: str) -> None:
    """The error names the field and never holds its value."""
    with pytest.raises(KeystoreError, match=complaint) as error:
        parse(fields)
    assert (False, None) == ("secret" in str(error.value), error.value.__cause__)


@pytest.mark.parametrize("text", ["", "session_key: x", '{"app_id": NaN}', "[" * 99_999, "\ud800"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """A keystore that is no JSON is a keystore error like any other."""
    with pytest.raises(KeystoreError, match="expected JSON"):
        parse_keystore(text)


def test_the_repr_holds_no_key() -> None:
    """A keystore may be printed."""
    assert f"Keystore(app_id='{APP_ID}', session_id='{SESSION_ID}')" == repr(parse(LEGACY))


@given(st.text() | st.dictionaries(st.sampled_from([*NEW_DASHBOARD, *LEGACY]), st.text()))
def test_any_text_is_a_keystore_or_an_error(text: Any) -> None:
    """Nothing but a keystore or its error comes out of any text."""
    try:
        keystore = parse_keystore(text if isinstance(text, str) else json.dumps(text))
    except KeystoreError:
        return
    assert isinstance(keystore, Keystore)
