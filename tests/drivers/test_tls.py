"""The floor of TLS holds, whatever the system's Python and OpenSSL were built and set up for."""

import ssl
import warnings

import pytest

from relay.net.tls import system_trust, trusting

Version = ssl.TLSVersion


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Stand in for the context that a lax or a strict system makes."""
    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: context)
    return context


@pytest.mark.parametrize(
    ("system", "floor"),
    [
        (Version.MINIMUM_SUPPORTED, Version.TLSv1_2),
        (Version.TLSv1, Version.TLSv1_2),
        (Version.TLSv1_2, Version.TLSv1_2),
        (Version.TLSv1_3, Version.TLSv1_3),
    ],
)
def test_the_floor_is_raised_and_never_lowered(
    default: ssl.SSLContext, system: Version, floor: Version
) -> None:
    """TLS 1.2 at least; a system that asks for more gets it."""
    with warnings.catch_warnings(action="ignore"):
        default.minimum_version = system
    assert floor == trusting().minimum_version


def test_certificates_and_names_are_verified() -> None:
    """There is no way to ask for less."""
    for context in (trusting(), system_trust()):
        assert ssl.CERT_REQUIRED is context.verify_mode
        assert context.check_hostname
        assert context.minimum_version >= Version.TLSv1_2


def test_old_authorities_are_trusted_on_every_python(default: ssl.SSLContext) -> None:
    """A matter of form that 3.13 insists on is none of 3.12, curl and Go."""
    default.verify_flags |= ssl.VERIFY_X509_STRICT
    assert not trusting().verify_flags & ssl.VERIFY_X509_STRICT


def test_no_cipher_is_weak() -> None:
    """What Python offers by default has neither anonymous nor export, RC4, 3DES or MD5 suites."""
    names = {cipher["name"] for cipher in trusting().get_ciphers()}
    weak = ("NULL", "EXP", "RC4", "DES", "MD5", "ADH", "AECDH", "anon")
    assert set() == {name for name in names if any(mark in name for mark in weak)}
