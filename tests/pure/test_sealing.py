"""What sealing promises: only the right key opens, only in its place, and nothing tells the key."""

import hashlib
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from relay.journal.encryption.keys import (
    KEY_BYTES,
    NONCE_BYTES,
    OVERHEAD,
    PREFIX,
    Damaged,
    Keyring,
    KeyTextError,
    Kind,
    new_key,
    place,
)

SECRETS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
NONCES = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4)
PLACES = st.tuples(st.sampled_from(Kind), NAMES)

ONE, TWO, THREE = (new_key(bytes([number] * KEY_BYTES)) for number in (1, 2, 3))
RING = Keyring.parse(ONE)
NONCE = bytes(NONCE_BYTES)
HERE, THERE = place(Kind.FRAME, "bot", "1"), place(Kind.FRAME, "bot", "2")
SEALED = RING.seal(b"hello", HERE, nonce=NONCE)


def refusal(text: str) -> str:
    with pytest.raises(KeyTextError) as caught:
        Keyring.parse(text)
    return str(caught.value)


# --- Sealing and opening --------------------------------------------------------------------------


@given(secret=SECRETS, nonce=NONCES, body=st.binary(), where=PLACES)
def test_what_is_sealed_opens_in_its_place(
    secret: bytes, nonce: bytes, body: bytes, where: tuple[Kind, list[str]]
) -> None:
    """Any bytes come back as they went in, and the seal adds a known number of bytes."""
    ring = Keyring.parse(new_key(secret))
    sealed = ring.seal(body, place(where[0], *where[1]), nonce=nonce)
    assert len(body) + OVERHEAD == len(sealed)
    assert body == ring.open(sealed, place(where[0], *where[1]), ring.first.id)


def test_it_is_what_is_said_to_be() -> None:
    """Version 1 is AES-256-GCM: version, nonce, ciphertext and tag, bound to version and place."""
    expected = AESGCM(bytes([1] * KEY_BYTES)).encrypt(NONCE, b"hello", b"\x01" + HERE)
    assert b"\x01" + NONCE + expected == SEALED


@given(one=PLACES, other=PLACES)
def test_no_two_places_are_one(one: tuple[Kind, list[str]], other: tuple[Kind, list[str]]) -> None:
    """However the names are cut, places are the same only if all names are."""
    assert (one == other) == (place(one[0], *one[1]) == place(other[0], *other[1]))


def test_a_name_ends_where_it_ends() -> None:
    """What one name gives to the next is another place."""
    assert place(Kind.FRAME, "ab", "c") != place(Kind.FRAME, "a", "bc")
    assert place(Kind.FRAME, "a", "") != place(Kind.FRAME, "", "a")


@given(body=st.binary(), nonce=NONCES)
def test_nothing_opens_in_another_place(body: bytes, nonce: bytes) -> None:
    """A sealed body that is moved to another row, or to another column, does not open there."""
    sealed = RING.seal(body, HERE, nonce=nonce)
    for elsewhere in (THERE, place(Kind.SAMPLE, "bot", "1"), place(Kind.FRAME, "other", "1"), b""):
        with pytest.raises(Damaged, match="moved from another row"):
            RING.open(sealed, elsewhere, RING.first.id)


@given(data=st.data())
def test_no_changed_byte_opens(data: st.DataObject) -> None:
    """Whichever bit is another, the version's included, nothing is given out."""
    index = data.draw(st.integers(0, len(SEALED) - 1))
    changed = bytearray(SEALED)
    changed[index] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        RING.open(bytes(changed), HERE, RING.first.id)


@given(garbage=st.binary(max_size=200))
def test_any_bytes_open_or_are_damaged(garbage: bytes) -> None:
    """Hostile bytes raise `Damaged` and nothing else."""
    for sealed in (garbage, b"\x01" + garbage, SEALED[: len(garbage) % len(SEALED)]):
        with pytest.raises(Damaged):
            RING.open(sealed, HERE, RING.first.id)


def test_another_key_opens_nothing() -> None:
    """A key that goes by the id of another finds the bytes damaged."""
    ring = Keyring.parse(TWO)
    with pytest.raises(Damaged):
        ring.open(SEALED, HERE, ring.first.id)


def test_the_first_seals_and_all_open() -> None:
    """While rotating, what the old key sealed opens, and the new one seals."""
    rotated = Keyring.parse(f"{TWO}\n{ONE}")
    old, new = RING.first.id, Keyring.parse(TWO).first.id
    assert (new, (new, old)) == (rotated.first.id, rotated.ids)
    assert b"hello" == rotated.open(SEALED, HERE, old)
    sealed = rotated.seal(b"hello", HERE, nonce=NONCE)
    assert b"hello" == Keyring.parse(TWO).open(sealed, HERE, new)


def test_a_nonce_has_its_length() -> None:
    """GCM with another length is another thing, and never meant."""
    with pytest.raises(ValueError, match="12 bytes"):
        RING.seal(b"", HERE, nonce=b"12345678")


# --- Keys -----------------------------------------------------------------------------------------


@given(secrets=st.lists(SECRETS, min_size=1, max_size=5, unique=True), gap=st.sampled_from(" \n\t"))
def test_keys_are_read_as_they_were_printed(secrets: list[bytes], gap: str) -> None:
    """White space of any kind separates keys; their order is kept."""
    words = [new_key(secret) for secret in secrets]
    ring = Keyring.parse(f"\n{gap.join(words)} \n")
    assert [Keyring.parse(word).first.id for word in words] == list(ring.ids)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no key in it"),
        (" \n", "there is no key in it"),
        ("hunter2", "the key does not begin with rjk_"),
        (ONE.upper(), "the key does not begin with rjk_"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the key does not begin with rjk_"),
        (PREFIX, "the key has 0 bytes, and 32 are expected"),
        (PREFIX + b64encode(b"x" * 31).decode(), "the key has 31 bytes, and 32 are expected"),
        (PREFIX + b64encode(b"x" * 33).decode(), "the key has 33 bytes, and 32 are expected"),
        (f"{PREFIX}hunter2!", "the key is not base64 behind its prefix"),
        (ONE.rstrip("="), "the key is not base64 behind its prefix"),
        (f"{ONE[:-2]}F=", "the key is not as it was printed"),
        (f"{ONE} {TWO} x", "key 3 of 3 does not begin with rjk_"),
        (f"{ONE},{TWO}", "the key is not base64 behind its prefix"),
        (f"{ONE} {TWO} {ONE}", "key 3 of 3 is key 1 again"),
    ],
)
def test_what_is_no_key_is_refused(text: str, why: str) -> None:
    """The refusal says which one is wrong and why, and repeats none of it."""
    assert why == refusal(text)


@given(text=st.text())
def test_any_text_is_keys_or_refused(text: str) -> None:
    """Hostile text raises `KeyTextError` and nothing else, without any of the text."""
    for hostile in (text, PREFIX + text, f"{ONE} {PREFIX}{text}hunter2"):
        why = ""
        try:
            Keyring.parse(hostile)
        except KeyTextError as error:
            why = str(error)
        assert "hunter2" not in why


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_new_key_has_its_length(length: int) -> None:
    """A key is made of 32 random bytes, and of no fewer."""
    with pytest.raises(KeyTextError, match=f"has {length} bytes"):
        new_key(bytes(length))


def test_an_id_tells_keys_apart_and_nothing_about_them() -> None:
    """Ids are short, stable, and no part of the key's own hash."""
    assert "603ad4aa" == RING.first.id
    assert hashlib.sha256(bytes([1] * KEY_BYTES)).hexdigest()[:8] != RING.first.id
    assert 3 == len(set(Keyring.parse(f"{ONE} {TWO} {THREE}").ids))


@given(secret=SECRETS)
def test_nothing_shows_a_key(secret: bytes) -> None:
    """Neither repr nor text of a ring, a key or a seal holds the key."""
    word = new_key(secret)
    ring = Keyring.parse(word)
    shown: list[Any] = [ring, ring.first, [ring], {"keys": ring}]
    for each in shown:
        assert word.removeprefix(PREFIX)[:8] not in f"{each!r}{each}"
