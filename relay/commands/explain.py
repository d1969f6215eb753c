"""`relay explain`: what becomes of one message, in plain words."""

from typing import Any

import click

from relay.commands.failure import Failure
from relay.commands.output import cleaned, indented, paragraph
from relay.commands.params import MESSAGE_ID
from relay.commands.session import Session, on_journal

_PARTS = (
    ("What happened", "happened"),
    ("What it waits for", "waits_for"),
    ("What comes next", "next"),
    ("What may help", "commands"),
)


def _show(found: Any) -> None:
    texts = []
    for each in found.explanations:
        lines = [f"Message {each.message_id} of {each.bot}"]
        for title, part in _PARTS:
            lay = indented if part == "commands" else paragraph
            sentences = [lay(cleaned(sentence)) for sentence in getattr(each, part)]
            lines += ["", title, *sentences] if sentences else []
        texts.append("\n".join(lines))
    click.echo("\n\n".join(texts))


@click.command(name="explain")
@click.argument("message_id", type=MESSAGE_ID, metavar="ID")
@on_journal(_show)
async def command(session: Session, message_id: str) -> Any:
    """Say in plain words what happened to the message ID, what it waits for and what comes next."""
    from relay.admin.operations import NotKnown

    try:
        return await session.admin.explanation(message_id)
    except NotKnown as unknown:
        raise Failure(f"ID: {message_id!r}: {unknown}") from None
