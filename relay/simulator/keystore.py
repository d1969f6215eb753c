"""Keystores as the dashboard hands them out, made and read (docs/protocol.md, Keystores)."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from relay.simulator.sealing import public_of_seed

_SEED_SIZE: Final = 32
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537


class Family(StrEnum):
    """The families of keystores that are in use."""

    DASHBOARD = "dashboard"
    ED25519 = "ed25519"
    RSA = "rsa"
    OLDEST = "oldest"
    NETWORK_USER = "network_user"


@dataclass(frozen=True, slots=True)
class Bot:
    """One app as the server knows it: its session's public key, and the X25519 key made of it.

    `sealing_key` is None for an RSA session, which can't get ENCRYPTED_* messages.
    """

    app_id: str
    session_id: str
    public_key: Ed25519PublicKey | RSAPublicKey
    sealing_key: bytes | None
    keystore: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def algorithm(self) -> str:
        """The only algorithm that its tokens may be signed with."""
        return "RS512" if isinstance(self.public_key, RSAPublicKey) else "EdDSA"

    @classmethod
    def of(cls, keystore: Mapping[str, Any]) -> "Bot":
        """Read a keystore of any family; raises ValueError, KeyError for one that is none."""
        private_key = _private_key(_first(keystore, _KEYS))
        sealing_key = None
        if isinstance(private_key, Ed25519PrivateKey):
            sealing_key = public_of_seed(private_key.private_bytes_raw())
        return cls(
            app_id=str(UUID(_first(keystore, ("app_id", "client_id")))),
            session_id=str(UUID(keystore["session_id"])),
            public_key=private_key.public_key(),
            sealing_key=sealing_key,
            keystore=dict(keystore),
        )

    def keystore_json(self) -> str:
        """Write the keystore as the file that a dashboard downloads."""
        return json.dumps(dict(self.keystore), indent=2) + "\n"


_KEYS: Final = ("session_private_key", "private_key", "session_key")


def make_keystore(family: Family = Family.DASHBOARD) -> dict[str, str]:
    """Make a fresh keystore of that family."""
    app_id, session_id, seed = str(uuid4()), str(uuid4()), secrets.token_bytes(_SEED_SIZE)
    pin_token = _pin_token()
    legacy = {"pin": "123456", "client_id": app_id, "session_id": session_id}
    match family:
        case Family.DASHBOARD:
            return {
                "app_id": app_id,
                "session_id": session_id,
                "server_public_key": _public_hex(secrets.token_bytes(_SEED_SIZE)),
                "session_private_key": seed.hex(),
            }
        case Family.NETWORK_USER:
            return {
                "app_id": app_id,
                "session_id": session_id,
                "session_private_key": seed.hex(),
                "pin_token_base64": pin_token,
            }
        case Family.ED25519:
            both_halves = seed + bytes.fromhex(_public_hex(seed))
            private_key = base64.urlsafe_b64encode(both_halves).decode().rstrip("=")
            return {**legacy, "pin_token": pin_token, "private_key": private_key}
        case Family.RSA:
            return {**legacy, "pin_token": pin_token, "private_key": _rsa_pem()}
        case Family.OLDEST:
            del legacy["pin"]
            return {"version": "1", **legacy, "pin_token": pin_token, "session_key": _rsa_pem()}


def _first(keystore: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if value := keystore.get(name):
            return str(value)
    raise KeyError(f"the keystore has none of {', '.join(names)}")


def _private_key(text: str) -> Ed25519PrivateKey | RSAPrivateKey:
    if text.lstrip().startswith("-----BEGIN"):
        key = load_pem_private_key(text.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the PEM holds no RSA key")
        return key
    return Ed25519PrivateKey.from_private_bytes(_seed(text))


def _seed(text: str) -> bytes:
    if len(text) == 2 * _SEED_SIZE:
        return bytes.fromhex(text)
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    if len(raw) not in (_SEED_SIZE, 2 * _SEED_SIZE):
        raise ValueError("the private key has neither 32 nor 64 bytes")
    return raw[:_SEED_SIZE]


def _public_hex(seed: bytes) -> str:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def _pin_token() -> str:
    return base64.b64encode(public_of_seed(secrets.token_bytes(_SEED_SIZE))).decode()


def _rsa_pem() -> str:
    key = generate_private_key(public_exponent=_RSA_EXPONENT, key_size=_RSA_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem.decode()
