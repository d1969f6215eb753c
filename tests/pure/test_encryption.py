"""ENCRYPTED_* payloads are read as all clients read them (docs/protocol.md, Encrypted messages)."""

from base64 import b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from relay.blaze.encryption import Decryptor, Undecryptable, agreement_key, decrypt
from relay.blaze.keystore import Keystore
from tests.pure.blaze_vectors import (
    APP_ID,
    BLOB,
    BLOB_TEXT,
    FLUTTER_BLOB,
    FLUTTER_SEED,
    FLUTTER_SESSION_ID,
    KEYSTORE,
    OTHER_SEED,
    OTHER_SESSION_ID,
    SEED,
    SENDER_SEED,
    SESSION_ID,
)
from tests.pure.encrypting import Recipient, encrypt


def key_of(seed: bytes) -> X25519PrivateKey:
    return agreement_key(Ed25519PrivateKey.from_private_bytes(seed))


def public_of(seed: bytes) -> bytes:
    return key_of(seed).public_key().public_bytes_raw()


BOT = Recipient(SESSION_ID, public_of(SEED), bytes(range(0xD0, 0xE0)))
OTHER = Recipient(OTHER_SESSION_ID, public_of(OTHER_SEED), bytes(range(0xC0, 0xD0)))


def test_vector_a_decrypts() -> None:
    """A payload made by the Flutter app is read."""
    assert b"LA" == decrypt(FLUTTER_BLOB, key_of(FLUTTER_SEED), FLUTTER_SESSION_ID)


def test_vector_a_shares_the_computed_secret() -> None:
    """The secret of vector a is what two other implementations computed."""
    sender = X25519PublicKey.from_public_bytes(FLUTTER_BLOB[3:35])
    assert "3d16155e3caec6efaec72dcb7ae7499f7ada1c5876fea90526bfbb292a69731f" == (
        key_of(FLUTTER_SEED).exchange(sender).hex()
    )


def test_vector_a_seals_with_the_computed_key() -> None:
    """The body of vector a is AES-128-GCM under the message key that others computed."""
    message_key = bytes.fromhex("89683feac82c8682557ad61b7e945e3e")
    assert b"LA" == AESGCM(message_key).decrypt(FLUTTER_BLOB[99:111], FLUTTER_BLOB[111:], None)


def test_vector_b_agrees() -> None:
    """The key agreement is plain X25519."""
    key = X25519PrivateKey.from_private_bytes(
        b64decode("IFxd7LKqNc+NBVhFYqGOyN67J9XXqOzmFu4wBd3YgX0=")
    )
    public = X25519PublicKey.from_public_bytes(
        b64decode("MZqwdh6zq6KKfQU6YozSQ4jtAws5UPOJNPSwEBvWUw0=")
    )
    assert b64decode("njmQdTN33L/7ZsKuCyPmKu9Q8ywwwpfgSuvT4t8aXQw=") == key.exchange(public)


def test_vector_c_converts() -> None:
    """A signing key becomes the agreement key that the Dart SDK makes of it."""
    seed = bytes.fromhex("7e3349801e05ecf41b7f1a9631fab3fc6b245e76e74fe6af4ad9a33da2d6eb9c")
    signing = Ed25519PrivateKey.from_private_bytes(seed)
    private = "e817a4a8d49ffa7930f4fc0db76452a2db6a0aab1ef01fd05bc90fb388c0d257"
    assert (
        "93c113c960c8d8f81336319696a7294b57f21cc799d906e054a9d250baca80c9",
        "9f80a9608a1df2d1f8fa019485c26bed9a122832333a51d5c898087e078c062f",
        X25519PrivateKey.from_private_bytes(bytes.fromhex(private)).public_key(),
    ) == (
        signing.public_key().public_bytes_raw().hex(),
        agreement_key(signing).public_key().public_bytes_raw().hex(),
        agreement_key(signing).public_key(),
    )


def test_vector_d_decrypts_for_both_sessions() -> None:
    """Each session finds its own entry."""
    assert [BLOB_TEXT, BLOB_TEXT] == [
        decrypt(BLOB, key_of(SEED), SESSION_ID).decode(),
        decrypt(BLOB, key_of(OTHER_SEED), OTHER_SESSION_ID).decode(),
    ]


def test_vector_d_is_reproduced() -> None:
    """Encrypting with the vector's keys gives the vector."""
    blob = encrypt(
        BLOB_TEXT.encode(),
        [OTHER, BOT],
        key=key_of(SENDER_SEED),
        message_key=bytes(range(0xA0, 0xB0)),
        nonce=bytes(range(0xB0, 0xBC)),
    )
    assert BLOB == blob


@pytest.mark.parametrize(
    ("seed", "public"),
    [
        (SENDER_SEED, "RwHQhIhFH1RaQJ-1iuPlhYHKQKw_fxFGmM1x3qxzygE"),
        (SEED, "VzCACrNA_LGM5REe2p1wX5E4i0HkVEy9EDullC2yIz4"),
        (OTHER_SEED, "8UtRcxMKG4Bofyc9Sej0dAp5OpSbg7EFg38qYej-4U8"),
    ],
)
def test_vector_d_names_the_same_public_keys(seed: bytes, public: str) -> None:
    """The public keys of vector d come from its seeds."""
    assert public == urlsafe_b64encode(public_of(seed)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "too short for a head"),
        (BLOB[:34], "too short for a head"),
        (b"\x02" + BLOB[1:], "version 2 is unknown"),
        (b"\x01\x00\x00" + BLOB[3:], "too short for 0 sessions"),
        (b"\x01\xff\xff" + BLOB[3:], "too short for 65535 sessions"),
        (b"\x01\x03\x00" + BLOB[3:], "too short for 3 sessions"),
        (b"\x01\x01\x00" + BLOB[3:], "not for this session"),
        (BLOB[:3] + bytes(32) + BLOB[35:], "the sender's key is no key"),
        (BLOB[:-1] + bytes([BLOB[-1] ^ 1]), "the text was tampered with"),
        (FLUTTER_BLOB, "not for this session"),
    ],
)
def test_what_cannot_be_decrypted_says_why(blob: bytes, why: str) -> None:
    """Every malformed payload is refused for its own reason."""
    with pytest.raises(Undecryptable, match=why):
        Decryptor(KEYSTORE)(blob)


def test_a_key_for_another_session_does_not_unwrap() -> None:
    """The right entry with the wrong key is refused at the padding."""
    with pytest.raises(Undecryptable, match="does not unwrap"):
        decrypt(BLOB, key_of(OTHER_SEED), SESSION_ID)


def test_an_rsa_session_decrypts_nothing() -> None:
    """Without an Ed25519 key there is nothing to agree with."""
    keystore = Keystore(APP_ID, SESSION_ID, generate_private_key(65537, 1024))
    with pytest.raises(Undecryptable, match="RSA"):
        Decryptor(keystore)(BLOB)


@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: BLOB[:35] + tail))
def test_any_bytes_are_plain_or_undecryptable(blob: bytes) -> None:
    """Nothing but plaintext or `Undecryptable` comes out of any bytes."""
    with pytest.raises(Undecryptable):
        Decryptor(KEYSTORE)(blob)


@pytest.mark.parametrize("length", range(len(BLOB)))
def test_a_truncated_payload_is_undecryptable(length: int) -> None:
    """No length short of the whole is read past its end."""
    with pytest.raises(Undecryptable):
        Decryptor(KEYSTORE)(BLOB[:length])


@given(st.integers(0, len(BLOB) * 8 - 1))
def test_a_flipped_bit_never_changes_the_text(bit: int) -> None:
    """A flipped bit makes the payload undecryptable, or was in another session's entry."""
    flipped = bytearray(BLOB)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        plaintext = Decryptor(KEYSTORE)(bytes(flipped)).decode()
    except Undecryptable:
        return
    # Bit 255 of an X25519 key is no part of it.
    assert (BLOB_TEXT, True) == (plaintext, 35 <= bit // 8 < 99 or bit == 34 * 8 + 7)


@given(
    plaintext=st.binary(max_size=200),
    message_key=st.binary(min_size=16, max_size=16),
    nonce=st.binary(min_size=12, max_size=12),
    iv=st.binary(min_size=16, max_size=16),
)
def test_what_is_encrypted_decrypts(
    plaintext: bytes, message_key: bytes, nonce: bytes, iv: bytes
) -> None:
    """Encrypting and decrypting are each other's reverse."""
    to = Recipient(SESSION_ID, BOT.public_key, iv)
    blob = encrypt(
        plaintext, [OTHER, to], key=key_of(SENDER_SEED), message_key=message_key, nonce=nonce
    )
    assert (plaintext, 63 + 2 * 64 + len(plaintext)) == (Decryptor(KEYSTORE)(blob), len(blob))
