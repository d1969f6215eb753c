"""A relay's HTTP surface, as commands get at it; the standard library is enough."""

import http.client
from urllib.parse import SplitResult, urlsplit

from relay.commands.failure import WrongUsage


def base_of(url: str) -> SplitResult:
    """Take the surface's URL apart. Raises `WrongUsage`."""
    try:
        target = urlsplit(url.rstrip("/"))
        known = target.scheme in {"http", "https"} and bool(target.hostname) and target.port != 0
    except ValueError:
        target, known = SplitResult("", "", "", "", ""), False
    if not known or not url.isprintable() or any(sign in url for sign in "@?# "):
        raise WrongUsage("--url: expected a base URL such as http://127.0.0.1:8080")
    return target


def connection_to(target: SplitResult, *, timeout: float) -> http.client.HTTPConnection:
    """Make a connection, which opens with its first request; seconds."""
    secure = target.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return kind(target.hostname or "", target.port, timeout=timeout)
