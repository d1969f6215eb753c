"""Tokens: each request to Mixin is signed on its own (docs/protocol.md, Tokens)."""

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA512

from relay.blaze.keystore import Keystore

# Long enough for a slow handshake and for a clock that is off by minutes, short enough to be
# worthless in a log (the server takes anything from 1 minute on).
TOKEN_LIFETIME = 300.0


def request_digest(method: str, uri: str, body: bytes) -> str:
    """Hash what a token vouches for: method, path with query, and the exact bytes of the body."""
    return hashlib.sha256(f"{method}{uri}".encode() + body).hexdigest()


def make_token(
    keystore: Keystore,
    *,
    method: str,
    uri: str,
    body: bytes,
    now: float,
    jti: str,
    lifetime: float = TOKEN_LIFETIME,
) -> str:
    """Sign one request. `jti` is a fresh UUID, the same as the request's `X-Request-Id`."""
    issued_at = int(now)
    claims = {
        "uid": keystore.app_id,
        "sid": keystore.session_id,
        "iat": issued_at,
        "exp": issued_at + int(lifetime),
        "jti": jti,
        "sig": request_digest(method, uri, body),
        "scp": "FULL",
    }
    signed = f"{_part({'alg': keystore.algorithm, 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_base64(_signature(keystore, signed.encode()))}"


def _signature(keystore: Keystore, signed: bytes) -> bytes:
    """Sign as RFC 8037 and RFC 7518 have it: EdDSA, or RS512 for the keys of old bots."""
    if isinstance(keystore.key, Ed25519PrivateKey):
        return keystore.key.sign(signed)
    return keystore.key.sign(signed, PKCS1v15(), SHA512())


def _part(content: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(content))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_headers(
    keystore: Keystore, method: str, uri: str, body: bytes, *, now: float, request_id: str
) -> dict[str, str]:
    """Give the headers that sign one request; `request_id` is a fresh UUID."""
    token = make_token(keystore, method=method, uri=uri, body=body, now=now, jti=request_id)
    return {"Authorization": f"Bearer {token}", "X-Request-Id": request_id}
