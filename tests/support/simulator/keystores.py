"""Keystores of every family that is in use."""

import base64
import secrets
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay.simulator import make_keystore as of_the_dashboard
from relay.simulator.bots import SEED_SIZE
from relay.simulator.people import public_of_seed

_RSA_BITS = 2048
_RSA_EXPONENT = 65537


class Family(StrEnum):
    """The families of keystores that are in use."""

    DASHBOARD = "dashboard"
    ED25519 = "ed25519"
    RSA = "rsa"
    OLDEST = "oldest"
    NETWORK_USER = "network_user"


def make_keystore(family: Family = Family.DASHBOARD) -> dict[str, str]:
    """Make a fresh keystore of that family."""
    new = of_the_dashboard()
    ids: dict[str, Any] = {"client_id": new["app_id"], "session_id": new["session_id"]}
    seed = bytes.fromhex(new["session_private_key"])
    pin_token = base64.b64encode(public_of_seed(secrets.token_bytes(SEED_SIZE))).decode()
    match family:
        case Family.DASHBOARD:
            return new
        case Family.NETWORK_USER:
            del new["server_public_key"]
            return {**new, "pin_token_base64": pin_token}
        case Family.ED25519:
            public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
            private_key = base64.urlsafe_b64encode(seed + public).decode().rstrip("=")
            return {"pin": "123456", **ids, "pin_token": pin_token, "private_key": private_key}
        case Family.RSA:
            return {"pin": "123456", **ids, "pin_token": pin_token, "private_key": _rsa_pem()}
        case Family.OLDEST:
            return {"version": "1", **ids, "pin_token": pin_token, "session_key": _rsa_pem()}


def _rsa_pem() -> str:
    key = generate_private_key(public_exponent=_RSA_EXPONENT, key_size=_RSA_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem.decode()
