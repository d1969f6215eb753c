"""Signatures by Standard Webhooks 1.0.0."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SYMMETRIC = "whsec_"
ASYMMETRIC = "whsk_"

# The specification's bounds for a symmetric secret, in bytes.
SHORTEST = 24
LONGEST = 64

SECRET_BYTES = 32
"""Of a new one: as many as SHA-256 has."""

_SEED = 32
_SEED_AND_PUBLIC = 64

_Scheme = Callable[[bytes], str]


class SecretError(ValueError):
    """A text is no signing secret. What is raised says why, and never repeats any of it."""


class Signer:
    """Signs with every secret it holds: the new one and, while rotating, those before it.

    Two with the same secrets are equal; `digest` tells them from others, and nothing about them.
    """

    def __init__(self, schemes: Iterable[_Scheme], digest: bytes) -> None:
        self._schemes = tuple(schemes)
        self._digest = digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signer) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    @classmethod
    def parse(cls, secrets: str) -> Self:
        """Take `whsec_…` and `whsk_…` secrets, separated by white space, or raise `SecretError`."""
        items = secrets.split()
        if not items:
            raise SecretError("there is no secret in it")
        text = " ".join(items).encode(errors="replace")
        return cls(_schemes(items), hashlib.sha256(text).digest())

    def sign(self, msg_id: str, timestamp: int, body: bytes) -> str:
        """Make the `webhook-signature` header for exactly these bytes; `timestamp` in seconds."""
        signed = b"%b.%d.%b" % (msg_id.encode(), timestamp, body)
        return " ".join([scheme(signed) for scheme in self._schemes])


def new_secret(random_bytes: bytes) -> str:
    """Write a new symmetric secret; raises `SecretError` if the bytes are too few or too many."""
    _check_length(random_bytes)
    return SYMMETRIC + base64.b64encode(random_bytes).decode()


def _schemes(items: list[str]) -> Iterator[_Scheme]:
    for number, item in enumerate(items, start=1):
        try:
            yield _scheme(item)
        except SecretError as error:
            which = f"secret {number} of {len(items)} " if len(items) > 1 else "the secret "
            raise SecretError(which + str(error)) from None


def _scheme(secret: str) -> _Scheme:
    if secret.startswith(SYMMETRIC):
        return _symmetric(_decode(secret.removeprefix(SYMMETRIC)))
    if secret.startswith(ASYMMETRIC):
        return _asymmetric(_decode(secret.removeprefix(ASYMMETRIC)))
    raise SecretError(f"begins neither with {SYMMETRIC} nor with {ASYMMETRIC}")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("is not base64 behind its prefix") from None


def _symmetric(key: bytes) -> _Scheme:
    _check_length(key)
    prepared = hmac.new(key, digestmod="sha256")

    def sign(signed: bytes) -> str:
        signature = prepared.copy()
        signature.update(signed)
        return "v1," + base64.b64encode(signature.digest()).decode()

    return sign


def _check_length(key: bytes) -> None:
    if not SHORTEST <= len(key) <= LONGEST:
        raise SecretError(f"has {len(key)} bytes, and {SHORTEST} to {LONGEST} are expected")


def _asymmetric(key: bytes) -> _Scheme:
    if len(key) not in (_SEED, _SEED_AND_PUBLIC):
        raise SecretError(f"has {len(key)} bytes, and {_SEED} or {_SEED_AND_PUBLIC} are expected")
    private = Ed25519PrivateKey.from_private_bytes(key[:_SEED])
    public = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    if key[_SEED:] not in (b"", public):
        raise SecretError("has a public half that does not belong to its private half")

    def sign(signed: bytes) -> str:
        return "v1a," + base64.b64encode(private.sign(signed)).decode()

    return sign
