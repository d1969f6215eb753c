"""`relay reload`: lets the running relay read its settings anew, over the admin API."""

import json
from pathlib import Path
from typing import Any

import click

from relay.commands.output import print_json
from relay.commands.usage import Failure, WrongUsage, config_option, json_option, url_option
from relay.commands.with_journal import port_here, read_settings

_TIMEOUT = 600.0
"""Seconds; a removed endpoint gets `drain_timeout`, and a large backlog is given up in parts."""

_OK = 200
_UNAUTHORIZED = 401
_CONFLICT = 409


@click.command(name="reload")
@config_option
@click.option("--discard-owed", is_flag=True, help="Give up what removed endpoints are owed.")
@url_option
@json_option
def command(config: Path | None, url: str | None, *, discard_owed: bool, as_json: bool) -> None:
    """Apply the settings of bots and endpoints as they are in the files now, while the relay runs.

    Bots that stay as they are keep their sockets. An endpoint that is gone and still owed
    deliveries is refused, unless they are to be discarded.
    Needs the admin API; without it, send SIGHUP to the relay.
    """
    from relay.commands.healthcheck import ask

    settings = read_settings(config)
    if settings.admin_token is None:
        raise WrongUsage("admin_token: missing; expected one, or send SIGHUP to the relay")
    base = url or f"http://127.0.0.1:{port_here(settings)}"
    token = settings.admin_token.get_secret_value()
    status, body = ask(
        base,
        "/api/v1/reload",
        timeout=_TIMEOUT,
        name=base,
        expected="a running relay",
        method="POST",
        body=json.dumps({"discard_owed": discard_owed}),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise Failure(f"{base}: out of reach ({error}); expected a running relay") from None
    if status != _OK:
        raise Failure(*_refusals(status, answer))
    if as_json:
        print_json(answer)
    else:
        click.echo("\n".join(_lines(answer)))


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
