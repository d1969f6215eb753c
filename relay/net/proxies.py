"""HTTP proxies: what a URL of one says, and which one the environment means for a host.

`HTTPS_PROXY` and `HTTP_PROXY` name a proxy, `NO_PROXY` the hosts that are reached without one. Each
counts in small letters too, as curl and Go have it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

ENVIRONMENT: Final = "environment"
"""The word that stands for the variables where a proxy is set."""

EXPECTED = "http://HOST:PORT, with a user where it wants one, or the word environment"

_PORT = 3128


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; `authorization` is the header that its user and password make."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a proxy's URL apart; raises `ValueError`, without words of the text."""
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError(f"expected {EXPECTED}") from None
        plain = parts.scheme == "http" and text.isascii() and text.isprintable() and port != 0
        if not host or not plain or parts.path.strip("/") or parts.query:
            raise ValueError(f"expected {EXPECTED}")
        authorization = None
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(user.encode()).decode()
        return cls(host, port or _PORT, authorization)

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


Proxied = Proxy | Literal["environment"] | None
"""What is set: a proxy, the one that the environment means, or none."""


def proxy_of(
    proxied: Proxied, environ: Mapping[str, str], scheme: str, host: str, port: int
) -> Proxy | None:
    """Say which proxy to use for a host; raises `ValueError` if the environment's is none."""
    if proxied == ENVIRONMENT:
        return environment_proxy(environ, scheme, host, port)
    return proxied


def environment_proxy(
    environ: Mapping[str, str], scheme: str, host: str, port: int
) -> Proxy | None:
    """Say which proxy the environment means for a host; raises `ValueError` if it is none."""
    if _bypassed(_variable(environ, "no_proxy"), host, port):
        return None
    named = _variable(environ, "http_proxy" if scheme in {"http", "ws"} else "https_proxy").strip()
    return Proxy.parse(named) if named else None


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper(), "")


def _bypassed(named: str, host: str, port: int) -> bool:
    return any(_matches(entry, host.rstrip("."), port) for entry in named.replace(",", " ").split())


def _matches(entry: str, host: str, port: int) -> bool:
    """Say whether an entry means a host: `*`, a name and all below it, an address or a network."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, colon, only = entry.rpartition(":")
    if colon and only.isdigit():
        return int(only) == port and _matches(name, host, port)
    name = entry.lower().removeprefix("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
