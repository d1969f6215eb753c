"""`relay reload`: lets the running relay read its settings anew, over the admin API."""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.options import config_option, json_option
from relay.commands.settings import read_settings
from relay.commands.surface import base_of, connection_to
from relay.config import Settings

_TIMEOUT = 600.0
"""Seconds; a removed endpoint gets `drain_timeout`, and a large backlog is given up in parts."""

_OK = 200
_UNAUTHORIZED = 401
_CONFLICT = 409


@click.command(name="reload")
@config_option
@click.option("--discard-owed", is_flag=True, help="Give up what removed endpoints are owed.")
@click.option("--url", metavar="URL", help="Base of the HTTP surface; default: here, at `listen`.")
@json_option
def command(config: Path | None, url: str | None, *, discard_owed: bool, as_json: bool) -> None:
    """Apply the settings of bots and endpoints as they are in the files now, while the relay runs.

    Bots that stay as they are keep their sockets. An endpoint that is gone and still owed
    deliveries is refused, unless they are to be discarded.
    Needs the admin API; without it, send SIGHUP to the relay.
    """
    settings = read_settings(config)
    if settings.admin_token is None:
        raise WrongUsage("admin_token: missing; expected one, or send SIGHUP to the relay")
    base = url or f"http://127.0.0.1:{_port(settings)}"
    target = base_of(base)
    token = settings.admin_token.get_secret_value()
    try:
        status, answer = _post(target, token, {"discard_owed": discard_owed})
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise Failure(f"{base}: out of reach ({why}); expected a running relay") from None
    if status != _OK:
        raise Failure(*_refusals(status, answer))
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(_lines(answer)))


def _port(settings: Settings) -> int:
    if not settings.listen.port:
        raise WrongUsage(f"listen: '{settings.listen}': expected a port, or --url")
    return settings.listen.port


def _post(target: SplitResult, token: str, ask: dict[str, Any]) -> tuple[int, Any]:
    connection = connection_to(target, timeout=_TIMEOUT)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        path = f"{target.path.rstrip('/')}/api/v1/reload"
        connection.request("POST", path, json.dumps(ask), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _refusals(status: int, answer: Any) -> list[str]:
    if status == _UNAUTHORIZED:
        return ["admin_token: the relay that runs has another one; it read its own at its start"]
    if status != _CONFLICT:
        return [f"{status}: {answer.get('detail') or answer.get('title')}; expected {_OK}"]
    refused = [f"{each['where']}: {each['what']}".removeprefix(": ") for each in answer["mistakes"]]
    return [*refused, "the settings are refused, and the old ones stay"]


def _lines(done: Any) -> list[str]:
    lines = [
        f"{what} bot {name}"
        for what in ("added", "removed", "restarted")
        for name in done.get(f"bots_{what}", ())
    ]
    lines += [f"added {name}" for name in done["added"]]
    lines += [f"removed {name}" for name in done["removed"]]
    lines += [f"changed {each['endpoint']}: {', '.join(each['keys'])}" for each in done["changed"]]
    lines += [f"changed {key}" for key in done["settings"]]
    if done["discarded"]:
        lines.append(f"discarded {done['discarded']} owed deliveries")
    return lines or ["nothing has changed"]
