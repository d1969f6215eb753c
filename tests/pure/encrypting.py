"""Encrypts as a sender does (docs/protocol.md, Encrypted messages)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC


@dataclass(frozen=True, slots=True)
class Recipient:
    """One session that may read: its id, its X25519 public key and the IV to wrap the key with."""

    session_id: str
    public_key: bytes
    iv: bytes


def encrypt(
    plaintext: bytes,
    recipients: Sequence[Recipient],
    *,
    key: X25519PrivateKey,
    message_key: bytes,
    nonce: bytes,
) -> bytes:
    """Encrypt for the given sessions (7.4); `message_key` and `nonce` must be random and new."""
    head = struct.pack("<BH32s", 1, len(recipients), key.public_key().public_bytes_raw())
    entries = [UUID(to.session_id).bytes + to.iv + _wrap(key, to, message_key) for to in recipients]
    return head + b"".join(entries) + nonce + AESGCM(message_key).encrypt(nonce, plaintext, None)


def _wrap(key: X25519PrivateKey, to: Recipient, message_key: bytes) -> bytes:
    shared = key.exchange(X25519PublicKey.from_public_bytes(to.public_key))
    encryptor = Cipher(AES(shared), CBC(to.iv)).encryptor()
    return encryptor.update(message_key + bytes([16] * 16)) + encryptor.finalize()
