"""The nouns of the HTTP port: what goes out to a webhook, and what comes back."""

import base64
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Protocol, Self
from urllib.parse import SplitResult, quote, unquote, urlsplit

from msgspec import Struct

from relay.net.proxies import Proxy

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A backslash is a slash to some readers of URLs and a letter to others, so hosts would differ.
_UNFIT = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_NAME = re.compile(r"[a-z0-9_.-]+")


class TargetError(ValueError):
    """A URL is no target. The text never repeats the URL: its path or user may be a secret."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a target is trusted, and what it is shown; paths of PEM files.

    Without `ca_file` the system's authorities count, with it only those in the file.
    """

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, parsed once.

    `path` is as it is sent, query included. `authorization` is the header that the URL's user and
    password make, if it has them, for the caller to send. Both stay out of the repr. With a `proxy`
    it is dialled, and asked for the rest of the way.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    tls: TlsSettings = TlsSettings()
    proxy: Proxy | None = None

    @classmethod
    def parse(cls, url: str, tls: TlsSettings | None = None) -> Self:
        """Take a URL apart, or raise `TargetError`."""
        if _UNFIT.search(url):
            raise TargetError("has white space, control characters or backslashes in it")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TargetError("is no URL") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise TargetError("begins neither with http:// nor with https://")
        if port == 0:
            raise TargetError("names port 0")
        return cls(
            scheme=parts.scheme,
            host=_host(parts),
            port=port or _DEFAULT_PORTS[parts.scheme],
            path=_path(parts),
            authorization=_authorization(parts),
            tls=tls or TlsSettings(),
        )

    @property
    def authority(self) -> str:
        """Host and port as a URL has them, an IPv6 address in brackets."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> str:
        """Host, and the port where it is not the scheme's own."""
        own = self.port == _DEFAULT_PORTS[self.scheme]
        return self._bracketed if own else self.authority

    @property
    def has_address(self) -> bool:
        """Whether the host is an address, and no name."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _host(parts: SplitResult) -> str:
    host = parts.hostname
    if not host:
        raise TargetError("has no host")
    # Two standards of international names disagree on some letters, so on whose host it is.
    if not host.isascii():
        raise TargetError("has a host that is not ASCII: write it in its xn-- form")
    if not (_is_ipv6(host) or _NAME.fullmatch(host)):
        raise TargetError("has a host that is neither a name nor an address")
    return host


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _path(parts: SplitResult) -> str:
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    return quote(path, safe=string.punctuation)


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None and parts.password is None:
        return None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return basic_authorization(user, password)


def basic_authorization(user: str, password: str) -> str:
    """Make the header that says who we are; raises `TargetError` for a user with a colon."""
    if ":" in user:
        raise TargetError("has a user name with a colon, which Basic authentication can't carry")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Request(Struct, frozen=True, gc=False):
    """One POST to a sender's target; its headers and body stay out of the repr.

    `timeout` covers everything up to the status line: the wait for a connection, DNS, connecting,
    TLS, sending. `connect_timeout` covers DNS, connecting and TLS. Both in seconds.
    """

    headers: Mapping[str, str]
    body: bytes
    timeout: float
    connect_timeout: float

    def __repr__(self) -> str:
        """Show how large it is."""
        return f"Request({len(self.headers)} headers, {len(self.body)} bytes)"


class Sent(StrEnum):
    """Whether the receiver has the request.

    NO: not a byte of it left. MAYBE: bytes left and nothing came back. YES: something came back.
    """

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Failure(StrEnum):
    """Why there is no status line.

    CLIENT is our own: a request that can't be made, or a bug of the adapter's library.
    """

    BLOCKED = "blocked"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    CLIENT = "client"


class NotConnectedError(Exception):
    """There is no connection, so nothing was sent. `detail` is a line for people."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail


class Answer(Struct, frozen=True, gc=False):
    """What came of a request: a status, or a failure.

    `retry_after` is the header as received, `body` its beginning, which nobody unpacks where it is
    `packed`, and which stays out of the repr; `detail` is a line for people and holds nothing that
    the receiver said.
    """

    status: int | None = None
    retry_after: str | None = None
    body: bytes = b""
    packed: bool = False
    failure: Failure | None = None
    sent: Sent = Sent.NO
    detail: str = ""

    def __repr__(self) -> str:
        """Show what it means."""
        return f"Answer({self.status}, {self.failure}, sent={self.sent}, {self.detail!r})"


class Sender(Protocol):
    """An HTTP client for one target, reduced to what the relay needs of one."""

    async def send(self, request: Request) -> Answer:
        """Make one request, and never a second one. Raises only cancellation."""

    async def close(self) -> None:
        """Drop all connections."""


_OWN_PREFIXES = ("webhook-", "relay-", "proxy-")
_OWN_NAMES = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def is_own_header(name: str) -> bool:
    """Say whether the relay or HTTP itself sets the header; a second one would be ambiguous."""
    return name.lower() in _OWN_NAMES or name.lower().startswith(_OWN_PREFIXES)
