"""`relay explain`: what becomes of one message, in plain words."""

import json
import time
from functools import partial
from pathlib import Path

import click

from relay.admin.answers import ExplanationList, to_data
from relay.admin.explain import Explanation
from relay.admin.operations import AdminApi, NotKnown
from relay.commands.desk import with_admin_store
from relay.commands.failure import Failure
from relay.commands.kinds import MESSAGE_ID
from relay.commands.options import config_option, json_option
from relay.commands.printing import cleaned, indented, paragraph
from relay.commands.settings import read_settings
from relay.config.policies import routes_of
from relay.journal.open import is_relayed
from relay.model.admin import AdminStore

_PARTS = (
    ("What happened", "happened"),
    ("What it waits for", "waits_for"),
    ("What comes next", "next"),
    ("What may help", "commands"),
)


@click.command(name="explain")
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@config_option
@json_option
def command(message_id: str, config: Path | None, *, as_json: bool) -> None:
    """Say in plain words what happened to the message ID, what it waits for and what comes next."""
    settings = read_settings(config)
    now = time.time()

    async def work(desk: AdminStore) -> ExplanationList:
        runs = is_relayed(settings.journal)
        routes = partial(routes_of, settings)
        admin = AdminApi(desk, lambda: now, routes, settings.retention, relayed=runs)
        return await admin.explanation(message_id)

    try:
        found = with_admin_store(settings, work)
    except NotKnown as unknown:
        raise Failure(f"ID: {message_id!r}: {unknown}") from None
    if as_json:
        click.echo(json.dumps(to_data(found), indent=2))
    else:
        click.echo("\n\n".join(_text(each) for each in found.explanations))


def _text(explanation: Explanation) -> str:
    lines = [f"Message {explanation.message_id} of {explanation.bot}"]
    for title, part in _PARTS:
        sentences: tuple[str, ...] = getattr(explanation, part)
        if sentences:
            lay = indented if part == "commands" else paragraph
            lines += ["", title, *(lay(cleaned(sentence)) for sentence in sentences)]
    return "\n".join(lines)
