"""Whom the relay trusts over TLS, and the oldest TLS that it speaks."""

import ssl
from functools import cache

FLOOR = ssl.TLSVersion.TLSv1_2


def trusting(ca_file: str | None = None) -> ssl.SSLContext:
    """Make a client's context, which verifies the certificate and its name.

    Without `ca_file` the system's authorities count, or those that `SSL_CERT_FILE` and
    `SSL_CERT_DIR` name. Raises `OSError` or `ValueError` for a file that is no good.
    """
    context = ssl.create_default_context(cafile=ca_file)
    # Debian's Python leaves the floor to OpenSSL's configuration; where that is higher, it stays.
    context.minimum_version = max(context.minimum_version, FLOOR)
    # From 3.13 on Python refuses certificates of old authorities for a matter of form, which curl,
    # Go and Python 3.12 take. Chain, name and dates are checked as ever.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@cache
def system_trust() -> ssl.SSLContext:
    """Give the context of those who name no authority; read once, since there are many files."""
    return trusting()
