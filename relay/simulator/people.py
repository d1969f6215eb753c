"""Those who write to the bots, made up and the same on every run, and how their apps encrypt."""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

VERSION: Final = b"\x01"
_BLOCK: Final = 16
_NONCE: Final = 12
_FULL_BLOCK_OF_PADDING: Final = bytes([_BLOCK]) * _BLOCK

Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Person:
    """One user with one session, able to encrypt."""

    name: str
    user_id: str
    session_id: str
    key: X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def named(cls, name: str) -> "Person":
        """Make the person of that name, always the same."""
        return cls(
            name=name,
            user_id=stable_id("user", name),
            session_id=stable_id("session", name),
            key=private_of_seed(hashlib.sha256(name.encode()).digest()),
        )

    @property
    def public_key(self) -> bytes:
        """The X25519 key that others encrypt for."""
        return self.key.public_key().public_bytes_raw()


def stable_id(*names: str) -> str:
    """Make a version 4 UUID out of names, always the same."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


@functools.cache
def contact_conversation(one: str, other: str) -> str:
    """Tell the id of the conversation between two users."""
    pair = "".join(sorted((one, other)))
    digest = hashlib.md5(pair.encode(), usedforsecurity=False).digest()
    return str(UUID(bytes=digest, version=3))


# --- Encryption ---------------------------------------------------------------------------------


def private_of_seed(seed: bytes) -> X25519PrivateKey:
    """Make the X25519 key that belongs to an Ed25519 seed."""
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] &= 127
    scalar[31] |= 64
    return X25519PrivateKey.from_private_bytes(bytes(scalar))


def public_of_seed(seed: bytes) -> bytes:
    """Make the X25519 public key that belongs to an Ed25519 seed."""
    return private_of_seed(seed).public_key().public_bytes_raw()


def seal(
    plaintext: bytes,
    sender: X25519PrivateKey,
    recipients: Mapping[str, bytes],
    entropy: Entropy = os.urandom,
) -> bytes:
    """Encrypt for each session id and X25519 public key in `recipients`.

    `entropy` is asked for the message key, the nonce, and one IV per recipient, in that order.
    """
    message_key, nonce = entropy(_BLOCK), entropy(_NONCE)
    entries = [
        UUID(session_id).bytes + _wrap(message_key, sender, public_key, entropy(_BLOCK))
        for session_id, public_key in recipients.items()
    ]
    return b"".join(
        (
            VERSION,
            len(entries).to_bytes(2, "little"),
            sender.public_key().public_bytes_raw(),
            *entries,
            nonce,
            AESGCM(message_key).encrypt(nonce, plaintext, None),
        )
    )


def _wrap(message_key: bytes, sender: X25519PrivateKey, public_key: bytes, iv: bytes) -> bytes:
    shared = sender.exchange(X25519PublicKey.from_public_bytes(public_key))
    encryptor = Cipher(AES(shared), CBC(iv)).encryptor()
    return iv + encryptor.update(message_key + _FULL_BLOCK_OF_PADDING) + encryptor.finalize()


ALICE: Final = Person.named("Alice")
BOB: Final = Person.named("Bob")
CAROL: Final = Person.named("Carol")
CAST: Final = (ALICE, BOB, CAROL)
"""The users that every simulator knows."""
