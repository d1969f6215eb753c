"""The keystore: who a bot is to Mixin, and the key that proves it, by a token for each request."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from relay.blaze.wire import NotJson, read_base64, read_json, read_uuid

ID_FIELDS = ("app_id", "client_id")
SESSION_FIELDS = ("session_id",)
KEY_FIELDS = ("session_private_key", "private_key", "session_key")

_SEED_BYTES = 32
_PAIR_BYTES = 64
_HEX_SEED = re.compile(r"[0-9a-fA-F]{64}")
_PEM_START = "-----BEGIN"


class KeystoreError(ValueError):
    """The keystore can't be used; the text says what is expected where, without any secret."""


@dataclass(frozen=True, slots=True)
class Keystore:
    """A bot's identity: app, session and the session's private key."""

    app_id: str
    session_id: str
    key: Ed25519PrivateKey | RSAPrivateKey = field(repr=False)

    @property
    def algorithm(self) -> Literal["EdDSA", "RS512"]:
        """The name of the signature in tokens (docs/protocol.md, Tokens)."""
        return "RS512" if isinstance(self.key, RSAPrivateKey) else "EdDSA"


def parse_keystore(text: str) -> Keystore:
    """Read a keystore of any family (docs/protocol.md, Keystores). Raises `KeystoreError`."""
    fields = _fields(text)
    return Keystore(
        app_id=_uuid(fields, ID_FIELDS),
        session_id=_uuid(fields, SESSION_FIELDS),
        key=_key(fields),
    )


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = read_json(text.removeprefix("\ufeff").encode("utf-8", "replace"))
    except NotJson:
        raise KeystoreError("keystore: expected JSON as downloaded from the dashboard") from None
    if not isinstance(fields, dict):
        raise KeystoreError("keystore: expected a JSON object")
    return fields


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> tuple[str, str]:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return name, value.strip()
    raise KeystoreError(f"keystore: {' or '.join(names)} is missing")


def _uuid(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    name, value = _first(fields, names)
    uuid = read_uuid(value)
    if uuid is None:
        raise KeystoreError(f"keystore: {name} is not a UUID")
    return uuid


def _key(fields: dict[str, Any]) -> Ed25519PrivateKey | RSAPrivateKey:
    name, value = _first(fields, KEY_FIELDS)
    if value.startswith(_PEM_START):
        return _rsa_key(name, value)
    return Ed25519PrivateKey.from_private_bytes(_seed(name, value))


def _rsa_key(name: str, pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode("utf-8", "replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # a foreign error's text may quote the key
    if not isinstance(key, RSAPrivateKey):
        raise KeystoreError(f"keystore: {name} is not an RSA private key in PEM without password")
    return key


def _seed(name: str, value: str) -> bytes:
    """Give the Ed25519 seed, written as 64 hex digits or as base64 of seed or seed and public."""
    if _HEX_SEED.fullmatch(value):
        return bytes.fromhex(value)
    raw = read_base64(value) or b""
    if len(raw) not in (_SEED_BYTES, _PAIR_BYTES):
        raise KeystoreError(
            f"keystore: {name} is not an Ed25519 key (64 hex digits, or base64 of 32 or 64 bytes)"
            " and not a PEM"
        )
    seed, public = raw[:_SEED_BYTES], raw[_SEED_BYTES:]
    if public and public != _public_half(seed):
        raise KeystoreError(f"keystore: the two halves of {name} don't belong together")
    return seed


def _public_half(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


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
