"""Hosts, URLs and listening addresses as operators write them, judged without asking the DNS."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

LISTEN = "HOST:PORT such as 0.0.0.0:8080 or [::1]:8080"

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST_NAME = 253
_HIGHEST_PORT = 65_535
_VISIBLE = re.compile(r"[!-~]*")

_PRIVATE_SUFFIXES = (
    ".local",
    ".internal",
    ".svc",
    ".lan",
    ".home.arpa",
    ".localhost",
    ".test",
    ".cluster.local",
)
"""Names under these belong to a cluster, a house or a machine, never to the public internet."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the HTTP surface listens; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Read as an operator writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL; `text` is what is dialled, and may hold a user, a password or a token."""

    text: str = field(repr=False)
    scheme: str
    host: str
    has_user: bool = False

    @property
    def plaintext(self) -> bool:
        """Whether everybody on the way can read along."""
        return self.scheme in {"http", "ws"}


def parse_listen(text: str) -> Listen:
    """Read HOST:PORT. Raises `ValueError` that says what is expected."""
    try:
        host, port = _authority(text.strip(), lowest_port=0)
    except ValueError:
        host, port = "", None
    if port is None:
        raise ValueError(f"expected {LISTEN}")
    return Listen(host, port)


def parse_host(text: str) -> str:
    """Read a name or an IP address, in lower case, without brackets. Raises `ValueError`."""
    if ":" in text:
        return str(IPv6Address(text))
    name = text.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(IPv4Address(name))
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a host name has letters, digits, hyphens and dots")
    return name.lower()


def is_public(host: str) -> bool:
    """Say, by its name alone, whether a host is out in the public internet."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_SUFFIXES)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global


def parse_url(text: str, schemes: Collection[str]) -> Url:
    """Read an absolute URL. Raises `ValueError` that says what is expected, and repeats nothing."""
    text = text.strip()
    parts = _split(text)
    if parts is None or parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"expected a URL that begins with {_choice(schemes)} and names a host")
    if parts.fragment or text.endswith("#"):
        raise ValueError("expected a URL without a #fragment, which is never sent")
    if not _VISIBLE.fullmatch(text):
        raise ValueError("expected a URL in ASCII: %-encoded, and the host in its xn-- form")
    userinfo, _, address = parts.netloc.rpartition("@")
    host, _ = _authority(address, lowest_port=1)
    return Url(text, parts.scheme, host, has_user=bool(userinfo))


def _split(text: str) -> SplitResult | None:
    if not text.isprintable() or "\\" in text:
        return None  # urlsplit drops tabs and newlines silently
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _authority(address: str, *, lowest_port: int) -> tuple[str, int | None]:
    """Take `host`, `host:port` or `[v6]:port` apart. Raises `ValueError`."""
    name, port = address, ""
    if not address.endswith("]") and ":" in address:
        name, _, port = address.rpartition(":")
        if not _PORT.fullmatch(port) or not lowest_port <= int(port) <= _HIGHEST_PORT:
            raise ValueError(f"expected a port from {lowest_port} to {_HIGHEST_PORT}")
    bracketed = name.startswith("[") and name.endswith("]")
    if bracketed != (":" in name):
        raise ValueError("expected an IPv6 address in brackets")
    try:
        host = parse_host(name[1:-1] if bracketed else name)
    except ValueError:
        raise ValueError("expected a host name or an IP address") from None
    return host, int(port) if port else None


def _choice(schemes: Collection[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
