"""ENCRYPTED_* payloads: who they are for, and what they say (docs/protocol.md)."""

import hashlib
import struct
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from relay.blaze.keystore import Keystore

VERSION = 1

_HEAD = struct.Struct("<BH32s")  # version, number of entries, sender's public key
_ENTRY = struct.Struct("16s16s32s")  # session id, IV, wrapped message key
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 16
_FULL_BLOCK_PADDING = bytes([16] * 16)


class Undecryptable(Exception):  # noqa: N818 - a state of the payload, not an error of the caller
    """The payload can't be decrypted with this keystore; the text says why, without secrets."""


class Decryptor:
    """Decrypts for one keystore; calling it raises `Undecryptable` and nothing else."""

    def __init__(self, keystore: Keystore) -> None:
        self._session_id = keystore.session_id
        key = keystore.key
        self._key = agreement_key(key) if isinstance(key, Ed25519PrivateKey) else None

    def __call__(self, blob: bytes) -> bytes:
        """Give the plaintext of one payload."""
        if self._key is None:
            raise Undecryptable("an RSA session has no key for this")
        return decrypt(blob, self._key, self._session_id)


def agreement_key(key: Ed25519PrivateKey) -> X25519PrivateKey:
    """Turn a session's signing key into the one it agrees on secrets with (7.2).

    X25519 clamps the scalar itself.
    """
    scalar = hashlib.sha512(key.private_bytes_raw()).digest()[:32]
    return X25519PrivateKey.from_private_bytes(scalar)


def decrypt(blob: bytes, key: X25519PrivateKey, session_id: str) -> bytes:
    """Decrypt a payload for one of its sessions (7.3). Raises `Undecryptable` and nothing else."""
    if len(blob) < _HEAD.size:
        raise Undecryptable("too short for a head")
    version, count, sender = _HEAD.unpack_from(blob)
    if version != VERSION:
        raise Undecryptable(f"version {version} is unknown")
    body = _HEAD.size + count * _ENTRY.size
    if count == 0 or len(blob) < body + _NONCE_BYTES + _TAG_BYTES:
        raise Undecryptable(f"too short for {count} sessions")
    iv, wrapped = _entry(blob[_HEAD.size : body], UUID(session_id).bytes)
    message_key = _unwrap(_shared(key, sender), iv, wrapped)
    nonce, sealed = blob[body : body + _NONCE_BYTES], blob[body + _NONCE_BYTES :]
    try:
        return AESGCM(message_key).decrypt(nonce, sealed, None)
    except InvalidTag:
        raise Undecryptable("the text was tampered with") from None


def _entry(entries: bytes, session: bytes) -> tuple[bytes, bytes]:
    for entry_session, iv, wrapped in _ENTRY.iter_unpack(entries):
        if entry_session == session:
            return iv, wrapped
    raise Undecryptable("not for this session")


def _shared(key: X25519PrivateKey, public: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # a point of low order
        raise Undecryptable("the sender's key is no key") from None


def _unwrap(shared: bytes, iv: bytes, wrapped: bytes) -> bytes:
    decryptor = Cipher(AES(shared), CBC(iv)).decryptor()
    padded = decryptor.update(wrapped) + decryptor.finalize()
    if padded[_KEY_BYTES:] != _FULL_BLOCK_PADDING:
        raise Undecryptable("the message key does not unwrap")
    return padded[:_KEY_BYTES]
