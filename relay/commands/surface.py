"""A relay's HTTP surface, as commands get at it; the standard library is enough."""

import http.client
from typing import Any
from urllib.parse import SplitResult, urlsplit

from relay.commands.failure import Failure, WrongUsage

_MOST = 1024 * 1024
"""Bytes of an answer; a relay's has some hundreds for each bot."""


def ask(
    url: str, path: str, *, timeout: float, name: str, expected: str, **request: Any
) -> tuple[int, bytes]:
    """Ask what is served under a URL; answers with status and body.

    `request` has what `HTTPConnection.request` takes, with `method` for another one than GET.
    Raises `WrongUsage` if the URL is none, and, with `name` and what is `expected`, `Failure` if
    nobody answers within `timeout` seconds.
    """
    target = _parts(url)
    secure = target.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=timeout)
    try:
        connection.request(request.pop("method", "GET"), f"{target.path}{path}", **request)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise Failure(f"{name}: out of reach ({why}); expected {expected}") from None
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    try:
        target = urlsplit(url.rstrip("/"))
        known = target.scheme in {"http", "https"} and bool(target.hostname) and target.port != 0
    except ValueError:
        target, known = SplitResult("", "", "", "", ""), False
    if not known or not url.isprintable() or any(sign in url for sign in "@?# "):
        raise WrongUsage("--url: expected a base URL such as http://127.0.0.1:8080")
    return target
