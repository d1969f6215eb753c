"""ENCRYPTED_* messages are sealed as docs/protocol.md says, to its vectors."""

import base64
import hashlib
from collections.abc import Iterator
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from relay.simulator.people import private_of_seed, public_of_seed, seal
from tests.drivers.simulator_client import Client, simulated
from tests.support.simulator import Family, make_keystore
from tests.support.simulator.operations import checksum

OTHER_SESSION = "11111111-1111-4111-8111-111111111111"
BOT_SESSION = "22222222-2222-4222-8222-222222222222"
SEALED = (
    "AQIARwHQhIhFH1RaQJ-1iuPlhYHKQKw_fxFGmM1x3qxzygERERERERFBEYERERERERERwMHCw8TFxsfIycrLzM3Oz66c6P"
    "eshiaN00W8FXWQHK3kvoyT66lIRLr1gEDFvVcHIiIiIiIiQiKCIiIiIiIiItDR0tPU1dbX2Nna29zd3t_mp-zG7iPx16sh"
    "WLSJYvqKHQPWAz95YcJ_JcSnAUqX-bCxsrO0tba3uLm6u4EC6jc5X8IUGv7HXiDJFVHvFwM5n90oS9U"
)


def seed_from(first: int) -> bytes:
    return bytes(range(first, first + 32))


def the_entropy_of_the_vector() -> Iterator[bytes]:
    for first, size in ((0xA0, 16), (0xB0, 12), (0xC0, 16), (0xD0, 16)):
        yield bytes(range(first, first + size))


def raw_url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_the_projects_vector_comes_out() -> None:
    """Vector 7.5 (d): two sessions, non-ASCII text."""
    recipients = {
        OTHER_SESSION: public_of_seed(seed_from(0x40)),
        BOT_SESSION: public_of_seed(seed_from(0x20)),
    }
    entropy = the_entropy_of_the_vector()
    sender = private_of_seed(seed_from(0x00))
    blob = seal("hi 你好".encode(), sender, recipients, lambda _: next(entropy))
    assert SEALED == raw_url(blob)


def test_keys_are_converted_as_published() -> None:
    """Vectors 7.5 (c) and (d): an Ed25519 seed's X25519 keys."""
    seed = bytes.fromhex("7e3349801e05ecf41b7f1a9631fab3fc6b245e76e74fe6af4ad9a33da2d6eb9c")
    private = "e817a4a8d49ffa7930f4fc0db76452a2db6a0aab1ef01fd05bc90fb388c0d257"
    public = "9f80a9608a1df2d1f8fa019485c26bed9a122832333a51d5c898087e078c062f"
    assert private == private_of_seed(seed).private_bytes_raw().hex()
    assert public == public_of_seed(seed).hex()
    assert "RwHQhIhFH1RaQJ-1iuPlhYHKQKw_fxFGmM1x3qxzygE" == raw_url(public_of_seed(seed_from(0)))


def test_the_checksum_comes_out() -> None:
    """Vector 7.5 (d): the checksum of both session ids, in any order."""
    expected = "aed2bc7079b930b0f31319610c76ce32"
    assert expected == checksum([OTHER_SESSION, BOT_SESSION])
    assert expected == checksum([BOT_SESSION, OTHER_SESSION])


def unseal(blob: bytes, session_id: str, seed: bytes) -> bytes:
    """Decrypt, written apart from what it checks."""
    count = int.from_bytes(blob[1:3], "little")
    digest = hashlib.sha512(seed).digest()[:32]
    # X25519 clamps its scalar by itself (RFC 7748).
    key = X25519PrivateKey.from_private_bytes(digest)
    shared = key.exchange(X25519PublicKey.from_public_bytes(blob[3:35]))
    for at in range(35, 35 + 64 * count, 64):
        if blob[at : at + 16] == UUID(session_id).bytes:
            decryptor = Cipher(AES(shared), CBC(blob[at + 16 : at + 32])).decryptor()
            message_key = decryptor.update(blob[at + 32 : at + 64])[:16]
            rest = blob[35 + 64 * count :]
            return AESGCM(message_key).decrypt(rest[:12], rest[12:], None)
    raise LookupError(session_id)


async def test_the_bot_can_decrypt_what_is_pushed() -> None:
    """An ENCRYPTED_* push is sealed for the bot's session, unless it is sealed already."""
    async with simulated() as (simulator, client), client.listening() as socket:
        simulator.push("hi 你好", category="ENCRYPTED_TEXT")
        data = await socket.take_data()
        seed = bytes.fromhex(client.bot.keystore["session_private_key"])
        blob = base64.b64decode(data["data"])
        assert "hi 你好".encode() == unseal(blob, client.bot.session_id, seed)
        simulator.push(b"as it is", category="ENCRYPTED_TEXT", sealed=True)
        assert b"as it is" == base64.b64decode((await socket.take_data())["data"])


async def test_an_rsa_bot_gets_no_encrypted_messages() -> None:
    """There is nothing to encrypt for: pushing one is a mistake in the test."""
    async with simulated() as (simulator, client):
        rsa = Client(simulator, client.session, simulator.add_bot(make_keystore(Family.RSA)))
        with pytest.raises(ValueError, match="RSA"):
            simulator.push("secret", category="ENCRYPTED_TEXT", bot=rsa.bot)
