"""Tokens: each request to Mixin is signed on its own (docs/protocol.md, Tokens)."""

import hashlib
import warnings

import jwt
from jwt.warnings import InsecureKeyLengthWarning

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
    with warnings.catch_warnings():
        # Mixin handed out RSA keys of 1024 bits; whoever holds one knows by its age.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(claims, keystore.key, algorithm=keystore.algorithm)


def signed_headers(
    keystore: Keystore, method: str, uri: str, body: bytes, *, now: float, request_id: str
) -> dict[str, str]:
    """Give the headers that sign one request; `request_id` is a fresh UUID."""
    token = make_token(keystore, method=method, uri=uri, body=body, now=now, jti=request_id)
    return {"Authorization": f"Bearer {token}", "X-Request-Id": request_id}
