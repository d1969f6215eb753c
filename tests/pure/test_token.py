"""Tokens are those that Mixin's server checks (docs/protocol.md, Tokens)."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from relay.blaze.keystore import Keystore, make_token, request_digest
from tests.pure.blaze_vectors import (
    APP_ID,
    KEYSTORE,
    RECEIPT_BODY,
    RECEIPT_DIGEST,
    REQUEST_ID,
    SESSION_ID,
    SOCKET_DIGEST,
    TOKEN,
)


def test_the_published_token_is_reproduced() -> None:
    """The deterministic vector comes out byte for byte."""
    token = make_token(
        KEYSTORE, method="GET", uri="/", body=b"", now=1_700_000_000.9, jti=REQUEST_ID, lifetime=60
    )
    assert TOKEN == token


@pytest.mark.parametrize(
    ("method", "uri", "body", "digest"),
    [("GET", "/", b"", SOCKET_DIGEST), ("POST", "/acknowledgements", RECEIPT_BODY, RECEIPT_DIGEST)],
)
def test_the_published_digests_are_reproduced(
    method: str, uri: str, body: bytes, digest: str
) -> None:
    """The digest covers method, path and body, without separators."""
    assert digest == request_digest(method, uri, body)


def test_an_rsa_session_signs_rs512() -> None:
    """A token of an old RSA key, short as they are, verifies by its public half."""
    key = generate_private_key(65537, 1024)
    token = make_token(
        Keystore(APP_ID, SESSION_ID, key), method="GET", uri="/", body=b"", now=0, jti=REQUEST_ID
    )
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        claims = jwt.decode(
            token, key.public_key(), algorithms=["RS512"], options={"verify_exp": False}
        )
    assert (APP_ID, 300) == (claims["uid"], claims["exp"] - claims["iat"])
