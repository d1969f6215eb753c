"""What signatures promise."""

import base64
import time
import traceback

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import assume, example, given
from hypothesis import strategies as st

from relay.webhook.signature import SecretError, Signer, new_secret

# Published vectors: of Standard Webhooks, and of Svix (worker.rs::test_asymmetric_key_signing).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

PRIVATE = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ASYMMETRIC_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
SEED = base64.b64encode(base64.b64decode(PRIVATE)[:32]).decode()

secrets = st.binary(min_size=24, max_size=64).map(new_secret)
seeds = st.binary(min_size=32, max_size=32)


def test_the_symmetric_vector_is_met() -> None:
    """The published secret gives the published signature."""
    assert SIGNATURE == Signer.parse(SECRET).sign(MSG_ID, TIMESTAMP, BODY)


@pytest.mark.parametrize("private", [PRIVATE, SEED], ids=["with its public half", "seed only"])
def test_the_asymmetric_vector_is_met(private: str) -> None:
    """Both spellings of the published key give the published signature."""
    assert ASYMMETRIC_SIGNATURE == Signer.parse("whsk_" + private).sign(MSG_ID, TIMESTAMP, BODY)


@pytest.mark.parametrize("separator", [" ", "\n", " \t\r\n "])
def test_every_secret_signs(separator: str) -> None:
    """While rotating, the header holds one signature per secret, in their order."""
    signer = Signer.parse(separator.join([SECRET, "whsk_" + SEED, SECRET]) + "\n")
    expected = f"{SIGNATURE} {ASYMMETRIC_SIGNATURE} {SIGNATURE}"
    assert expected == signer.sign(MSG_ID, TIMESTAMP, BODY)


@given(st.lists(secrets, min_size=1, max_size=3), seeds, st.text())
def test_receivers_verify_with_any_of_the_secrets(keys: list[str], seed: bytes, text: str) -> None:
    """The reference library of receivers accepts what each of the secrets has signed."""
    body = text.encode("utf-8", "replace")
    now = int(time.time())
    signer = Signer.parse(" ".join(["whsk_" + base64.b64encode(seed).decode(), *keys]))
    headers = {
        "webhook-id": MSG_ID,
        "webhook-timestamp": str(now),
        "webhook-signature": signer.sign(MSG_ID, now, body),
    }
    for key in keys:
        standardwebhooks.Webhook(key).verify(body, headers, json_parse=False)


@given(seeds, st.binary())
def test_receivers_verify_with_the_public_key(seed: bytes, body: bytes) -> None:
    """An Ed25519 signature is over id, time and body, and needs the public key only."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    header = Signer.parse("whsk_" + base64.b64encode(seed).decode()).sign(MSG_ID, TIMESTAMP, body)
    version, signature = header.split(",")
    assert "v1a" == version
    signed = f"{MSG_ID}.{TIMESTAMP}.".encode() + body
    public.verify(base64.b64decode(signature), signed)


def test_the_vectors_public_key_verifies() -> None:
    """The published signature belongs to the published public key."""
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(PUBLIC))
    signature = base64.b64decode(ASYMMETRIC_SIGNATURE.removeprefix("v1a,"))
    public.verify(signature, f"{MSG_ID}.{TIMESTAMP}.".encode() + BODY)


@given(st.binary(min_size=24, max_size=64))
def test_new_secrets_are_secrets(random_bytes: bytes) -> None:
    """What `relay secret` prints is taken, and differs with the bytes it is made of."""
    secret = new_secret(random_bytes)
    assert "whsec_" + base64.b64encode(random_bytes).decode() == secret
    assert Signer.parse(secret).sign(MSG_ID, TIMESTAMP, BODY).startswith("v1,")


@pytest.mark.parametrize("length", [0, 23, 65])
def test_weak_and_overlong_secrets_are_refused(length: int) -> None:
    """24 to 64 bytes, as the specification has it."""
    with pytest.raises(SecretError, match=f"{length} bytes"):
        new_secret(bytes(length))
    with pytest.raises(SecretError, match=f"{length} bytes"):
        Signer.parse("whsec_" + base64.b64encode(bytes(length)).decode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no secret"),
        (" \n", "no secret"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins neither"),
        ("whpk_" + PUBLIC, "begins neither"),
        ("whsec_not*base64", "not base64"),
        ("whsec_" + "QUJD-" * 8, "not base64"),
        ("whsec_ünïcode", "not base64"),
        ("whsk_" + base64.b64encode(bytes(33)).decode(), "33 bytes"),
        ("whsk_" + base64.b64encode(bytes(64)).decode(), "public half"),
        (f"{SECRET} whsec_short", "secret 2 of 2"),
    ],
)
def test_what_is_no_secret_is_refused(text: str, why: str) -> None:
    """The error says what is wrong, and which of several it is."""
    with pytest.raises(SecretError, match=why):
        Signer.parse(text)


garbage: st.SearchStrategy[str] = st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from(["", "whsec_", "whsk_", "whpk_"]),
    st.text() | st.from_regex(r"[A-Za-z0-9+/]{8,90}={0,2}", fullmatch=True),
)


@given(garbage)
@example("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
def test_no_error_repeats_a_secret(text: str) -> None:
    """Any text is a secret or a `SecretError`, and neither that nor its trace shows any of it."""
    hidden = text.removeprefix("whsec_").removeprefix("whsk_")
    assume(len(hidden.strip()) > len("24 to 64 bytes"))
    try:
        shown = repr(vars(Signer.parse(text)))
    except SecretError as error:
        shown = "".join(traceback.format_exception(error))
    assert hidden not in shown


def test_signers_with_the_same_secrets_are_equal() -> None:
    """White space is nothing; order is something, since the first signature comes first."""
    one, two = new_secret(b"1" * 32), new_secret(b"2" * 32)
    assert Signer.parse(f"{one} {two}") == Signer.parse(f" {one}\n{two} ")
    assert 1 == len({Signer.parse(one), Signer.parse(one)})
    others = (f"{two} {one}", one, two)
    assert [] == [text for text in others if Signer.parse(text) == Signer.parse(f"{one} {two}")]
    assert one not in repr(Signer.parse(one))
