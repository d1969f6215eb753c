"""Bots as the server knows them: their keystores, and the tokens that they sign."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from relay.simulator.people import public_of_seed

IAT_TOLERANCE: Final = 300.0
"""Seconds that a token may seem to come from the future."""

SEED_SIZE: Final = 32

_CLAIMS: Final = ("uid", "sid", "iat", "exp", "jti", "sig", "scp")
_CHECKED_HERE: Final[Any] = dict.fromkeys(
    ("verify_exp", "verify_iat", "verify_nbf", "verify_aud"), False
)


# --- Keystores ------------------------------------------------------------------------------------


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
        key = _private_key(_first(keystore, "session_private_key", "private_key", "session_key"))
        sealing_key = None
        if isinstance(key, Ed25519PrivateKey):
            sealing_key = public_of_seed(key.private_bytes_raw())
        return cls(
            app_id=str(UUID(_first(keystore, "app_id", "client_id"))),
            session_id=str(UUID(keystore["session_id"])),
            public_key=key.public_key(),
            sealing_key=sealing_key,
            keystore=dict(keystore),
        )

    def keystore_json(self) -> str:
        """Write the keystore as the file that a dashboard downloads."""
        return json.dumps(dict(self.keystore), indent=2) + "\n"


def make_keystore() -> dict[str, str]:
    """Make a fresh keystore as today's dashboard does."""
    server = Ed25519PrivateKey.generate().public_key()
    return {
        "app_id": str(uuid4()),
        "session_id": str(uuid4()),
        "server_public_key": server.public_bytes_raw().hex(),
        "session_private_key": secrets.token_bytes(SEED_SIZE).hex(),
    }


def _first(keystore: Mapping[str, Any], *names: str) -> str:
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
    if len(text) == 2 * SEED_SIZE:
        return bytes.fromhex(text)
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    if len(raw) not in (SEED_SIZE, 2 * SEED_SIZE):
        raise ValueError("the private key has neither 32 nor 64 bytes")
    return raw[:SEED_SIZE]


# --- Tokens ---------------------------------------------------------------------------------------


class Refusal(StrEnum):
    """Why a token is refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_SESSION = "unknown_session"
    WRONG_KEY = "wrong_key"
    INCOMPLETE = "incomplete"
    WRONG_SIG = "wrong_sig"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"
    REVOKED = "revoked"


MISTAKES: Final = frozenset(
    {Refusal.MISSING, Refusal.MALFORMED, Refusal.WRONG_KEY, Refusal.INCOMPLETE, Refusal.WRONG_SIG}
)
"""What a client with a good keystore and a good clock never brings about."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token has to be signed for: the request as it came over the wire."""

    method: str
    uri: str
    body: bytes = b""

    @property
    def sig(self) -> str:
        """The `sig` claim that fits."""
        return hashlib.sha256(self.method.encode() + self.uri.encode() + self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Check:
    """What the check of one token came to; the claims are there as far as they could be read."""

    refusal: Refusal | None
    bot: Bot | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)


def check_token(token: str, signed: Signed, bots: Mapping[str, Bot], now: float) -> Check:
    """Check a token, as strictly as can be, against the bot whose session it names.

    `bots` are by their session's id.
    """
    if not token:
        return Check(Refusal.MISSING)
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return Check(Refusal.MALFORMED)
    bot = bots.get(str(claims.get("sid")))
    if bot is None or bot.app_id != claims.get("uid"):
        return Check(Refusal.UNKNOWN_SESSION, None, claims)
    return Check(_refusal(token, claims, bot, signed, now), bot, claims)


def _refusal(
    token: str, claims: Mapping[str, Any], bot: Bot, signed: Signed, now: float
) -> Refusal | None:
    try:
        jwt.decode(token, bot.public_key, algorithms=[bot.algorithm], options=_CHECKED_HERE)
    except jwt.PyJWTError:
        return Refusal.WRONG_KEY
    dated = all(isinstance(claims.get(name), int | float) for name in ("iat", "exp"))
    if not dated or not all(claims.get(name) for name in _CLAIMS):
        return Refusal.INCOMPLETE
    if claims["sig"] != signed.sig:
        return Refusal.WRONG_SIG
    if claims["exp"] <= now:
        return Refusal.EXPIRED
    return Refusal.FROM_THE_FUTURE if claims["iat"] > now + IAT_TOLERANCE else None
