"""`relay explain`: what becomes of one message, in plain words."""

from pathlib import Path

import click

from relay.commands.failure import Failure
from relay.commands.output import cleaned, indented, paragraph, print_json
from relay.commands.params import MESSAGE_ID, config_option, json_option
from relay.commands.store import read_settings, with_admin

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
    from relay.admin.operations import NotKnown

    try:
        found = with_admin(read_settings(config), lambda admin: admin.explanation(message_id))
    except NotKnown as unknown:
        raise Failure(f"ID: {message_id!r}: {unknown}") from None
    if as_json:
        print_json(found)
        return
    texts = []
    for each in found.explanations:
        lines = [f"Message {each.message_id} of {each.bot}"]
        for title, part in _PARTS:
            sentences: tuple[str, ...] = getattr(each, part)
            if sentences:
                lay = indented if part == "commands" else paragraph
                lines += ["", title, *(lay(cleaned(sentence)) for sentence in sentences)]
        texts.append("\n".join(lines))
    click.echo("\n\n".join(texts))
