"""`relay healthcheck`: for a container's health check, which runs it again and again.

It needs nothing but the standard library. In a settings file it looks for the port, and reads all
of it only if that is not plain to see.
"""

import http.client
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from relay.commands.usage import Failure, WrongUsage, config_option, url_option

_TIMEOUT = 5.0
"""Seconds; longer than a busy loop's lag, shorter than the patience of an orchestrator."""

_DEFAULT_PORT = 8080
_PORT_DIGITS = 5
_READY = 200
_PLAIN = re.compile(
    r"""^listen:[ ]*["']?[^\s"'#{$]*:([0-9]{1,5})["']?[ ]*(?:#.*)?$""", re.MULTILINE
)


@click.command(name="healthcheck")
@config_option
@url_option
def command(config: Path | None, url: str | None) -> None:
    """Exit 0 if /readyz says ready, 1 if not or out of reach; it says what is not well."""
    base = (url or f"http://127.0.0.1:{_port(config)}").rstrip("/")
    name = f"{base}/readyz"
    status, body = ask(base, "/readyz?verbose", timeout=_TIMEOUT, name=name, expected=str(_READY))
    if status != _READY:
        why = "".join(f"; {each}" for each in _troubles(body))
        raise Failure(f"{name}: {status}; expected {_READY}{why}")


def _troubles(body: bytes) -> list[str]:
    """Read what is not well; nothing if it is no relay that answers."""
    try:
        found = json.loads(body)["components"]
        return [f"{part['name']}: {part['reason']}" for part in found if not part["ok"]]
    except (ValueError, LookupError, TypeError):
        return []


def _port(config: Path | None) -> int:
    path = config or os.environ.get("RELAY_CONFIG")
    if "RELAY_LISTEN" in os.environ or not path:
        return _port_of_variable(os.environ.get("RELAY_LISTEN", f"0.0.0.0:{_DEFAULT_PORT}"))
    if port := _port_of_file(Path(path)):
        return port
    from relay.commands.with_journal import port_here, read_settings

    return port_here(read_settings(config))


def _port_of_file(path: Path) -> int | None:
    """Read the port off a settings file, if it stands there plainly: all of it takes 0.1 s."""
    with suppress(OSError, ValueError):
        text = path.read_text(encoding="utf-8")
        if "listen" not in text:
            return _DEFAULT_PORT
        if found := _PLAIN.search(text):
            return int(found[1])
    return None


def _port_of_variable(listen: str) -> int:
    port = listen.strip().rpartition(":")[2]
    if not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port)):
        raise WrongUsage(f"RELAY_LISTEN: {listen!r}: expected HOST:PORT with a port, or --url")
    return int(port)


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
