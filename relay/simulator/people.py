"""Those who write to the bots, the same on every run: how they encrypt, and what they write."""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
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


_THUMBNAIL: Final = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_ASSET_ID: Final = stable_id("asset")
_WHEN: Final = "2026-01-02T03:04:05.678901Z"


def _attachment(mime_type: str, size: int, **more: Any) -> dict[str, Any]:
    attachment_id = stable_id("attachment", mime_type)
    return {"attachment_id": attachment_id, "mime_type": mime_type, "size": size, **more}


def _safe_snapshot(**more: Any) -> dict[str, Any]:
    return {
        "type": "snapshot",
        "snapshot_id": stable_id("snapshot"),
        "user_id": BOB.user_id,
        "opponent_id": ALICE.user_id,
        "transaction_hash": "5f" * 32,
        "asset_id": _ASSET_ID,
        "amount": "0.10000000",
        "memo": b"order 4711".hex(),
        "created_at": _WHEN,
        **more,
    }


_SHARED: Final[dict[str, Any]] = {
    "TEXT": "Hello! 你好 👋",
    "POST": "# Weekly report\n\n- *three* new users\n- `0` errors\n",
    "IMAGE": _attachment("image/jpeg", 34567, width=1280, height=720, thumbnail=_THUMBNAIL),
    "DATA": _attachment("application/pdf", 234567, name="offer.pdf"),
    "AUDIO": _attachment("audio/ogg", 4567, duration=3200, waveform="AAECAwQFBgc"),
    "VIDEO": _attachment(
        "video/mp4", 3456789, width=640, height=360, duration=12000, thumbnail=_THUMBNAIL
    ),
    "STICKER": {"sticker_id": stable_id("sticker")},
    "CONTACT": {"user_id": BOB.user_id},
    "LOCATION": {"longitude": 13.3777, "latitude": 52.5163, "name": "Brandenburger Tor"},
    "LIVE": {
        "width": 1280,
        "height": 720,
        "thumb_url": "https://live.example.com/thumb.jpg",
        "url": "https://live.example.com/stream.m3u8",
    },
    "TRANSCRIPT": [
        {
            "message_id": stable_id("transcript"),
            "user_id": ALICE.user_id,
            "user_full_name": ALICE.name,
            "category": "PLAIN_TEXT",
            "content": "as we said",
            "created_at": _WHEN,
        }
    ],
}

_OTHER: Final[dict[str, Any]] = {
    "PLAIN_JSON": {"action": "RESEND_KEY", "message_id": stable_id("resend")},
    "APP_CARD": {
        "app_id": stable_id("app"),
        "title": "Order 4711",
        "description": "is on its way",
        "icon_url": "https://shop.example.com/icon.png",
        "action": "https://shop.example.com/orders/4711",
        "shareable": True,
    },
    "APP_BUTTON_GROUP": [
        {"label": "Yes", "color": "#00AA00", "action": "input:yes"},
        {"label": "No", "color": "#AA0000", "action": "input:no"},
    ],
    "MESSAGE_RECALL": {"message_id": stable_id("recalled")},
    "MESSAGE_PIN": {"action": "PIN", "message_ids": [stable_id("pinned")]},
    "SYSTEM_CONVERSATION": {
        "action": "ADD",
        "participant_id": BOB.user_id,
        "user_id": ALICE.user_id,
    },
    "SYSTEM_USER": {"action": "UPDATE", "user_id": ALICE.user_id},
    "SYSTEM_CIRCLE": {
        "action": "ADD",
        "circle_id": stable_id("circle"),
        "conversation_id": stable_id("conversation"),
    },
    "SYSTEM_SESSION": {
        "action": "PROVISION",
        "user_id": ALICE.user_id,
        "session_id": ALICE.session_id,
    },
    "SYSTEM_ACCOUNT_SNAPSHOT": {
        "type": "transfer",
        "snapshot_id": stable_id("transfer"),
        "opponent_id": ALICE.user_id,
        "counter_user_id": ALICE.user_id,
        "asset_id": _ASSET_ID,
        "amount": "0.1",
        "trace_id": stable_id("trace"),
        "memo": "order 4711",
        "created_at": _WHEN,
    },
    "SYSTEM_SAFE_SNAPSHOT": _safe_snapshot(),
    "SYSTEM_SAFE_INSCRIPTION": _safe_snapshot(inscription_hash="1a" * 32),
    "WEBRTC_AUDIO_OFFER": {"sdp": "v=0", "type": "offer"},
    "SIGNAL_TEXT": "not for bots",
    "KRAKEN_PUBLISH": {"jsep": "v=0", "track_id": ""},
}


def as_payload(content: Any) -> bytes:
    """Turn content into what a message carries: bytes and text as they are, all else as JSON."""
    if isinstance(content, bytes):
        return content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return text.encode()


def _payloads() -> dict[str, bytes]:
    shared = {
        f"{prefix}_{suffix}": content
        for prefix in ("PLAIN", "ENCRYPTED")
        for suffix, content in _SHARED.items()
    }
    return {category: as_payload(content) for category, content in {**shared, **_OTHER}.items()}


_PAYLOADS: Final = _payloads()

CATEGORIES: Final = tuple(_PAYLOADS)
"""Every category that there is a sample of."""


def sample(category: str) -> bytes:
    """Make the payload of a category, before encryption; text for one that is unknown."""
    return _PAYLOADS.get(category, b"hello")
