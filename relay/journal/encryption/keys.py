"""Sealing what the journal keeps: keys from text, and bytes that open only with them, in one place.

AES-256-GCM (docs/adr/008-bodies-sealed-one-by-one.md). Pure: random bytes are arguments.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "rjk_"
KEY_BYTES = 32
NONCE_BYTES = 12
"""What GCM is made for; random ones are safe for some 4 billion seals with one key."""

_VERSION = b"\x01"
_TAG_BYTES = 16
OVERHEAD = len(_VERSION) + NONCE_BYTES + _TAG_BYTES
"""So many bytes a seal is longer than what is in it."""

_ID_BYTES = 4
_ID_LABEL = b"blaze-relay journal key id\0"
_PLACE_LABEL = b"blaze-relay journal place\0"
_LENGTH_BYTES = 4


class KeyTextError(ValueError):
    """A text holds no journal keys. What is raised says why, and never repeats any of it."""


class Damaged(Exception):  # noqa: N818 - a state of the bytes, not an error of the caller
    """Sealed bytes don't open although their key is there: damaged, altered, or moved."""


class Kind(StrEnum):
    """What is sealed."""

    FRAME = "frame"
    SAMPLE = "sample"
    DETAIL = "detail"
    ERROR = "error"


def place(kind: Kind, *names: str) -> bytes:
    """Write down where something is kept, differently for any two places."""
    parts = [name.encode() for name in (kind, *names)]
    framed = [len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts]
    return _PLACE_LABEL + b"".join(framed)


class Key:
    """One key; `id` tells it from others, and nothing about it."""

    __slots__ = ("_cipher", "id")

    def __init__(self, secret: bytes) -> None:
        self.id = hashlib.sha256(_ID_LABEL + secret).digest()[:_ID_BYTES].hex()
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def seal(self, plain: bytes, where: bytes, nonce: bytes) -> bytes:
        """Seal for one place; a `nonce` must never be used twice with one key."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"expected a nonce of {NONCE_BYTES} bytes")
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _VERSION + where)

    def open(self, sealed: bytes, where: bytes) -> bytes:
        """Give back what was sealed for this place. Raises `Damaged`."""
        if len(sealed) < OVERHEAD or not sealed.startswith(_VERSION):
            raise Damaged("too short, or of an unknown version")
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, _VERSION + where)
        except InvalidTag:
            raise Damaged("damaged, altered, or moved from another row") from None


class Keyring:
    """The keys of a journal by their `ids`: the first seals, each opens what it has sealed."""

    __slots__ = ("_keys", "first", "ids")

    def __init__(self, keys: Sequence[Key]) -> None:
        self.first = keys[0]
        self.ids = tuple(key.id for key in keys)
        self._keys = {key.id: key for key in keys}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take `rjk_…` keys, separated by white space, or raise `KeyTextError`."""
        words = text.split()
        if not words:
            raise KeyTextError("there is no key in it")
        return cls(list(_keys(words)))

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"

    def seal(self, plain: bytes, where: bytes, *, nonce: bytes) -> bytes:
        """Seal with the first key; `nonce` must be random and new."""
        return self.first.seal(plain, where, nonce)

    def open(self, sealed: bytes, where: bytes, key_id: str) -> bytes:
        """Open with the key of this id, which is one of `ids`. Raises `Damaged`."""
        return self._keys[key_id].open(sealed, where)


def new_key(random_bytes: bytes) -> str:
    """Write a new key; raises `KeyTextError` unless the bytes are as many as a key has."""
    _check_length(random_bytes)
    return PREFIX + base64.b64encode(random_bytes).decode()


def _keys(words: Sequence[str]) -> Iterator[Key]:
    numbers: dict[str, int] = {}
    for number, word in enumerate(words, start=1):
        which = f"key {number} of {len(words)}" if len(words) > 1 else "the key"
        try:
            key = Key(_decode(word))
        except KeyTextError as error:
            raise KeyTextError(f"{which} {error}") from None
        if (first := numbers.setdefault(key.id, number)) != number:
            raise KeyTextError(f"{which} is key {first} again")
        yield key


def _decode(word: str) -> bytes:
    if not word.startswith(PREFIX):
        raise KeyTextError(f"does not begin with {PREFIX}")
    text = word.removeprefix(PREFIX)
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyTextError("is not base64 behind its prefix") from None
    _check_length(secret)
    if base64.b64encode(secret).decode() != text:
        raise KeyTextError("is not as it was printed")
    return secret


def _check_length(secret: bytes) -> None:
    if len(secret) != KEY_BYTES:
        raise KeyTextError(f"has {len(secret)} bytes, and {KEY_BYTES} are expected")
