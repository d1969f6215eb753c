"""`relay healthcheck`: for a container's health check, which runs it again and again.

It needs nothing but the standard library; the settings file is read only if the port is in there.
"""

import http.client
import json
import os
from pathlib import Path
from urllib.parse import SplitResult

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.options import config_option
from relay.commands.surface import base_of, connection_to

_TIMEOUT = 5.0
"""Seconds; longer than a busy loop's lag, shorter than the patience of an orchestrator."""

_DEFAULT_PORT = 8080
_PORT_DIGITS = 5
_READY = 200
_MOST = 64 * 1024
"""Bytes of an answer; a relay's has some hundreds for each bot."""


@click.command(name="healthcheck")
@config_option
@click.option("--url", metavar="URL", help="Base of the HTTP surface; default: here, at `listen`.")
def command(config: Path | None, url: str | None) -> None:
    """Exit 0 if /readyz says ready, 1 if not or out of reach; it says what is not well."""
    base = (url or f"http://127.0.0.1:{_port(config)}").rstrip("/")
    target = base_of(base)
    try:
        status, body = _get(target)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise Failure(f"{base}/readyz: out of reach ({why}); expected {_READY}") from None
    if status != _READY:
        why = "".join(f"; {each}" for each in _troubles(body))
        raise Failure(f"{base}/readyz: {status}; expected {_READY}{why}")


def _troubles(body: bytes) -> list[str]:
    """Read what is not well; nothing if it is no relay that answers."""
    try:
        found = json.loads(body)["components"]
        return [f"{part['name']}: {part['reason']}" for part in found if not part["ok"]]
    except (ValueError, LookupError, TypeError):
        return []


def _get(target: SplitResult) -> tuple[int, bytes]:
    connection = connection_to(target, timeout=_TIMEOUT)
    try:
        connection.request("GET", f"{target.path}/readyz?verbose")
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST)
    finally:
        connection.close()


def _port(config: Path | None) -> int:
    if config is None and not os.environ.get("RELAY_CONFIG"):
        return _port_of_variable(os.environ.get("RELAY_LISTEN", f"0.0.0.0:{_DEFAULT_PORT}"))
    from relay.commands.settings import read_settings  # noqa: PLC0415 - takes longer than the check

    listen = read_settings(config).listen
    if not listen.port:
        raise WrongUsage(f"listen: '{listen}': expected a port, or --url")
    return listen.port


def _port_of_variable(listen: str) -> int:
    port = listen.strip().rpartition(":")[2]
    if not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port)):
        raise WrongUsage(f"RELAY_LISTEN: {listen!r}: expected HOST:PORT with a port, or --url")
    return int(port)
