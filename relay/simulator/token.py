"""Bearer tokens, checked as strictly as the protocol allows (docs/protocol.md, Tokens)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import jwt

from relay.simulator.keystore import Bot

IAT_TOLERANCE: Final = 300.0
"""Seconds that a token may seem to come from the future (docs/protocol.md, Tokens)."""

_CLAIMS: Final = ("uid", "sid", "iat", "exp", "jti", "sig", "scp")
_OWN_CLOCK: Final = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}


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

    @property
    def is_mistake(self) -> bool:
        """Whether a client with a good keystore and a good clock never brings this about."""
        return self in _MISTAKES


_MISTAKES: Final = frozenset(
    {Refusal.MISSING, Refusal.MALFORMED, Refusal.WRONG_KEY, Refusal.INCOMPLETE, Refusal.WRONG_SIG}
)


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
    """Check a token against the bot whose session, a key of `bots`, it names."""
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
    if not _is_signed_by(token, bot):
        return Refusal.WRONG_KEY
    if not all(claims.get(name) for name in _CLAIMS) or not _is_dated(claims):
        return Refusal.INCOMPLETE
    if claims["sig"] != signed.sig:
        return Refusal.WRONG_SIG
    if claims["exp"] <= now:
        return Refusal.EXPIRED
    if claims["iat"] > now + IAT_TOLERANCE:
        return Refusal.FROM_THE_FUTURE
    return None


def _is_signed_by(token: str, bot: Bot) -> bool:
    try:
        jwt.decode(token, bot.public_key, algorithms=[bot.algorithm], options=_unaudited())
    except jwt.PyJWTError:
        return False
    return True


def _unaudited() -> Any:
    return {**_OWN_CLOCK, "verify_aud": False}


def _is_dated(claims: Mapping[str, Any]) -> bool:
    return all(isinstance(claims[name], int | float) for name in ("iat", "exp"))
